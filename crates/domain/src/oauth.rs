//! Apps that act for a user: clients, what users granted them, and the codes and tokens made of a grant.
//!
//! A *grant* is one consent of one user to one client. Every code and token belongs to a grant and dies with it, so
//! ending an app's access is one change of one row.

mod redirect_uri;

use thiserror::Error;

use crate::{ClientId, GrantId, Scopes, Timestamp, UserId};

pub use redirect_uri::{InvalidRedirectUri, MAX_REDIRECT_URI_LEN, RedirectUri};

/// An app that may ask users for access. It keeps no secret of its own (a *public* client, RFC 6749 section 2.1): what
/// proves that a code is its own is PKCE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// What it calls itself in requests.
    pub id: ClientId,
    /// What users read on the consent page.
    pub name: String,
    /// Where answers may be sent.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// When it registered itself; `None` for clients that the operator knows.
    pub registered_at: Option<Timestamp>,
}

impl OAuthClient {
    /// Whether answers may be sent to `requested`.
    pub fn allows_redirect(&self, requested: &RedirectUri) -> bool {
        self.redirect_uris
            .iter()
            .any(|registered| registered.matches(requested))
    }
}

/// What one user allowed one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthGrant {
    /// Public identifier.
    pub id: GrantId,
    /// Whose rows the client may see.
    pub owner: UserId,
    /// Who may see them.
    pub client: ClientId,
    /// What the client was called when the user agreed.
    pub client_name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When the user agreed.
    pub created_at: Timestamp,
    /// When it ends unless the client asks for new tokens before.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
}

impl OAuthGrant {
    /// Whether anything made of the grant opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Why a text is no code challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 43 characters of A-Z a-z 0-9 - _")]
pub struct InvalidCodeChallenge;

/// The proof key of an authorization request: the SHA-256 of the client's verifier (RFC 7636, method `S256`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Reads a challenge: 32 bytes as 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, InvalidCodeChallenge> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.len() == 43 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCodeChallenge)
        }
    }

    /// The challenge's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code that a client exchanges for tokens, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// What it gives access to.
    pub grant: OAuthGrant,
    /// Where it was sent.
    pub redirect_uri: RedirectUri,
    /// Who may exchange it: who knows the verifier.
    pub challenge: CodeChallenge,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    pub used_at: Option<Timestamp>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthTokenKind {
    /// Shown with every request.
    Access,
    /// Exchanged for new tokens, once.
    Refresh,
}

impl OAuthTokenKind {
    /// The stable name used in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }

    /// The inverse of [`OAuthTokenKind::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Access, Self::Refresh]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A token's record. The token itself is shown once and only its SHA-256 digest is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthToken {
    /// What it gives access to.
    pub grant: OAuthGrant,
    /// What it is for.
    pub kind: OAuthTokenKind,
    /// What it may do: the grant's scopes, or fewer when the client asked for fewer.
    pub scopes: Scopes,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When a refresh token was exchanged.
    pub used_at: Option<Timestamp>,
}

impl OAuthToken {
    /// Whether the token opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at && self.grant.is_active(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_the_text_of_32_bytes() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(CodeChallenge::parse(challenge).unwrap().as_str(), challenge);
        for wrong in [
            "",
            "short",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
        ] {
            assert_eq!(CodeChallenge::parse(wrong), Err(InvalidCodeChallenge));
        }
    }

    #[test]
    fn kinds_of_tokens_round_trip() {
        for kind in [OAuthTokenKind::Access, OAuthTokenKind::Refresh] {
            assert_eq!(OAuthTokenKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(OAuthTokenKind::parse("id"), None);
    }
}
