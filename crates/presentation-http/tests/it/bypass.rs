//! When a request from this machine needs no credential.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use majordomo_presentation_http::auth::{BypassRefusal, LocalBypass, LocalBypassConfig};

fn bypass(enabled: bool, listeners: &[&str], public: bool, proxies: bool) -> LocalBypass {
    let listeners: Vec<SocketAddr> = listeners.iter().map(|text| text.parse().unwrap()).collect();
    LocalBypass::new(LocalBypassConfig {
        enabled,
        listeners: &listeners,
        has_public_url: public,
        has_trusted_proxies: proxies,
    })
}

fn check(
    bypass: LocalBypass,
    peer: &str,
    headers: &[(&str, &str)],
    target: &str,
) -> Result<(), BypassRefusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    let peer: Option<IpAddr> = peer.parse().ok();
    bypass.check(peer, &map, &target.parse::<Uri>().unwrap())
}

#[test]
fn it_is_open_only_where_nothing_but_this_machine_reaches_the_server() {
    let host = [("host", "localhost")];
    let cases = [
        (bypass(true, &["127.0.0.1:8888"], false, false), true),
        (
            bypass(
                true,
                &["127.0.0.1:1", "[::1]:2", "127.9.9.9:3"],
                false,
                false,
            ),
            true,
        ),
        (bypass(false, &["127.0.0.1:8888"], false, false), false),
        (bypass(true, &["0.0.0.0:8888"], false, false), false),
        (
            bypass(true, &["127.0.0.1:1", "192.168.1.4:2"], false, false),
            false,
        ),
        (bypass(true, &["[::]:1"], false, false), false),
        (bypass(true, &[], false, false), false),
        (bypass(true, &["127.0.0.1:8888"], true, false), false),
        (bypass(true, &["127.0.0.1:8888"], false, true), false),
        (LocalBypass::closed(), false),
    ];
    for (number, (bypass, open)) in cases.into_iter().enumerate() {
        let expected = if open {
            Ok(())
        } else {
            Err(BypassRefusal::Closed)
        };
        assert_eq!(
            check(bypass, "127.0.0.1", &host, "/"),
            expected,
            "case {number}"
        );
    }
}

fn open() -> LocalBypass {
    bypass(true, &["127.0.0.1:8888"], false, false)
}

#[test]
fn it_asks_for_a_peer_on_this_machine() {
    let host = [("host", "localhost")];
    for peer in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(check(open(), peer, &host, "/"), Ok(()), "{peer}");
    }
    for peer in ["192.168.1.9", "::", "fe80::1", "unknown"] {
        assert_eq!(
            check(open(), peer, &host, "/"),
            Err(BypassRefusal::Peer),
            "{peer}"
        );
    }
}

#[test]
fn it_asks_for_a_host_that_names_this_machine() {
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.0.0.1:8888",
        "[::1]",
        "[::1]:8888",
    ] {
        assert_eq!(
            check(open(), "::1", &[("host", host)], "/"),
            Ok(()),
            "{host}"
        );
    }
    for host in [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:localhost",
        "localhost:",
        "localhost:+80",
        "localhost:99999",
        "user@localhost",
        "127.0.0.1.nip.io",
        "[::1",
        "[::1]x",
        "::1",
        "0.0.0.0",
    ] {
        let refused = Err(BypassRefusal::Host);
        assert_eq!(
            check(open(), "::1", &[("host", host)], "/"),
            refused,
            "{host}"
        );
    }
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(check(open(), "::1", &twice, "/"), Err(BypassRefusal::Host));
    assert_eq!(check(open(), "::1", &[], "/"), Err(BypassRefusal::Host));
    let host = [("host", "localhost")];
    assert_eq!(check(open(), "::1", &host, "http://localhost/x"), Ok(()));
    let elsewhere = check(open(), "::1", &host, "http://evil.example/x");
    assert_eq!(elsewhere, Err(BypassRefusal::Host));
}

#[test]
fn it_refuses_pages_of_elsewhere() {
    for origin in [
        "http://localhost:1420",
        "https://127.0.0.1",
        "http://[::1]:3000",
        "tauri://localhost",
        "https://tauri.localhost",
        "http://tauri.localhost",
    ] {
        let headers = [("host", "localhost"), ("origin", origin)];
        assert_eq!(check(open(), "::1", &headers, "/"), Ok(()), "{origin}");
    }
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "file://localhost",
        "chrome-extension://abc",
        "http://localhost/",
        "http://localhost, https://evil.example",
    ] {
        let headers = [("host", "localhost"), ("origin", origin)];
        assert_eq!(
            check(open(), "::1", &headers, "/"),
            Err(BypassRefusal::Origin),
            "{origin}"
        );
    }
    let both = [
        ("host", "localhost"),
        ("origin", "http://localhost"),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(check(open(), "::1", &both, "/"), Err(BypassRefusal::Origin));
}

#[test]
fn any_header_of_a_proxy_closes_it() {
    for name in [
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-Forwarded-For",
        "X-Original-Host",
        "CF-Connecting-IP",
        "CF-Ray",
        "CDN-Loop",
        "True-Client-IP",
        "Fly-Client-IP",
        "Fastly-Client-IP",
        "X-Envoy-External-Address",
        "Tailscale-User-Login",
        "X-Azure-ClientIP",
    ] {
        let headers = [("host", "localhost"), (name, "")];
        assert_eq!(
            check(open(), "127.0.0.1", &headers, "/"),
            Err(BypassRefusal::Forwarded),
            "{name}"
        );
    }
    let harmless = [
        ("host", "localhost"),
        ("accept", "*/*"),
        ("user-agent", "x"),
        ("x-request-id", "1"),
    ];
    assert_eq!(check(open(), "127.0.0.1", &harmless, "/"), Ok(()));
}
