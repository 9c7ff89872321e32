//! `GET /api/search/conversations`.

use actix_web::test::TestRequest;
use majordomo_domain::Scope;
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, Site, bearer, failure, get, search_uri, unhandled};

/// Alice has spoken of bananas in two sessions, bob in one.
async fn site() -> Site {
    let site = Site::new().await;
    let text = [
        "please add a banana parser",
        "I will add the banana parser.",
    ];
    site.said("alice", "first", 1, text).await;
    site.said("alice", "second", 2, ["🍌 a banana, bitte", "no"])
        .await;
    site.said("bob", "hidden", 3, ["bob's banana", "yes"]).await;
    site
}

/// The payloads of the events, by name, in order.
fn events(body: &str) -> Vec<(&str, Value)> {
    body.split_terminator("\n\n")
        .map(|frame| {
            let (name, data) = frame.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            (
                name.strip_prefix("event: ").unwrap(),
                serde_json::from_str(data).unwrap(),
            )
        })
        .collect()
}

#[actix_web::test]
async fn matches_are_grouped_by_session() {
    let answer = site().await.search("q=banana&limit=5").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let mut events = events(&answer.body);
    assert_eq!(events.pop(), Some(("done", json!({}))));
    let (name, mut result) = events.pop().unwrap();
    assert_eq!((name, events.len()), ("result", 0));
    // The order of sessions is the ranking's business.
    let sessions = result["projectResult"]["sessions"].as_array_mut().unwrap();
    sessions.sort_by_key(|session| session["sessionId"].to_string());
    let matches = sessions.first_mut().unwrap()["matches"]
        .as_array_mut()
        .unwrap();
    matches.sort_by_key(|found| std::cmp::Reverse(found["role"].to_string()));
    let found = |role, snippet, start, timestamp, message: &str| {
        json!({
            "role": role, "snippet": snippet,
            "highlights": [{ "start": start, "end": start + 6 }],
            "timestamp": timestamp, "provider": "majordomo", "messageUuid": message
        })
    };
    let first = [
        found(
            "user",
            "please add a banana parser",
            13,
            "2026-02-02T02:40:01.000Z",
            "message-alice-first-1",
        ),
        found(
            "assistant",
            "I will add the banana parser.",
            15,
            "2026-02-02T02:40:01.500Z",
            "answer-run-alice-first-1",
        ),
    ];
    let second = [found(
        "user",
        "🍌 a banana, bitte",
        5,
        "2026-02-02T02:40:02.000Z",
        "message-alice-second-2",
    )];
    let expected = json!({
        "projectResult": {
            "projectName": "majordomo",
            "projectDisplayName": "majordomo",
            "sessions": [
                {
                    "sessionId": "first", "provider": "majordomo",
                    "sessionSummary": "please add a banana parser", "matches": first
                },
                {
                    "sessionId": "second", "provider": "majordomo",
                    "sessionSummary": "🍌 a banana, bitte", "matches": second
                }
            ]
        },
        "totalMatches": 3, "scannedProjects": 1, "totalProjects": 1
    });
    assert_eq!(result, expected);
}

#[actix_web::test]
async fn nothing_found_is_only_the_end() {
    let answer = site().await.search("q=zzzzqq").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "event: done\ndata: {}\n\n")
    );
}

#[actix_web::test]
async fn json_is_given_to_who_asks_for_it() {
    let site = site().await;
    let ask = |accept: &'static str| {
        let request = get(&search_uri("q=bitte")).insert_header(("accept", accept));
        site.ask(bearer(request, ALICE))
    };
    let expected = json!({
        "results": [{
            "projectName": "majordomo", "projectDisplayName": "majordomo",
            "sessionId": "second", "sessionSummary": "🍌 a banana, bitte",
            "role": "user", "snippet": "🍌 a banana, bitte",
            "highlights": [{ "start": 13, "end": 18 }],
            "timestamp": "2026-02-02T02:40:02.000Z", "provider": "majordomo",
            "messageUuid": "message-alice-second-2"
        }],
        "total": 1
    });
    ask("application/json").await.is(200, &expected);
    ask("text/html, application/json;q=0.9")
        .await
        .is(200, &expected);
    for accept in ["*/*", "application/json, text/event-stream"] {
        let answer = ask(accept).await;
        assert!(answer.body.starts_with("event: result\n"), "{accept}");
    }
}

