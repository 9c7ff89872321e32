//! Which address a request comes from, seen through proxies.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use majordomo_presentation_http::address::{ForwardedHeader, TrustedProxies};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_proxy_is_known_by_its_range_however_its_address_is_written() {
    let cases = [
        ("10.0.0.0/8", "10.255.1.2", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true),
    ];
    for (network, address, expected) in cases {
        let proxies = TrustedProxies::new(vec![network.parse().unwrap()]);
        assert_eq!(
            proxies.contains(ip(address)),
            expected,
            "{network} {address}"
        );
    }
}

#[test]
fn the_client_is_the_rightmost_hop_that_is_not_trusted() {
    let proxies = TrustedProxies::new(vec![
        "10.0.0.0/8".parse().unwrap(),
        "::1/128".parse().unwrap(),
    ]);
    let cases: [(&str, &[&str], &str); 9] = [
        // Nobody but a trusted peer is believed.
        ("203.0.113.5", &["1.2.3.4"], "203.0.113.5"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        // What the client claims itself stands further left.
        ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        (
            "10.0.0.1",
            &["1.1.1.1", "198.51.100.1, 10.0.0.9"],
            "198.51.100.1",
        ),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", &["198.51.100.1, garbage"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
        ("::1", &["[2001:db8::7]:443"], "2001:db8::7"),
    ];
    for (peer, lines, expected) in cases {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_str(line).unwrap(),
            );
        }
        assert_eq!(
            proxies.client_address(ip(peer), &headers),
            ip(expected),
            "{peer} {lines:?}"
        );
    }
}

#[test]
fn forwarded_is_walked_alike_and_nothing_else_is_read_then() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()])
        .writing(ForwardedHeader::Forwarded);
    let cases = [
        ("for=198.51.100.1;proto=https", "198.51.100.1", true),
        ("for=198.51.100.1;proto=http", "198.51.100.1", false),
        (
            "for=1.1.1.1;proto=https, for=198.51.100.1",
            "198.51.100.1",
            false,
        ),
        (
            "For=\"[2001:db8::7]:443\"; Proto=HTTPS",
            "2001:db8::7",
            true,
        ),
        (
            "for=198.51.100.1;proto=https, for=10.0.0.9;proto=http",
            "198.51.100.1",
            true,
        ),
        // A quote that a client leaves open does not hide what the proxy adds.
        ("for=\"1.1.1.1, for=198.51.100.1", "198.51.100.1", false),
        ("for=unknown;proto=https", "10.0.0.1", false),
        ("for=_hidden", "10.0.0.1", false),
        ("", "10.0.0.1", false),
    ];
    for (line, client, https) in cases {
        let mut headers = HeaderMap::new();
        headers.append(
            HeaderName::from_static("forwarded"),
            HeaderValue::from_str(line).unwrap(),
        );
        headers.append(
            HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_static("203.0.113.99"),
        );
        headers.append(
            HeaderName::from_static("x-forwarded-proto"),
            HeaderValue::from_static("https"),
        );
        let peer = ip("10.0.0.1");
        assert_eq!(proxies.client_address(peer, &headers), ip(client), "{line}");
        assert_eq!(proxies.says_https(Some(peer), &headers), https, "{line}");
    }
}

#[test]
fn the_scheme_is_what_the_nearest_proxy_says() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let cases = [
        ("10.0.0.1", "https", true),
        ("10.0.0.1", "HTTPS", true),
        ("10.0.0.1", "http", false),
        ("10.0.0.1", "https, http", false),
        ("10.0.0.1", "http, https", true),
        ("198.51.100.1", "https", false),
    ];
    for (peer, value, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.append(
            HeaderName::from_static("x-forwarded-proto"),
            HeaderValue::from_str(value).unwrap(),
        );
        assert_eq!(
            proxies.says_https(Some(ip(peer)), &headers),
            expected,
            "{peer} {value}"
        );
    }
}

#[test]
fn every_hop_is_told_from_the_peer_to_the_client() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    let mut headers = HeaderMap::new();
    headers.append(
        HeaderName::from_static("x-forwarded-for"),
        HeaderValue::from_static("1.1.1.1, 198.51.100.1, 10.0.0.9"),
    );
    let told: Vec<(String, bool)> = proxies
        .hops(ip("10.0.0.1"), &headers)
        .into_iter()
        .map(|hop| (hop.address.to_string(), hop.trusted))
        .collect();
    let expected = [
        ("10.0.0.1", true),
        ("10.0.0.9", true),
        ("198.51.100.1", false),
    ];
    assert_eq!(
        told,
        expected.map(|(address, trusted)| (address.to_owned(), trusted))
    );
}
