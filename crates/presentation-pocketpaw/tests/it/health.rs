//! Health, the latest errors, and the machine.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_application::operations::HealthService;
use majordomo_application::ports::{
    Battery, Capacity, ErrorLog as _, MachineMeter, MachineUsage, ModelError, ModelErrorKind,
    NewLoggedError, ProcessorTime, Severity,
};
use majordomo_testkit::{FixedClock, InMemoryErrorLog};
use serde_json::json;

use crate::world::{BOB, World, bearer};

const NOW: &str = "2026-02-02T02:40:00.000000+00:00";

#[actix_web::test]
async fn health_tells_what_does_not_answer() {
    let world = World::playing([]).await;
    let healthy = json!({
        "status": "healthy", "message": null, "check_count": 2, "issues": [], "last_check": NOW, "error": null
    });
    for path in ["/api/v1/health", "/api/health"] {
        assert_eq!(world.get(path).await.expect(200), healthy);
    }
    let error = ModelError::new(ModelErrorKind::Unavailable, "connection refused");
    world.model.offer(Err(error));
    let known = world.get("/api/v1/health").await.expect(200);
    assert_eq!(known["status"], "healthy", "looked a moment ago");
    let degraded = json!({
        "status": "degraded", "message": "Model provider: connection refused", "check_count": 2,
        "issues": [{
            "check_id": "llm_reachable", "name": "Model provider", "category": "connectivity",
            "status": "warning", "message": "connection refused",
            "fix_hint": "Check the address and key of the default model's provider in the [models] section.",
            "timestamp": NOW, "details": null
        }],
        "last_check": NOW, "error": null
    });
    for path in ["/api/v1/health/check", "/api/health/check"] {
        assert_eq!(world.post_empty(path).await.expect(200), degraded);
    }
    assert_eq!(world.get("/api/v1/health").await.expect(200), degraded);
    world.storage.set_down(true);
    let unhealthy = world.post_empty("/api/v1/health/check").await.expect(200);
    assert_eq!(unhealthy["status"], "unhealthy");
    assert_eq!(
        unhealthy["message"],
        "Database: the database does not answer"
    );
    assert_eq!(unhealthy["issues"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn health_needs_a_credential() {
    let world = World::playing([]).await;
    for request in [
        TestRequest::get().uri("/api/v1/health"),
        TestRequest::post().uri("/api/v1/health/check"),
        TestRequest::get().uri("/api/v1/health/errors"),
        TestRequest::delete().uri("/api/v1/health/errors"),
        TestRequest::get().uri("/api/health"),
        TestRequest::post().uri("/api/health/check"),
        TestRequest::get().uri("/api/health/errors"),
        TestRequest::delete().uri("/api/health/errors"),
        TestRequest::get().uri("/api/v1/metrics/system"),
    ] {
        assert_eq!(world.send(request).await.status, 401);
    }
}

/// A machine with a battery.
struct Laptop;

impl MachineMeter for Laptop {
    fn os(&self) -> &'static str {
        "Linux"
    }

    fn arch(&self) -> &'static str {
        "x86_64"
    }

    fn read(&self) -> Option<MachineUsage> {
        Some(MachineUsage {
            processors: ProcessorTime {
                busy: Duration::from_secs(1),
                total: Duration::from_secs(8),
            },
            cores: 4,
            freq_mhz: Some(2400),
            memory: Capacity {
                used_bytes: 1,
                total_bytes: 3,
            },
            disk: Capacity {
                used_bytes: 10,
                total_bytes: 40,
            },
            uptime: Duration::from_secs(77),
            battery: Some(Battery {
                percent: 50,
                plugged: false,
                left: Some(Duration::from_mins(90)),
            }),
        })
    }
}

/// A server that knows of errors and of its machine.
async fn world(errors: &Arc<InMemoryErrorLog>) -> World {
    let mut world = World::playing([]).await;
    let clock = Arc::new(FixedClock::default());
    let health = HealthService::new(world.services.models.clone(), world.storage.clone(), clock)
        .with_errors(errors.clone(), world.storage.clone())
        .with_machine(Arc::new(Laptop));
    world.services.health = Arc::new(health);
    world
}

fn error(message: &str) -> NewLoggedError {
    NewLoggedError {
        source: "majordomo::models".to_owned(),
        severity: Severity::Warning,
        message: message.to_owned(),
        trace: "connection refused".to_owned(),
        context: vec![("run".to_owned(), "run-1".to_owned())],
    }
}

#[actix_web::test]
async fn the_latest_errors_are_told_searched_and_forgotten() {
    let errors = Arc::<InMemoryErrorLog>::default();
    let world = world(&errors).await;
    for path in ["/api/v1/health/errors", "/api/health/errors"] {
        assert_eq!(world.get(path).await.expect(200), json!([]));
        errors.record(error("first"));
        errors.record(error("second"));
        let told = world.get(path).await.expect(200);
        assert_eq!(told.as_array().unwrap().len(), 2);
        assert_eq!(
            told[0],
            json!({
                "id": "000000000002", "timestamp": NOW,
                "source": "majordomo::models", "severity": "warning", "message": "second",
                "traceback": "connection refused", "context": { "run": "run-1" }
            })
        );
        let found = world.get(&format!("{path}?search=first")).await.expect(200);
        assert_eq!(found[0]["message"], "first");
        let one = world
            .get(&format!("{path}?limit=1&search="))
            .await
            .expect(200);
        assert_eq!(one.as_array().unwrap().len(), 1);
        let gone = world.delete(path).await.expect(200);
        assert_eq!(gone, json!({ "cleared": true }));
        assert_eq!(world.get(path).await.expect(200), json!([]));
    }
    for limit in ["0", "501", "many"] {
        let refused = world
            .get(&format!("/api/v1/health/errors?limit={limit}"))
            .await;
        assert_eq!(refused.status, 422, "{limit}");
    }
}

#[actix_web::test]
async fn errors_are_for_administrators_and_the_machine_for_those_with_metrics() {
    let errors = Arc::<InMemoryErrorLog>::default();
    let world = world(&errors).await;
    errors.record(error("of somebody else"));
    let metrics = world.key(&["metrics"]).await;
    let chat = world.key(&["chat", "sessions"]).await;
    for path in ["/api/v1/health/errors", "/api/health/errors"] {
        for token in [metrics.as_str(), chat.as_str(), BOB] {
            for request in [TestRequest::get(), TestRequest::delete()] {
                let answer = world.send(bearer(request.uri(path), token)).await;
                assert_eq!(answer.status, 403);
                assert!(!answer.text.contains("somebody"));
            }
        }
    }
    let machine = "/api/v1/metrics/system";
    let get = |token: &str| world.send(bearer(TestRequest::get().uri(machine), token));
    assert_eq!(get(&chat).await.status, 403);
    assert_eq!(get(&metrics).await.status, 200);
}

#[actix_web::test]
async fn the_machine_is_told() {
    let world = world(&Arc::default()).await;
    assert_eq!(
        world.get("/api/v1/metrics/system").await.expect(200),
        json!({
            "available": true, "os": "Linux", "arch": "x86_64",
            "cpu": { "percent": 12.5, "cores": 4, "freq_mhz": 2400 },
            "memory": { "used_bytes": 1, "total_bytes": 3, "percent": 33.3 },
            "disk": { "used_bytes": 10, "total_bytes": 40, "percent": 25.0 },
            "uptime_seconds": 77,
            "battery": { "percent": 50, "plugged": false, "secs_left": 5400 },
            "timestamp": NOW
        })
    );
    let unknown = World::playing([]).await;
    let told = unknown.get("/api/v1/metrics/system").await.expect(200);
    assert_eq!(told["available"], false);
    assert_eq!(told["error"], "this operating system does not tell");
}

#[actix_web::test]
async fn forgetting_errors_is_recorded_or_not_done() {
    let errors = Arc::<InMemoryErrorLog>::default();
    let world = world(&errors).await;
    errors.record(error("first"));
    let path = "/api/v1/health/errors";
    world.storage.set_down(true);
    world.delete(path).await.expect(503);
    world.storage.set_down(false);
    assert_eq!(
        world.get(path).await.expect(200).as_array().unwrap().len(),
        1
    );
    world.delete(path).await.expect(200);
    assert_eq!(world.get(path).await.expect(200), json!([]));
    let audit = world.get("/api/v1/audit?limit=1").await.text;
    assert!(audit.contains("errors_clear"), "{audit}");
}
