//! Scopes as apps write them: names with blanks between them.

use majordomo_domain::{Scope, Scopes};

use super::error::OAuthError;

/// What an app gets that does not say what it wants.
pub const DEFAULT_SCOPE: &str = "chat sessions";

/// Reads a list of scopes; a missing or blank one is the default.
pub(super) fn parse(text: Option<&str>) -> Result<Scopes, OAuthError> {
    let text = text
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(DEFAULT_SCOPE);
    let scopes: Option<Scopes> = text.split_whitespace().map(Scope::parse).collect();
    scopes.ok_or(OAuthError::InvalidScope)
}

/// What of `wanted` somebody with `own` scopes can give: all of it where it is theirs, else what both have in common.
pub(super) fn within(wanted: Scopes, own: Scopes) -> Result<Scopes, OAuthError> {
    let given = if own.covers(wanted) {
        wanted
    } else {
        wanted.intersect(own)
    };
    if given == Scopes::NONE {
        Err(OAuthError::InvalidScope)
    } else {
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_more_than_they_have() {
        let admin = Scopes::from_iter([Scope::Admin]);
        let member = Scopes::from_iter([Scope::Chat, Scope::Sessions]);
        assert_eq!(within(admin, Scopes::full()).unwrap(), admin);
        assert_eq!(within(admin, member).unwrap(), member);
        let metrics = Scopes::from_iter([Scope::Metrics]);
        assert!(within(metrics, member).is_err());
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(
            parse(None).unwrap(),
            parse(Some(" chat  sessions ")).unwrap()
        );
        assert!(parse(Some("chat root")).is_err());
    }
}
