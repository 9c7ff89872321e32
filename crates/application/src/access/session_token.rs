//! Session tokens: `<expiry, Unix seconds>:<hex HMAC-SHA256(master token, expiry)>`, PocketPaw's form. They are not
//! stored; replacing the master token ends them all.

use hmac::{Hmac, KeyInit as _, Mac as _};
use majordomo_domain::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::hex::hex;

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

/// Whether a text has the form of such a token, genuine or not.
pub(super) fn has_form(token: &str) -> bool {
    token.split_once(':').is_some_and(|(expiry, mac)| {
        let hexadecimal = |byte: u8| byte.is_ascii_hexdigit();
        expiry.bytes().all(|byte| byte.is_ascii_digit())
            && mac.len() == 64
            && mac.bytes().all(hexadecimal)
    })
}

fn signature(master: &str, expiry: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(master.as_bytes()).ok()?;
    mac.update(expiry.as_bytes());
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
}
