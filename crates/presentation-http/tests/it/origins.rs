//! Which web pages may open a socket.

use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use majordomo_presentation_http::origin::AllowedOrigins;

fn allows(origins: &[&str], host: &str, origin: Option<&str>) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("host"),
        HeaderValue::from_str(host).unwrap(),
    );
    if let Some(origin) = origin {
        headers.insert(
            HeaderName::from_static("origin"),
            HeaderValue::from_str(origin).unwrap(),
        );
    }
    let origins = AllowedOrigins::new(origins.iter().map(|&origin| origin.to_owned()).collect())
        .with_own(Some("https://public.example".to_owned()));
    origins.allows_socket(&headers, &Uri::from_static("/ws"))
}

#[test]
fn sockets_open_for_programs_the_own_pages_and_allowed_ones() {
    let cases: [(&[&str], &str, Option<&str>, bool); 13] = [
        (&[], "chat.example", None, true),
        (&[], "chat.example", Some("https://chat.example"), true),
        (
            &[],
            "chat.example:8443",
            Some("https://chat.example:8443"),
            true,
        ),
        (&[], "chat.example", Some("https://evil.example"), false),
        (
            &[],
            "chat.example",
            Some("https://chat.example.evil.example"),
            false,
        ),
        (&[], "chat.example", Some("null"), false),
        (
            &["https://app.example/"],
            "chat.example",
            Some("https://app.example"),
            true,
        ),
        (&[], "localhost:8888", Some("http://localhost:1420"), true),
        (&[], "chat.example", Some("http://localhost:1420"), false),
        (&[], "chat.example", Some("tauri://localhost"), true),
        (&[], "localhost:8888", Some("https://evil.example"), false),
        // A proxy that does not pass the client's `Host` on.
        (&[], "127.0.0.1:8888", Some("https://public.example"), true),
        (&[], "127.0.0.1:8888", Some("http://public.example"), false),
    ];
    for (origins, host, origin, expected) in cases {
        assert_eq!(
            allows(origins, host, origin),
            expected,
            "{origins:?} {host} {origin:?}"
        );
    }
}
