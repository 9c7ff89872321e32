//! What the server tells the operator of the way a request came.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::world::{MASTER, World, bearer};

const REPORT: &str = "/api/v1/diagnostics/proxy";
const STREAM: &str = "/api/v1/diagnostics/proxy/stream";

#[actix_web::test]
async fn the_way_of_a_request_is_told() {
    let world = World::playing([]).await;
    let request = TestRequest::get()
        .uri(REPORT)
        .peer_addr("198.51.100.1:4711".parse().unwrap())
        .insert_header(("host", "chat.example"))
        .insert_header(("x-forwarded-for", "203.0.113.99"))
        .insert_header(("accept", "*/*"));
    let report = world.send(bearer(request, MASTER)).await.expect(200);
    assert_eq!(
        report,
        json!({
            "hops": [{ "address": "198.51.100.1", "trusted": false }],
            "client": "198.51.100.1",
            "address_header": "x-forwarded-for",
            "https": false,
            "host": "chat.example",
            "public_origin": null,
            "base_path": "",
            "base_path_received": false,
            "forwarding_headers": [{ "name": "x-forwarded-for", "value": "203.0.113.99" }]
        })
    );
    let many = (0..100).fold(TestRequest::get().uri(REPORT), |request, number| {
        request.append_header((format!("x-forwarded-{number}"), "x".repeat(1000)))
    });
    let report = world.send(bearer(many, MASTER)).await.expect(200);
    let headers = report["forwarding_headers"].as_array().unwrap();
    assert_eq!(headers.len(), 32);
    assert_eq!(headers[0]["value"].as_str().unwrap().len(), 512);
}

#[actix_web::test]
async fn the_test_stream_has_three_events() {
    let world = World::playing([]).await;
    let answer = world.get(STREAM).await;
    assert_eq!(answer.status, 200);
    let data: Vec<Value> = answer
        .text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let expected = [1, 2, 3].map(|tick| json!({ "tick": tick }));
    assert_eq!(data, expected);
}

#[actix_web::test]
async fn only_the_operator_may_ask() {
    let world = World::playing([]).await;
    let scoped = world.key(&["metrics"]).await;
    for path in [REPORT, STREAM] {
        let nobody = world.send(TestRequest::get().uri(path)).await;
        nobody.expect(401);
        let without = bearer(TestRequest::get().uri(path), &scoped);
        world.send(without).await.expect(403);
    }
}
