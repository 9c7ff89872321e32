//! Doc comments of handlers and the URLs that they answer.

use super::{Route, documented, fit, path_of};
use crate::tree::Source;

const HANDLERS: &str = r"//! Sessions.

/// GET /not/a/handler: a type.
pub struct Query;

/// GET /api/v1/sessions/{id}: One session.
///
/// GET /prose/further/down does not count here: the comment's own routes come first.
#[api_v2_operation(
    tags(Sessions),
)]
#[allow_me]
pub(crate) async fn get_session(path: Path<String>) -> Reply {
    // GET /comment: nothing
}

/// GET /ws, /api/v1/ws and /v1/ws: The socket.
/// POST /ws
pub async fn socket() {}

/// Answers `GET /health` of old.
fn prose() {}

/// `DELETE /api/v1/sessions/{id}`: Removes it.
async fn delete_session<T>(value: T) {}
";

fn found() -> Vec<(String, String, String, usize)> {
    let source = Source {
        path: "crates/presentation-pocketpaw/src/sessions.rs".to_owned(),
        text: HANDLERS.to_owned(),
    };
    documented(&source)
        .into_iter()
        .map(|route: Route| (route.method, route.path, route.function, route.line))
        .collect()
}

#[test]
fn routes_come_from_the_head_of_a_handlers_comment() {
    let expected = [
        ("GET", "/api/v1/sessions/{id}", "get_session", 13),
        ("GET", "/ws", "socket", 19),
        ("GET", "/api/v1/ws", "socket", 19),
        ("GET", "/v1/ws", "socket", 19),
        ("POST", "/ws", "socket", 19),
        ("DELETE", "/api/v1/sessions/{id}", "delete_session", 25),
    ]
    .map(|(method, path, function, line)| {
        (
            method.to_owned(),
            path.to_owned(),
            function.to_owned(),
            line,
        )
    });
    assert_eq!(found(), expected);
}

#[test]
fn templates_fit_segment_by_segment() {
    let check = |template: &str, path: &str, expected: Option<usize>| {
        assert_eq!(fit(template, path), expected, "{template} for {path}");
    };
    check("/api/v1/sessions/{id}", "/api/v1/sessions/abc", Some(3));
    check(
        "/api/v1/sessions/search",
        "/api/v1/sessions/search",
        Some(4),
    );
    check("/api/v1/sessions/{id}", "/api/v1/sessions", None);
    check("/api/v1/sessions/{id}", "/api/v1/sessions/a/b", None);
    check("/swagger-ui/", "/swagger-ui", Some(1));
    check("/files/{path:.*}", "/files/a/b/c", Some(1));
    check("/export/{id}.json", "/export/abc.json", Some(1));
    check("/export/{id}.json", "/export/abc.md", None);
    check("/export/{id}.json", "/export/.json", None);
    check("/", "/", Some(0));
    check("/", "/health", None);
}

#[test]
fn a_url_is_cut_down_to_its_path() {
    for url in [
        "/api/v1/sessions?limit=5",
        "http://localhost:8888/api/v1/sessions",
        "https://example.org/api/v1/sessions#top",
    ] {
        assert_eq!(path_of(url), "/api/v1/sessions");
    }
    assert_eq!(path_of("http://localhost:8888"), "/");
}
