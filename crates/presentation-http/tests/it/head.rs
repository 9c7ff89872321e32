//! `HEAD` answers what `GET` would, without the body.

use actix_web::http::Method;
use actix_web::test::TestRequest;

use crate::support::{Answer, Setup, get, local, site};

fn head(uri: &str) -> TestRequest {
    local(TestRequest::default().method(Method::HEAD).uri(uri))
}

/// The headers that do not differ from request to request.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            !name.as_str().starts_with("x-ratelimit") && name.as_str() != "x-request-id"
        })
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    headers
}

#[actix_web::test]
async fn routes_of_get_answer_without_a_body() {
    let site = site(Setup::default()).await;
    for path in ["/health", "/v1/whoami", "/v1/nowhere", "/v1/broken"] {
        let (whole, empty) = (site.ask(get(path)).await, site.ask(head(path)).await);
        assert_eq!(empty.status, whole.status, "{path}");
        assert_eq!(lasting(&empty), lasting(&whole), "{path}");
        assert_eq!(empty.body, "", "{path}");
        assert_ne!(whole.body, "", "{path}");
    }
}

#[actix_web::test]
async fn routes_without_get_stay_closed() {
    let site = site(Setup::default()).await;
    let refused = site.ask(head("/v1/things/7")).await;
    assert_eq!((refused.status, refused.body.as_str()), (405, ""));
    let upgrade = head("/health").insert_header(("upgrade", "websocket"));
    assert_ne!(site.ask(upgrade).await.status, 200);
}
