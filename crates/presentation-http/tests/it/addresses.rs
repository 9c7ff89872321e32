//! Which address a request comes from, seen through proxies.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use majordomo_presentation_http::address::TrustedProxies;

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
