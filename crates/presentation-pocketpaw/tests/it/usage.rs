//! `/api/v1/metrics/usage` and `/api/v1/budgets`.

use actix_web::test::TestRequest;
use majordomo_application::ports::{FinishReason, ModelDelta};
use majordomo_domain::Usage;
use majordomo_testkit::Script;
use serde_json::{Value, json};

use crate::events::Stream;
use crate::world::{BOB, MASTER, World, bearer};

const USAGE: &str = "/api/v1/metrics/usage";
const RECENT: &str = "/api/v1/metrics/usage/recent";
const BUDGETS: &str = "/api/v1/budgets";

fn put(body: &Value) -> TestRequest {
    TestRequest::put().uri(BUDGETS).set_json(body)
}

async fn chat(world: &World) -> crate::world::Answer {
    let body = json!({ "content": "hello", "session_id": "demo" });
    world.post("/api/v1/chat", body).await
}

#[actix_web::test]
async fn usage_of_nothing_is_nothing() {
    let world = World::playing([]).await;
    let nothing = json!({
        "total_input_tokens": 0, "total_output_tokens": 0, "total_cached_input_tokens": 0, "total_tokens": 0,
        "total_cost_usd": 0.0, "request_count": 0, "by_model": {}, "by_backend": {}
    });
    assert_eq!(world.get(USAGE).await.expect(200), nothing);
    assert_eq!(world.get(RECENT).await.expect(200), json!([]));
}

