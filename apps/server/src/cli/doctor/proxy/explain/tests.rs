//! Every misconfiguration is found, and told with its remedy.

use serde_json::{Value, json};

use super::{Report, explain};
use crate::cli::doctor::finding::State;

const CLAIMED: &str = "203.0.113.99";

/// A report of a well configured server behind one proxy, with these parts changed.
fn report(changes: Value) -> Report {
    let mut report = json!({
        "hops": [{ "address": "127.0.0.1", "trusted": true }, { "address": "198.51.100.7", "trusted": false }],
        "client": "198.51.100.7",
        "address_header": "x-forwarded-for",
        "https": true,
        "host": "example.org",
        "public_origin": "https://example.org",
        "base_path": "",
        "base_path_received": false,
        "forwarding_headers": [
            { "name": "x-forwarded-for", "value": "198.51.100.7" },
            { "name": "x-forwarded-proto", "value": "https" },
            { "name": "forwarded", "value": "for=203.0.113.99" }
        ]
    });
    if let (Some(report), Value::Object(changes)) = (report.as_object_mut(), changes) {
        report.extend(changes);
    }
    serde_json::from_value(report).unwrap()
}

/// The subjects that are bad or hinted at, with their words and remedies.
fn troubles(url: &str, changes: Value) -> Vec<(State, &'static str, String)> {
    explain(&url.parse().unwrap(), &report(changes), CLAIMED)
        .into_iter()
        .filter(|finding| finding.state != State::Good)
        .map(|finding| {
            let remedy = finding.remedy.expect("every trouble has a remedy");
            (
                finding.state,
                finding.subject,
                format!("{} -> {remedy}", finding.says),
            )
        })
        .collect()
}

#[test]
fn nothing_is_wrong_where_nothing_is_wrong() {
    assert_eq!(troubles("https://example.org", json!({})), []);
    let under = json!({ "base_path": "/majordomo", "base_path_received": true });
    assert_eq!(troubles("https://example.org/majordomo/", under), []);
}

#[test]
fn each_mistake_is_found() {
    let untrusted = json!([{ "address": "10.1.2.3", "trusted": false }]);
    let silent = json!([{ "address": "127.0.0.1", "trusted": true }]);
    let spoofed = json!([
        { "address": "127.0.0.1", "trusted": true }, { "address": CLAIMED, "trusted": false }
    ]);
    let only_proxies = json!([
        { "address": "127.0.0.1", "trusted": true }, { "address": "10.1.2.3", "trusted": true }
    ]);
    let cases = [
        (
            "https://example.org",
            json!({ "hops": untrusted, "client": "10.1.2.3" }),
            "client",
            "add \"10.1.2.3\" to server.trusted_proxies",
        ),
        (
            "https://example.org",
            json!({ "hops": silent, "client": "127.0.0.1" }),
            "client",
            "let it set x-forwarded-for",
        ),
        (
            "https://example.org",
            json!({ "hops": spoofed, "client": CLAIMED }),
            "client",
            "proxy_set_header X-Forwarded-For $remote_addr",
        ),
        (
            "https://example.org",
            json!({ "hops": only_proxies, "client": "10.1.2.3" }),
            "client",
            "trust only the addresses of your proxies",
        ),
        (
            "https://example.org",
            json!({ "hops": [], "client": null }),
            "client",
            "over TCP",
        ),
        (
            "https://example.org",
            json!({ "https": false }),
            "https",
            "set server.public_url = \"https://example.org\"",
        ),
        (
            "https://example.org",
            json!({ "public_origin": null, "host": "127.0.0.1:8888" }),
            "host",
            "pass the Host on",
        ),
        (
            "https://example.org",
            json!({ "public_origin": "https://other.example" }),
            "host",
            "set server.public_url = \"https://example.org\"",
        ),
        (
            "https://example.org/majordomo",
            json!({}),
            "path",
            "set server.public_url = \"https://example.org/majordomo\"",
        ),
    ];
    for (url, changes, subject, remedy) in cases {
        let found = troubles(url, changes.clone());
        let subjects: Vec<&str> = found.iter().map(|(_, subject, _)| *subject).collect();
        assert_eq!(subjects, [subject], "{changes}");
        assert!(found[0].2.contains(remedy), "{}", found[0].2);
    }
}

#[test]
fn a_direct_connection_is_no_mistake_and_plain_http_is_a_hint() {
    let direct = json!({
        "hops": [{ "address": "127.0.0.1", "trusted": false }],
        "client": "127.0.0.1",
        "https": false,
        "host": "127.0.0.1:8888",
        "public_origin": null,
        "forwarding_headers": [
            { "name": "x-forwarded-for", "value": CLAIMED },
            { "name": "forwarded", "value": format!("for={CLAIMED}") }
        ]
    });
    let found = troubles("http://127.0.0.1:8888", direct.clone());
    assert_eq!(
        (found.len(), found[0].0, found[0].1),
        (1, State::Hint, "https")
    );
    let believed = troubles("http://127.0.0.1:8888", {
        let mut changes = direct;
        changes["https"] = true.into();
        changes
    });
    assert_eq!((believed[0].0, believed[0].1), (State::Bad, "https"));
}