#[actix_web::test]
async fn the_limit_is_clamped() {
    let site = Site::new().await;
    for number in 1..=60 {
        site.said("alice", "many", number, ["banana", "banana"])
            .await;
    }
    let cases = [
        ("", 50),
        ("&limit=x", 50),
        ("&limit=0", 1),
        ("&limit=-3", 1),
        ("&limit=7", 7),
        ("&limit=99999999999", 100),
    ];
    for (limit, expected) in cases {
        let request = get(&search_uri(&format!("q=banana{limit}")))
            .insert_header(("accept", "application/json"));
        let total = site.ask(bearer(request, ALICE)).await.json()["total"].clone();
        assert_eq!(total, expected, "{limit}");
    }
}

#[actix_web::test]
async fn a_query_has_two_characters_at_least() {
    let site = site().await;
    let expected = failure("VALIDATION_ERROR", "Query must be at least 2 characters");
    for query in ["q=b", "q=", "q=%20b%20", "q=%C3%BC", ""] {
        site.search(query).await.is(400, &expected);
    }
    assert_eq!(site.search("q=%C3%BC%C3%BC").await.status, 200);
    let long = format!("q={}", "x".repeat(1001));
    site.search(&long).await.is(
        400,
        &failure(
            "VALIDATION_ERROR",
            "q must not be longer than 1000 characters",
        ),
    );
}

#[actix_web::test]
async fn other_providers_have_no_conversations_here() {
    let site = site().await;
    let found = |query: &'static str| {
        let site = &site;
        async move { site.search(query).await.body.starts_with("event: result") }
    };
    assert!(found("q=banana&provider=majordomo").await);
    assert!(found("q=banana&provider=").await);
    assert!(!found("q=banana&provider=claude").await);
}

#[actix_web::test]
async fn only_ones_own_messages_are_found() {
    let site = site().await;
    let answer = site.ask(bearer(get(&search_uri("q=banana")), BOB)).await;
    assert!(answer.body.contains("hidden"));
    assert!(!answer.body.contains("parser"), "{}", answer.body);
}

#[actix_web::test]
async fn who_may_not_search_is_told_so() {
    let site = site().await;
    site.ask(get(&search_uri("q=banana"))).await.is(
        401,
        &failure("UNAUTHORIZED", "Access denied. No token provided."),
    );
    site.ask(get(&search_uri("q=banana&token=px_wrong")))
        .await
        .is(401, &failure("UNAUTHORIZED", "Invalid token"));
    let key = site.key_with(&[Scope::Chat]).await;
    site.ask(bearer(get(&search_uri("q=banana")), &key))
        .await
        .is(
            403,
            &failure("FORBIDDEN", "API key missing required scope: sessions"),
        );
    let by_header = get(&search_uri("q=zz")).insert_header(("x-api-key", ALICE));
    assert_eq!(site.ask(by_header).await.status, 200);
    let by_query = search_uri(&format!("q=zz&apiKey={ALICE}"));
    assert_eq!(site.ask(get(&by_query)).await.status, 200);
}

#[actix_web::test]
async fn what_no_route_answers_has_the_other_form() {
    let site = Site::new().await;
    site.ask(get("/api/nothing")).await.is(
        404,
        &unhandled("ROUTE_NOT_FOUND", "No handler for GET /api/nothing."),
    );
    let request = TestRequest::post().uri("/api/search/conversations");
    site.ask(request)
        .await
        .is(405, &unhandled("METHOD_NOT_ALLOWED", "Method Not Allowed"));
}

#[actix_web::test]
async fn storage_that_is_down_is_told() {
    let site = site().await;
    site.store.set_down(true);
    site.search("q=banana").await.is(
        503,
        &failure("SERVICE_UNAVAILABLE", "Storage is unavailable"),
    );
}
