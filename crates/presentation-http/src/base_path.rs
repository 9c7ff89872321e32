//! The path under which a reverse proxy shows this server: `https://example.org/majordomo` instead of a host of its own.

use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;

/// Documents about a server under a path have the path at their end (RFC 8414, section 3.1).
const WELL_KNOWN: &str = "/.well-known/";

/// The path under which the server is shown: empty, or `/` and what follows it, without a `/` at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads the path of an address; a `/` at the end does not count.
    pub fn new(path: &str) -> Self {
        let path = path.trim_matches('/');
        if path.is_empty() {
            Self::default()
        } else {
            Self(format!("/{path}"))
        }
    }

    /// What stands before every path that clients outside use.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `Path` of this server's cookies: others under the same host do not get them.
    pub fn cookie_path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// The address within this server, when `uri` has the path before it: some proxies take it off, some do not.
    pub fn taken_off(&self, uri: &Uri) -> Option<Uri> {
        if self.0.is_empty() {
            return None;
        }
        let path = self.within(uri.path())?;
        let path = if path.is_empty() { "/" } else { path };
        let target = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
        Uri::from_parts(parts).ok()
    }

    fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        if path.starts_with(WELL_KNOWN) {
            return path.strip_suffix(self.as_str());
        }
        path.strip_prefix(self.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::BasePath;

    #[test]
    fn the_path_is_taken_off_where_it_stands_and_only_there() {
        let base = BasePath::new("/tools/majordomo/");
        assert_eq!(base.as_str(), "/tools/majordomo");
        assert_eq!(base.cookie_path(), "/tools/majordomo");
        let cases = [
            ("/tools/majordomo", Some("/")),
            ("/tools/majordomo/", Some("/")),
            ("/tools/majordomo?a=b", Some("/?a=b")),
            ("/tools/majordomo/v1/chat?a=%2F&b", Some("/v1/chat?a=%2F&b")),
            ("/tools/majordomos/v1", None),
            ("/v1/tools/majordomo", None),
            ("/v1/chat", None),
            (
                "/.well-known/server/tools/majordomo",
                Some("/.well-known/server"),
            ),
            ("/.well-known/server", None),
        ];
        for (target, expected) in cases {
            let within = base.taken_off(&target.parse().unwrap());
            assert_eq!(
                within.map(|uri| uri.to_string()).as_deref(),
                expected,
                "{target}"
            );
        }
        let absolute = "http://h/tools/majordomo/x?y".parse().unwrap();
        assert_eq!(base.taken_off(&absolute).unwrap(), "http://h/x?y");
    }

    #[test]
    fn without_a_path_nothing_is_taken_off() {
        for none in ["", "/"] {
            let base = BasePath::new(none);
            assert_eq!((base.as_str(), base.cookie_path()), ("", "/"));
            assert_eq!(base.taken_off(&"/v1/chat".parse().unwrap()), None);
        }
    }
}
