//! Request ids, security headers and cross-origin answers.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use majordomo_presentation_http::base_path::BasePath;
use majordomo_presentation_http::origin::AllowedOrigins;

use crate::support::{Setup, get, site};

#[actix_web::test]
async fn every_answer_has_the_security_headers() {
    let site = site(Setup::default()).await;
    for uri in ["/health", "/v1/nowhere", "/v1/broken"] {
        let answer = site.ask(get(uri)).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store, no-cache, must-revalidate"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{uri}");
        }
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let secure = crate::support::site(Setup {
        public_https: true,
        ..Setup::default()
    })
    .await;
    assert!(
        secure
            .ask(get("/health"))
            .await
            .header("strict-transport-security")
            .is_some()
    );
}

fn preflight(origin: &'static str) -> TestRequest {
    TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/v1/things")
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", "POST"))
        .insert_header((
            "access-control-request-headers",
            "authorization, content-type",
        ))
}

#[actix_web::test]
async fn preflights_are_answered_without_a_credential() {
    let site = site(Setup {
        origins: AllowedOrigins::new(vec!["https://app.example/".to_owned()]),
        ..Setup::default()
    })
    .await;
    for origin in [
        "https://app.example",
        "http://localhost:1420",
        "tauri://localhost",
    ] {
        let answer = site.ask(preflight(origin)).await;
        assert_eq!(answer.status, 200, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, content-type")
        );
        assert!(
            answer
                .header("access-control-allow-methods")
                .unwrap()
                .contains("PATCH")
        );
    }
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.evil.example",
    ] {
        let answer = site.ask(preflight(origin)).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, "Disallowed CORS origin"),
            "{origin}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let plain = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/v1/things");
    assert_eq!(site.ask(plain).await.status, 405);
}

#[actix_web::test]
async fn only_allowed_pages_read_answers() {
    let site = site(Setup::default()).await;
    let near = site
        .ask(get("/v1/nowhere").insert_header(("origin", "http://localhost:3000")))
        .await;
    assert_eq!(
        near.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    assert_eq!(near.header("vary"), Some("Origin"));
    assert!(
        near.header("access-control-expose-headers")
            .unwrap()
            .contains("X-Request-Id")
    );
    let far = site
        .ask(get("/health").insert_header(("origin", "https://evil.example")))
        .await;
    assert_eq!(far.header("access-control-allow-origin"), None);
}

#[actix_web::test]
async fn documentation_pages_run_their_own_script_and_nothing_else() {
    let response = majordomo_presentation_http::docs_pages::page(
        "A <b> \"API\"",
        "/openapi.json",
        &BasePath::new("/under"),
    );
    let policy = response
        .headers()
        .get("content-security-policy")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let body = actix_web::body::to_bytes(response.into_body())
        .await
        .unwrap();
    let html = String::from_utf8(body.to_vec()).unwrap();
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert_eq!(nonce.len(), 32);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(
        html.matches(&format!("nonce=\"{nonce}\"")).count(),
        2,
        "one style, one script"
    );
    assert!(html.contains("A &lt;b&gt; &quot;API&quot;") && html.contains("/openapi.json"));
    assert!(!html.contains("{{"));
    for foreign in ["http://", "https://", " style=", "onclick=", "innerHTML"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[actix_web::test]
async fn a_server_under_a_path_answers_whether_or_not_the_proxy_takes_it_off() {
    let site = site(Setup {
        base: BasePath::new("/tools/majordomo"),
        ..Setup::default()
    })
    .await;
    for uri in [
        "/health",
        "/tools/majordomo/health",
        "/tools/majordomo/health?a=b",
    ] {
        let answer = site.ask(get(uri)).await;
        assert_eq!(answer.status, 200, "{uri}");
    }
    for uri in [
        "/tools/health",
        "/tools/majordomos/health",
        "/tools/majordomo",
    ] {
        let answer = site.ask(get(uri)).await;
        assert_eq!(answer.status, 404, "{uri}");
    }
}
