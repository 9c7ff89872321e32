//! How often a client may ask, and what it is told.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_domain::ApiKeyId;
use majordomo_presentation_http::LimitClass;
use majordomo_presentation_http::rate_limit::{Rate, RateLimitConfig, RateLimits};
use majordomo_testkit::builders::at;

use crate::support::{Setup, answer, bearer, get, site};

fn per_minute(count: u32) -> RateLimitConfig {
    RateLimitConfig {
        per_minute: Rate::per_minute(NonZeroU32::new(count).unwrap()),
        ..RateLimitConfig::default()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[actix_web::test]
async fn answers_tell_what_is_left_and_when_to_come_back() {
    let site = site(Setup {
        rate_limits: per_minute(2),
        ..Setup::default()
    })
    .await;
    site.clock.set(at(1000));
    let app = site.app().await;
    let first = answer(&app, get("/v1/whoami")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
    let now = at(1000).as_secs();
    assert_eq!(
        first.header("x-ratelimit-reset"),
        Some((now + 30).to_string().as_str())
    );
    assert_eq!(
        answer(&app, get("/v1/whoami"))
            .await
            .header("x-ratelimit-remaining"),
        Some("0")
    );

    let refused = answer(&app, get("/v1/whoami")).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((29..=30).contains(&wait), "{wait}");
    assert_eq!(refused.json()["retry_after"], wait);
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert!(refused.header("x-request-id").is_some());

    // Credentials are not even looked at.
    assert_eq!(
        answer(&app, bearer(get("/v1/whoami"), "wrong"))
            .await
            .status,
        429
    );
    // Others, and what is exempt, are not touched.
    let other = TestRequest::get()
        .uri("/v1/broken")
        .peer_addr("203.0.113.8:1".parse().unwrap());
    assert_eq!(answer(&app, other).await.status, 500);
    let health = answer(&app, get("/health")).await;
    assert_eq!(
        (health.status, health.header("x-ratelimit-limit")),
        (200, None)
    );
}

#[actix_web::test]
async fn the_switch_turns_everything_off() {
    let site = site(Setup {
        rate_limits: RateLimitConfig {
            enabled: false,
            ..per_minute(1)
        },
        ..Setup::default()
    })
    .await;
    let app = site.app().await;
    for _ in 0..20 {
        let answer = answer(&app, get("/v1/whoami")).await;
        assert_eq!(
            (answer.status, answer.header("x-ratelimit-limit")),
            (200, None)
        );
    }
}

#[test]
fn each_class_has_its_own_documented_burst() {
    let limits = RateLimits::new(&RateLimitConfig::default());
    for (class, burst) in [
        (LimitClass::PerMinute, 120),
        (LimitClass::Api, 30),
        (LimitClass::Login, 5),
        (LimitClass::WebSocket, 5),
    ] {
        for number in 1..=burst {
            let decision = limits.check(class, Some(ip("192.0.2.1"))).unwrap();
            assert_eq!(decision.retry_after, None, "{class:?} {number}");
            assert_eq!(decision.allowance.limit, burst);
        }
        let decision = limits.check(class, Some(ip("192.0.2.1"))).unwrap();
        assert!(
            decision
                .retry_after
                .is_some_and(|wait| wait <= Duration::from_secs(1)),
            "{class:?}"
        );
    }
    assert_eq!(
        limits.check(LimitClass::Unlimited, Some(ip("192.0.2.1"))),
        None
    );
}

#[test]
fn one_ipv6_subscriber_has_one_bucket() {
    let limits = RateLimits::new(&per_minute(1));
    let refused = |address| {
        limits
            .check(LimitClass::PerMinute, Some(ip(address)))
            .unwrap()
            .retry_after
            .is_some()
    };
    assert!(!refused("2001:db8:1:2::1"));
    assert!(refused("2001:db8:1:2:ffff::9"));
    assert!(!refused("2001:db8:1:3::1"));
    assert!(!refused("192.0.2.1"));
    assert!(refused("::ffff:192.0.2.1"));
}

#[test]
fn an_api_key_has_a_bucket_wherever_it_is_used_from() {
    let limits = RateLimits::new(&RateLimitConfig {
        api_key: Rate::per_minute(NonZeroU32::new(2).unwrap()),
        ..RateLimitConfig::default()
    });
    let key = ApiKeyId::parse("one").unwrap();
    let other = ApiKeyId::parse("two").unwrap();
    assert!(limits.check_api_key(LimitClass::Api, &key, None).is_ok());
    assert!(limits.check_api_key(LimitClass::Api, &key, None).is_ok());
    assert!(limits.check_api_key(LimitClass::Api, &key, None).is_err());
    assert!(limits.check_api_key(LimitClass::Api, &other, None).is_ok());
    assert!(
        limits
            .check_api_key(LimitClass::PerMinute, &key, None)
            .is_ok()
    );
}

#[test]
fn a_crowd_of_addresses_shares_buckets() {
    let limits = RateLimits::new(&per_minute(1));
    for number in 0..110_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        limits.check(LimitClass::PerMinute, Some(IpAddr::V4(address)));
    }
    // A fresh network: its first address takes the token of all its neighbours.
    assert!(
        limits
            .check(LimitClass::PerMinute, Some(ip("198.51.100.1")))
            .unwrap()
            .retry_after
            .is_none()
    );
    assert!(
        limits
            .check(LimitClass::PerMinute, Some(ip("198.51.200.2")))
            .unwrap()
            .retry_after
            .is_some()
    );
}
