//! Apps that introduce themselves (RFC 7591): what they may say.

use majordomo_domain::{ClientId, OAuthClient, RedirectUri, Scope, Scopes, Timestamp};

use super::error::OAuthError;
use super::scopes;

/// Longest name of an app, in characters.
pub const MAX_CLIENT_NAME: usize = 100;
/// Most addresses of an app.
const MAX_REDIRECT_URIS: usize = 10;

/// What an app says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegisterClient {
    /// Where answers may be sent, 1 to 10.
    pub redirect_uris: Vec<String>,
    /// What it is called, at most [`MAX_CLIENT_NAME`] characters.
    pub client_name: Option<String>,
    /// What it will ask for at most.
    pub scope: Option<String>,
    /// How it authenticates: only `none`.
    pub token_endpoint_auth_method: Option<String>,
    /// Which grants it will use: `authorization_code`, `refresh_token`.
    pub grant_types: Option<Vec<String>>,
    /// Which answers it wants: only `code`.
    pub response_types: Option<Vec<String>>,
}

/// What a stranger's app may ask for at most: everything but to administer.
fn strangers_scopes() -> Scopes {
    let all = Scope::ALL.into_iter();
    all.filter(|scope| *scope != Scope::Admin).collect()
}

impl RegisterClient {
    /// The client this is, under `id`.
    pub(super) fn into_client(
        self,
        id: ClientId,
        now: Timestamp,
    ) -> Result<OAuthClient, OAuthError> {
        let metadata = OAuthError::InvalidClientMetadata;
        let method = self.token_endpoint_auth_method.as_deref();
        if method.is_some_and(|method| method != "none") {
            return Err(metadata("token_endpoint_auth_method must be none"));
        }
        let only = |list: &Option<Vec<String>>, known: &[&str]| {
            list.as_ref()
                .is_none_or(|list| list.iter().all(|one| known.contains(&one.as_str())))
        };
        if !only(&self.grant_types, &["authorization_code", "refresh_token"]) {
            return Err(metadata(
                "grant_types may hold authorization_code and refresh_token",
            ));
        }
        if !only(&self.response_types, &["code"]) {
            return Err(metadata("response_types must be code"));
        }
        if self.redirect_uris.is_empty() || self.redirect_uris.len() > MAX_REDIRECT_URIS {
            let words = format!("redirect_uris must hold 1 to {MAX_REDIRECT_URIS} addresses");
            return Err(OAuthError::InvalidRedirectUri(words));
        }
        let uris: Result<Vec<_>, _> = self.redirect_uris.into_iter().map(strangers_uri).collect();
        let wanted = scopes::parse(self.scope.as_deref())?;
        Ok(OAuthClient {
            id,
            name: name(self.client_name)?,
            redirect_uris: uris?,
            scopes: scopes::within(wanted, strangers_scopes())?,
            registered_at: Some(now),
        })
    }
}

/// An address a stranger may name: encrypted, on the user's own machine, or a private scheme that is somebody's domain
/// name turned round (RFC 8252 section 7.1).
fn strangers_uri(text: String) -> Result<RedirectUri, OAuthError> {
    let shown: String = text.chars().take(100).collect();
    let refused = |why: String| OAuthError::InvalidRedirectUri(format!("{shown} {why}"));
    let uri = RedirectUri::parse(text).map_err(|error| refused(error.to_string()))?;
    let accepted = match uri.scheme() {
        "https" => true,
        "http" => uri.is_loopback(),
        private => private.contains('.'),
    };
    if accepted {
        Ok(uri)
    } else {
        let words = "must be https, http on this machine, or a private scheme like com.example.app";
        Err(refused(words.to_owned()))
    }
}

fn name(given: Option<String>) -> Result<String, OAuthError> {
    let name = given.as_deref().map_or("", str::trim);
    if name.is_empty() {
        return Ok("An app without a name".to_owned());
    }
    if name.chars().count() > MAX_CLIENT_NAME || name.chars().any(is_deceptive) {
        let words = "client_name must have at most 100 printable characters";
        return Err(OAuthError::InvalidClientMetadata(words));
    }
    Ok(name.to_owned())
}

/// Characters that cannot be seen, or turn the text around.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
