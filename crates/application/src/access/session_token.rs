//! Session tokens: `<expiry, Unix seconds>:<hex HMAC-SHA256(master token, expiry)>`, PocketPaw's form. They are not
//! stored; replacing the master token ends them all. One made of an API key has the key's digest after the expiry, and
//! opens what the key with that digest opens.

use hmac::{Hmac, KeyInit as _, Mac as _};
use majordomo_domain::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::hex::{from_hex, hex};
use crate::ports::api_key_repository::Digest;

/// Makes a token that works until `expires_at`.
pub(super) fn issue(master: &str, expires_at: Timestamp) -> Option<String> {
    let expiry = expires_at.as_secs().to_string();
    let mac = signature(master, &expiry)?;
    Some(format!("{expiry}:{mac}"))
}

/// Whether `token` was made with `master` and works at `now`.
pub(super) fn verify(master: &str, token: &str, now: Timestamp) -> bool {
    let Some((expiry, mac)) = token.split_once(':') else {
        return false;
    };
    let Ok(expires) = expiry.parse::<i64>() else {
        return false;
    };
    let Some(expected) = signature(master, expiry) else {
        return false;
    };
    let genuine: bool = expected.as_bytes().ct_eq(mac.as_bytes()).into();
    genuine && now.as_secs() < expires
}

/// Makes a token that stands for the key with this digest until `expires_at`.
pub(super) fn issue_for_key(
    master: &str,
    expires_at: Timestamp,
    digest: &Digest,
) -> Option<String> {
    let signed = format!("{}:{}", expires_at.as_secs(), hex(digest));
    let mac = signature(master, &signed)?;
    Some(format!("{signed}:{mac}"))
}

/// The digest of the key that `token` stands for, where it was made with `master` and works at `now`.
pub(super) fn key_digest(master: &str, token: &str, now: Timestamp) -> Option<Digest> {
    let (signed, mac) = token.rsplit_once(':')?;
    let (expiry, digest) = signed.split_once(':')?;
    let (expires, digest) = (expiry.parse::<i64>().ok()?, from_hex(digest)?);
    let expected = signature(master, signed)?;
    let genuine: bool = expected.as_bytes().ct_eq(mac.as_bytes()).into();
    if !genuine || now.as_secs() >= expires {
        return None;
    }
    digest.try_into().ok()
}

/// Whether a text has the form of an operator's session token, genuine or not.
pub(super) fn has_form(token: &str) -> bool {
    token.split_once(':').is_some_and(|(expiry, mac)| {
        let hexadecimal = |byte: u8| byte.is_ascii_hexdigit();
        expiry.bytes().all(|byte| byte.is_ascii_digit())
            && mac.len() == 64
            && mac.bytes().all(hexadecimal)
    })
}

fn signature(master: &str, signed: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(master.as_bytes()).ok()?;
    mac.update(signed.as_bytes());
    Some(hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_until_it_expires_and_only_for_its_master() {
        let token = issue("master", Timestamp::from_secs(100)).unwrap();
        assert!(token.starts_with("100:") && token.len() == 4 + 64);
        assert!(verify("master", &token, Timestamp::from_secs(99)));
        assert!(!verify("master", &token, Timestamp::from_secs(100)));
        assert!(!verify("other", &token, Timestamp::from_secs(99)));
        assert!(!verify(
            "master",
            &token.replacen("100", "999", 1),
            Timestamp::from_secs(99)
        ));
        assert!(!verify("master", "nonsense", Timestamp::from_secs(0)));
    }

    #[test]
    fn a_token_of_a_key_stands_for_that_key_alone() {
        let (early, late) = (Timestamp::from_secs(99), Timestamp::from_secs(100));
        let digest = [7; 32];
        let token = issue_for_key("master", late, &digest).unwrap();
        assert_eq!(key_digest("master", &token, early), Some(digest));
        assert_eq!(key_digest("master", &token, late), None);
        assert_eq!(key_digest("other", &token, early), None);
        for (from, to) in [("100", "999"), ("0707", "0708")] {
            let changed = token.replacen(from, to, 1);
            assert_eq!(key_digest("master", &changed, early), None);
        }
        // Neither kind passes for the other.
        assert!(!verify("master", &token, early) && !has_form(&token));
        let operators = issue("master", late).unwrap();
        assert_eq!(key_digest("master", &operators, early), None);
    }
}