#[actix_web::test]
async fn a_chat_is_counted_listed_and_forgotten() {
    let world = World::playing([Script::answer("hi")]).await;
    chat(&world).await.expect(200);
    let share = json!({ "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.0, "count": 1 });
    let usage = world.get(USAGE).await.expect(200);
    assert_eq!(
        (&usage["total_tokens"], &usage["request_count"]),
        (&json!(15), &json!(1))
    );
    assert_eq!(usage["by_model"], json!({ "scripted": share }));
    assert_eq!(usage["by_backend"], json!({ "mock": share }));
    let recent = world.get(&format!("{RECENT}?limit=5")).await.expect(200);
    assert_eq!(
        recent,
        json!([{
            "timestamp": "2026-02-02T02:40:00.000000+00:00", "backend": "mock", "model": "scripted",
            "input_tokens": 10, "output_tokens": 5, "cached_input_tokens": 0, "total_tokens": 15, "cost_usd": 0.0,
            "session_id": "websocket_demo", "estimated": false, "price_version": null
        }])
    );
    for (since, count) in [
        ("2026-02-02", 1),
        ("2026-02-02T02:40:00%2B00:00", 1),
        ("2026-02-03", 0),
    ] {
        let since = world.get(&format!("{USAGE}?since={since}")).await;
        assert_eq!(since.expect(200)["request_count"], count);
    }
    assert_eq!(
        world.delete(USAGE).await.expect(200),
        json!({ "cleared": true })
    );
    assert_eq!(world.get(RECENT).await.expect(200), json!([]));
}

#[actix_web::test]
async fn bad_queries_are_refused() {
    let world = World::playing([]).await;
    for path in [
        "?since=yesterday",
        "/recent?limit=0",
        "/recent?limit=501",
        "/recent?limit=x",
    ] {
        world.get(&format!("{USAGE}{path}")).await.expect(422);
    }
}

#[actix_web::test]
async fn usage_wants_the_scope_and_budgets_the_operator() {
    let world = World::playing([]).await;
    let body = json!({ "subject": "user:operator", "period": "day", "max_tokens": 5 });
    let requests = || {
        [
            ("metrics", TestRequest::get().uri(USAGE)),
            ("metrics", TestRequest::get().uri(RECENT)),
            ("metrics", TestRequest::delete().uri(USAGE)),
            ("metrics", TestRequest::get().uri(BUDGETS)),
            ("admin", put(&body)),
            (
                "admin",
                TestRequest::delete().uri("/api/v1/budgets?subject=user:a&period=day"),
            ),
        ]
    };
    let chatting = world.key(&["chat", "sessions"]).await;
    let reading = world.key(&["metrics"]).await;
    for (scope, request) in requests() {
        world
            .send(request.insert_header(("x-forwarded-for", "10.0.0.9")))
            .await
            .expect(401);
        let _ = scope;
    }
    for (scope, request) in requests() {
        let refused = world.send(bearer(request, &chatting)).await.expect(403);
        assert_eq!(
            refused["detail"],
            format!("API key missing required scope: {scope}")
        );
    }
    for (scope, request) in requests() {
        let status = if scope == "metrics" { 200 } else { 403 };
        world.send(bearer(request, &reading)).await.expect(status);
    }
}

#[actix_web::test]
async fn a_budget_is_set_used_up_and_removed() {
    let world = World::playing([Script::answer("hi"), Script::answer("again")]).await;
    let operator = |request| bearer(request, MASTER);
    let body = json!({ "subject": "user:operator", "period": "day", "max_tokens": 9000 });
    let set = world.send(operator(put(&body))).await.expect(200);
    assert_eq!(set, json!({ "success": true }));
    // 15 of 9000 tokens; then nothing is left.
    chat(&world).await.expect(200);
    let less = json!({ "subject": "user:operator", "period": "day", "max_tokens": 15 });
    world.send(operator(put(&less))).await.expect(200);
    assert_eq!(
        world.get(BUDGETS).await.expect(200),
        json!([{
            "subject": "user:operator", "period": "day", "max_usd": null, "max_tokens": 15, "spent_usd": 0.0,
            "spent_tokens": 15, "starts_at": "2026-02-02T00:00:00.000000+00:00",
            "ends_at": "2026-02-03T00:00:00.000000+00:00", "level": "exhausted",
            "is_default": false
        }])
    );
    let refused = chat(&world).await;
    assert_eq!(refused.headers.get("retry-after").unwrap(), "76800");
    let words = refused.expect(429);
    assert_eq!(
        words["detail"],
        "The daily budget of this user does not allow this request; it begins anew at 2026-02-03T00:00:00.000Z"
    );
    let gone = "/api/v1/budgets?subject=user:operator&period=day";
    world.delete(gone).await.expect(200);
    world.delete(gone).await.expect(404);
    chat(&world).await.expect(200);
}

#[actix_web::test]
async fn budgets_that_cannot_be_are_refused() {
    let world = World::playing([]).await;
    for body in [
        json!({}),
        json!({ "subject": "group:x", "period": "day" }),
        json!({ "subject": "user:x", "period": "week" }),
        json!({ "subject": "user:x", "period": "day", "max_usd": -1.0 }),
        json!({ "subject": "user:x", "period": "day", "max_tokens": -1 }),
        json!({ "subject": "user:x", "period": "day", "max_tokens": u64::MAX }),
    ] {
        let refused = world.send(bearer(put(&body), MASTER)).await;
        refused.expect(422);
    }
    world
        .delete("/api/v1/budgets?subject=x&period=day")
        .await
        .expect(422);
}

#[actix_web::test]
async fn users_see_what_limits_them_and_nobody_elses_budgets() {
    let world = World::playing([]).await;
    for subject in ["user:operator", "user:bob", "user:carol"] {
        let body = json!({ "subject": subject, "period": "month", "max_tokens": 7 });
        let set = world.send(bearer(put(&body), MASTER)).await;
        set.expect(200);
    }
    let shown = async |token: &str| -> Vec<String> {
        let list = world.send(bearer(TestRequest::get().uri(BUDGETS), token));
        let list = list.await.expect(200);
        let list = list.as_array().unwrap().iter();
        list.map(|budget| budget["subject"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(BOB).await, ["user:bob"]);
    let all = ["user:bob", "user:carol", "user:operator"];
    assert_eq!(shown(MASTER).await, all);
    // Of usage, too, everybody sees their own.
    chat(&world).await.expect(429);
    let removed = "/api/v1/budgets?subject=user:operator&period=month";
    world.delete(removed).await.expect(200);
    world.model.push(Script::answer("hi"));
    chat(&world).await.expect(200);
    for path in [USAGE, RECENT] {
        let of = async |token| {
            let answer = world.send(bearer(TestRequest::get().uri(path), token));
            answer.await.expect(200)
        };
        let (own, others) = (of(MASTER).await, of(BOB).await);
        assert_ne!(own, others, "{path}");
        assert!(!others.to_string().contains("scripted"), "{path}");
    }
    let cleared = world.send(bearer(TestRequest::delete().uri(USAGE), BOB));
    cleared.await.expect(200);
    assert_eq!(world.get(USAGE).await.expect(200)["request_count"], 1);
}

#[actix_web::test]
async fn a_budget_that_is_nearly_used_up_is_told_once_and_to_its_user_only() {
    let dear = Usage {
        input_tokens: 800,
        output_tokens: 50,
        cached_input_tokens: 0,
    };
    let script = Script::new()
        .text("hi")
        .delta(ModelDelta::Usage(dear))
        .delta(ModelDelta::Finish(FinishReason::Stop));
    let world = World::playing([script, Script::answer("again")]).await;
    let budgets = world.services.usage.budgets();
    budgets.tell_through(world.services.chat.event_bus().clone());
    let listening = |token| bearer(TestRequest::get().uri("/api/v1/events/stream"), token);
    let mut events = Stream::open(&world, listening(MASTER)).await;
    let mut others = Stream::open(&world, listening(BOB)).await;
    let month = json!({ "subject": "user:operator", "period": "month", "max_tokens": 1000 });
    world.send(bearer(put(&month), MASTER)).await.expect(200);
    chat(&world).await.expect(200);
    let told = events.all().await;
    let told: Vec<_> = told
        .iter()
        .filter(|told| told.name.starts_with("budget"))
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].data,
        json!({ "event": "budget_warning", "data": {
            "subject": "user:operator", "period": "month", "max_usd": null, "max_tokens": 1000,
            "spent_usd": 0.0, "spent_tokens": 850, "starts_at": "2026-02-01T00:00:00.000000+00:00",
            "ends_at": "2026-03-01T00:00:00.000000+00:00", "level": "warning", "is_default": false
        } })
    );
    assert_eq!(world.get(BUDGETS).await.expect(200)[0]["level"], "warning");
    // What is left is too little for another answer.
    chat(&world).await.expect(429);
    for stream in [&mut events, &mut others] {
        let told = stream.all().await;
        assert!(told.iter().all(|told| !told.name.starts_with("budget")));
    }
}
