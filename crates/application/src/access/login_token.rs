//! Login tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, with the claims that Pixcode's clients know and the
//! version of the user's tokens. Only tokens of exactly the form made here are read, so there is no choice of algorithm.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use majordomo_domain::{Timestamp, UserId};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::ports::SigningKey;

/// `{"alg":"HS256","typ":"JWT"}`, encoded: the header of every token.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer texts are no tokens of ours.
const MAX_LEN: usize = 1024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// Whose token it is.
    pub(super) user: UserId,
    /// What the user is called.
    pub(super) username: String,
    /// The version of the user's tokens when it was made.
    pub(super) version: u32,
    /// When it was made.
    pub(super) issued_at: Timestamp,
    /// When it stops working.
    pub(super) expires_at: Timestamp,
}

/// Makes and reads login tokens.
pub(super) struct LoginTokens {
    key: SigningKey,
    lifetime: Duration,
}

impl LoginTokens {
    pub(super) const fn new(key: SigningKey, lifetime: Duration) -> Self {
        Self { key, lifetime }
    }

    pub(super) const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Whether a text looks like a JSON Web Token made here.
    pub(super) fn is_one(token: &str) -> bool {
        token.len() <= MAX_LEN && token.starts_with(HEADER)
    }

    /// A token that works from `now` on.
    pub(super) fn issue(
        &self,
        user: &UserId,
        username: &str,
        version: u32,
        now: Timestamp,
    ) -> Option<String> {
        let claims = json!({
            "userId": user.as_str(),
            "username": username,
            "iat": now.as_secs(),
            "exp": now.plus(self.lifetime).as_secs(),
            "ver": version,
        });
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.mac(&signed)?.finalize().into_bytes();
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a genuine token that has not expired says.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if !Self::is_one(token) {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Compares in constant time.
        self.mac(signed)?.verify_slice(&signature).ok()?;
        let (header, payload) = signed.split_once('.')?;
        if header != HEADER {
            return None;
        }
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let time = |name| claims.get(name)?.as_i64().map(Timestamp::from_secs);
        let claims = Claims {
            user: UserId::parse(claims.get("userId")?.as_str()?).ok()?,
            username: claims.get("username")?.as_str()?.to_owned(),
            version: u32::try_from(claims.get("ver")?.as_u64()?).ok()?,
            issued_at: time("iat")?,
            expires_at: time("exp")?,
        };
        (now < claims.expires_at).then_some(claims)
    }

    /// A fresh token for one that is past half of its life.
    pub(super) fn renew(&self, token: &str, now: Timestamp) -> Option<String> {
        let claims = self.verify(token, now)?;
        let life = claims.expires_at.since(claims.issued_at);
        (now.since(claims.issued_at) > life / 2)
            .then(|| self.issue(&claims.user, &claims.username, claims.version, now))?
    }

    fn mac(&self, signed: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(signed.as_bytes());
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn tokens(byte: u8) -> LoginTokens {
        LoginTokens::new([byte; 32], DAY)
    }

    fn token() -> String {
        let user = UserId::parse("u1").unwrap();
        let now = Timestamp::from_secs(1000);
        tokens(1).issue(&user, "alice", 7, now).unwrap()
    }

    #[test]
    fn a_token_says_who_until_it_expires() {
        let (token, end) = (token(), 1000 + 24 * 3600);
        let claims = tokens(1)
            .verify(&token, Timestamp::from_secs(end - 1))
            .unwrap();
        assert_eq!(
            (claims.user.as_str(), claims.username.as_str()),
            ("u1", "alice")
        );
        assert_eq!((claims.version, claims.expires_at.as_secs()), (7, end));
        assert!(
            tokens(1)
                .verify(&token, Timestamp::from_secs(end))
                .is_none()
        );
    }

    #[test]
    fn a_header_reads_as_the_algorithm_used() {
        let header = URL_SAFE_NO_PAD.decode(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn what_this_server_did_not_sign_says_nothing() {
        let (now, token) = (Timestamp::from_secs(1001), token());
        assert!(tokens(2).verify(&token, now).is_none());
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!("three parts")
        };
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let admin = URL_SAFE_NO_PAD
            .encode(r#"{"userId":"operator","username":"x","iat":1000,"exp":99999999999,"ver":0}"#);
        for forged in [
            format!("{unsigned}.{payload}."),
            format!("{header}.{admin}.{signature}"),
            format!("{header}.{payload}."),
            format!("{header}.{payload}"),
            format!("{header}..{signature}"),
            format!("{token}x"),
            HEADER.to_owned(),
        ] {
            assert!(tokens(1).verify(&forged, now).is_none(), "{forged}");
        }
    }

    #[test]
    fn a_token_past_half_of_its_life_is_renewed() {
        let token = token();
        let noon = 1000 + 12 * 3600;
        assert_eq!(tokens(1).renew(&token, Timestamp::from_secs(noon)), None);
        let later = Timestamp::from_secs(noon + 1);
        let renewed = tokens(1).renew(&token, later).unwrap();
        let claims = tokens(1).verify(&renewed, later).unwrap();
        assert_eq!((claims.issued_at, claims.version), (later, 7));
        assert_eq!(tokens(2).renew(&token, later), None);
    }
}
