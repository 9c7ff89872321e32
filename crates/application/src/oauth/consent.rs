//! The token of the consent page: proof that an answer comes from the page that this very user was shown for this very
//! request, and not from a page of somebody else (cross-site request forgery).

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use majordomo_domain::{Timestamp, UserId};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::service::AuthorizeRequest;
use crate::hex::hex;

/// How long a consent page can be answered.
const LIFETIME: Duration = Duration::from_mins(10);

/// Makes and checks tokens with a key that lives as long as this process.
pub(super) struct ConsentTokens {
    key: [u8; 32],
}

impl ConsentTokens {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A token for the page that `user` is shown now.
    pub(super) fn issue(&self, user: &UserId, asked: &AuthorizeRequest, now: Timestamp) -> String {
        let expiry = now.plus(LIFETIME).as_secs().to_string();
        let mac = self.signature(user, asked, &expiry);
        format!("{expiry}.{mac}")
    }

    /// Whether `token` was made for this user and request, not long ago.
    pub(super) fn verify(
        &self,
        token: &str,
        user: &UserId,
        asked: &AuthorizeRequest,
        now: Timestamp,
    ) -> bool {
        let Some((expiry, mac)) = token.split_once('.') else {
            return false;
        };
        let expected = self.signature(user, asked, expiry);
        let genuine: bool = expected.as_bytes().ct_eq(mac.as_bytes()).into();
        let running = expiry.parse::<i64>().is_ok_and(|end| now.as_secs() < end);
        // An empty signature is what a key of the wrong length would give: it proves nothing.
        genuine && running && !expected.is_empty()
    }

    fn signature(&self, user: &UserId, asked: &AuthorizeRequest, expiry: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return String::new();
        };
        let optional = |field: &Option<String>| field.clone().unwrap_or_default();
        let fields = [
            expiry.to_owned(),
            user.as_str().to_owned(),
            asked.client_id.clone(),
            asked.redirect_uri.clone(),
            optional(&asked.scope),
            asked.code_challenge.clone(),
            optional(&asked.code_challenge_method),
            optional(&asked.state),
        ];
        for field in fields {
            // Each with its length, so that no text can move from one field into the next.
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> AuthorizeRequest {
        AuthorizeRequest {
            client_id: "app".to_owned(),
            redirect_uri: "http://localhost/".to_owned(),
            code_challenge: "challenge".to_owned(),
            state: Some("state".to_owned()),
            ..AuthorizeRequest::default()
        }
    }

    #[test]
    fn a_token_holds_for_one_user_one_request_and_a_while() {
        let tokens = ConsentTokens::new([7; 32]);
        let (alice, bob) = (
            UserId::parse("alice").unwrap(),
            UserId::parse("bob").unwrap(),
        );
        let now = Timestamp::from_secs(1000);
        let token = tokens.issue(&alice, &asked(), now);
        assert!(tokens.verify(&token, &alice, &asked(), now));
        assert!(!tokens.verify(&token, &bob, &asked(), now));
        let late = now.plus(LIFETIME);
        assert!(!tokens.verify(&token, &alice, &asked(), late));
        let other = AuthorizeRequest {
            scope: Some("admin".to_owned()),
            ..asked()
        };
        assert!(!tokens.verify(&token, &alice, &other, now));
        assert!(!ConsentTokens::new([8; 32]).verify(&token, &alice, &asked(), now));
        for forged in ["", ".", "9999999999.", "nonsense"] {
            assert!(!tokens.verify(forged, &alice, &asked(), now));
        }
    }
}
