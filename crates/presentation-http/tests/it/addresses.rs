//! Which address a request comes from, seen through proxies.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use majordomo_presentation_http::address::{IpNetwork, TrustedProxies};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn ranges_contain_what_their_prefix_says() {
    let cases = [
        ("10.0.0.0/8", "10.255.1.2", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::/0", "2001:db8::1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true),
    ];
    for (network, address, expected) in cases {
        let network: IpNetwork = network.parse().unwrap();
        assert_eq!(
            network.contains(ip(address)),
            expected,
            "{network:?} {address}"
        );
    }
    for bad in [
        "",
        "10.0.0.0/33",
        "::/129",
        "10.0.0",
        "10.0.0.0/",
        "example.org",
        "10.0.0.0/-1",
    ] {
        assert!(bad.parse::<IpNetwork>().is_err(), "{bad:?}");
    }
}

#[test]
fn the_client_is_the_rightmost_hop_that_is_not_trusted() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
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
