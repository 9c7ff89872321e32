//! How clients name sessions and places in streams.

use actix_web::test::TestRequest;
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{ErrorClass, Location, ResumeFrom, RunPosition};
use majordomo_testkit::builders::run_id;

fn position(run: &str, after: u64) -> RunPosition {
    RunPosition {
        run: run_id(run),
        after,
    }
}

#[test]
fn a_place_is_a_run_and_a_number() {
    assert_eq!(RunPosition::parse("run-1.7"), Some(position("run-1", 7)));
    assert_eq!(RunPosition::parse(" a.b.0 "), Some(position("a.b", 0)));
    for text in [
        "", "7", "run-1", "run-1.", ".7", "run-1.x", "run-1.-1", "a/b.1",
    ] {
        assert_eq!(RunPosition::parse(text), None, "{text}");
    }
}

#[test]
fn the_header_goes_before_the_query() {
    let cases = [
        (Some("run-1.7"), "", Some(position("run-1", 7))),
        (
            Some("run-1.7"),
            "run=run-2&after=3",
            Some(position("run-1", 7)),
        ),
        (None, "after=3&run=run-2", Some(position("run-2", 3))),
        (None, "run=run-2", Some(position("run-2", 0))),
        (Some(""), "run=run-2", Some(position("run-2", 0))),
        (None, "after=3", None),
        (None, "", None),
    ];
    for (header, query, expected) in cases {
        let mut request = TestRequest::get().uri(&format!("/stream?{query}"));
        if let Some(header) = header {
            request = request.insert_header(("last-event-id", header));
        }
        let found = ResumeFrom::of(&request.to_http_request()).unwrap().0;
        assert_eq!(found, expected, "{header:?} {query}");
    }
}

#[test]
fn a_place_that_cannot_be_read_is_refused() {
    let cases = [
        (Some("7"), "run=run-2&after=3", "Last-Event-ID"),
        (None, "run=run-2&after=x", "after"),
        (None, "after=null", "after"),
        (None, "run=a%2Fb", "run"),
        (None, "run=", "run"),
    ];
    for (header, query, field) in cases {
        let mut request = TestRequest::get().uri(&format!("/stream?{query}"));
        if let Some(header) = header {
            request = request.insert_header(("last-event-id", header));
        }
        let error = ResumeFrom::of(&request.to_http_request()).unwrap_err();
        assert_eq!(error.issues()[0].field, field, "{header:?} {query}");
    }
}

#[test]
fn a_session_has_one_name_with_or_without_its_prefix() {
    for text in ["abc", "websocket_abc", "websocket:abc"] {
        let id = session_id(Location::Body, "session_id", text).unwrap();
        assert_eq!(id.as_str(), "abc");
    }
    let bare = session_id(Location::Query, "id", "websocket_").unwrap();
    assert_eq!(bare.as_str(), "websocket_", "a prefix of nothing is a name");
    let error = session_id(Location::Query, "id", "").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    let issue = &error.issues()[0];
    assert_eq!(
        (issue.location, issue.field.as_str(), issue.error.as_str()),
        (Location::Query, "id", "must not be empty")
    );
}
