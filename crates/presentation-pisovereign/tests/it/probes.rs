//! `/health`, `/ready`, `/ready/all`.

use majordomo_application::ports::{ModelError, ModelErrorKind};
use serde_json::{Value, json};

use crate::support::{Answer, Site, get};

/// The answer with its measured times taken out, which are checked to be numbers.
fn without_times(answer: &Answer) -> Value {
    fn strip(value: &mut Value) {
        let Some(members) = value.as_object_mut() else {
            return;
        };
        if let Some(time) = members.remove("latency_ms") {
            assert!(time.is_u64(), "{time}");
        }
        members.values_mut().for_each(strip);
    }
    let mut body = answer.json();
    strip(&mut body);
    body
}

#[actix_web::test]
async fn health_satisfies_both_of_its_clients() {
    let site = Site::new().await;
    site.ask(get("/health")).await.is(
        200,
        &json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "timestamp": "2026-02-02T02:40:00.000Z",
            "installMode": "docker"
        }),
    );
}

#[actix_web::test]
async fn ready_tells_of_the_model() {
    let site = Site::new().await;
    let answer = site.ask(get("/ready")).await;
    let expected = json!({
        "status": "ready", "inference": { "healthy": true, "model": "mock/small" }
    });
    assert_eq!((answer.status, without_times(&answer)), (200, expected));
}

#[actix_web::test]
async fn a_model_that_does_not_answer_makes_the_server_not_ready() {
    let site = Site::new().await;
    let error = ModelError::new(ModelErrorKind::Unavailable, "mock does not answer");
    site.model.offer(Err(error));
    let answer = site.ask(get("/ready")).await;
    let expected = json!({
        "status": "not_ready",
        "inference": { "healthy": false, "model": "mock/small", "error": "mock does not answer" }
    });
    assert_eq!((answer.status, without_times(&answer)), (503, expected));
}

#[actix_web::test]
async fn ready_all_tells_of_every_part() {
    let site = Site::new().await;
    let answer = site.ask(get("/ready/all")).await;
    let absent = json!({ "healthy": true, "configured": false });
    let expected = json!({
        "status": "ready",
        "services": {
            "inference": { "healthy": true },
            "database": { "healthy": true },
            "cache": absent, "whatsapp": absent, "email": absent, "calendar": absent, "weather": absent
        },
        "latency_percentiles": { "p50_ms": 0.0, "p90_ms": 0.0, "p99_ms": 0.0 }
    });
    assert_eq!((answer.status, without_times(&answer)), (200, expected));
}

#[actix_web::test]
async fn a_database_that_does_not_answer_makes_the_server_not_ready() {
    let site = Site::new().await;
    site.store.set_down(true);
    let answer = site.ask(get("/ready/all")).await;
    let body = without_times(&answer);
    assert_eq!(answer.status, 503);
    assert_eq!(body["status"], "not_ready");
    assert_eq!(
        body["services"]["database"],
        json!({ "healthy": false, "error": "the database does not answer" })
    );
    assert_eq!(body["services"]["inference"], json!({ "healthy": true }));
    let calls = site.store.calls();
    assert_eq!(site.ask(get("/ready/all")).await.status, 503);
    assert_eq!(site.store.calls(), calls, "asked again within a second");
}

#[actix_web::test]
async fn percentiles_are_those_of_answers_so_far() {
    let site = Site::new().await;
    for _ in 0..20 {
        site.ask(get("/health")).await;
    }
    let body = site.ask(get("/ready/all")).await.json();
    let percentile = |name: &str| body["latency_percentiles"][name].as_f64().unwrap();
    assert!(percentile("p50_ms") > 0.0, "{body}");
    assert!(percentile("p50_ms") <= percentile("p90_ms"), "{body}");
    assert!(percentile("p90_ms") <= percentile("p99_ms"), "{body}");
}
