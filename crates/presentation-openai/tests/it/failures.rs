//! Every failure in OpenAI's form.

use actix_web::test::TestRequest;
use majordomo_application::Caller;
use majordomo_domain::{BudgetLimit, BudgetPeriod, BudgetSubject, CredentialKind};
use majordomo_testkit::load::occupy;
use majordomo_testkit::{Script, ScriptedModel};
use serde_json::{Value, json};

use crate::support::{BOB, MASTER, Relayed, World, as_caller, completion, raw_completion};

const ROUTES: [(&str, &str); 5] = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/mock/gpt-x"),
    ("GET", "/v1/chat/completions?run=run-1&after=0"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
];

fn request((method, path): (&str, &str)) -> TestRequest {
    let body = json!({ "model": "mock/gpt-x", "messages": [{ "role": "user", "content": "Hi" }] });
    match method {
        "GET" => TestRequest::get().uri(path),
        _ => TestRequest::post().uri(path).set_json(body),
    }
}

#[actix_web::test]
async fn every_route_wants_a_credential() {
    let world = World::new(ScriptedModel::new()).await;
    for route in ROUTES {
        for credential in [None, Some("wrong")] {
            let request = request(route);
            let request = match credential {
                Some(credential) => as_caller(request, credential),
                None => request,
            };
            let answer = world.send(request).await;
            assert_eq!(answer.status, 401, "{route:?}");
            let error = &answer.json()["error"];
            assert_eq!(error["type"], "invalid_request_error");
            assert_eq!(error["code"], "invalid_api_key");
            assert_eq!(error["param"], Value::Null);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[actix_web::test]
async fn a_used_up_budget_is_an_insufficient_quota() {
    let world = World::relaying(vec![Relayed::Whole(
        r#"{"id":"x","usage":{"prompt_tokens":90,"completion_tokens":10}}"#,
    )])
    .await;
    let operator = Caller::operator(CredentialKind::MasterToken);
    let usage = &world.services.usage;
    let (subject, limit) = (
        BudgetSubject::User(operator.user.clone()),
        BudgetLimit {
            tokens: Some(2_000),
            cost: None,
        },
    );
    let set = usage
        .budgets()
        .set_limit(&operator, subject.clone(), BudgetPeriod::Day, limit);
    set.await.unwrap();
    let body = json!({ "model": "mock/gpt-x", "messages": [] });
    assert_eq!(world.complete(&body).await.status, 200);
    let calls = usage.recent(&operator, 10).await.unwrap();
    assert_eq!((calls.len(), calls[0].usage.total_tokens()), (1, 100));
    assert!(!calls[0].estimated);

    let less = BudgetLimit {
        tokens: Some(100),
        cost: None,
    };
    let set = usage
        .budgets()
        .set_limit(&operator, subject, BudgetPeriod::Day, less);
    set.await.unwrap();
    let agent = json!({ "model": "majordomo", "messages": [{ "role": "user", "content": "Hi" }] });
    for body in [body, agent] {
        let refused = world.complete(&body).await;
        assert_eq!(refused.status, 429);
        let error = &refused.json()["error"];
        assert_eq!(error["type"], "insufficient_quota");
        assert_eq!(error["code"], "insufficient_quota");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }
}

#[actix_web::test]
async fn every_route_wants_the_chat_scope() {
    let world = World::new(ScriptedModel::new()).await;
    let key = world.key(&["sessions"]).await;
    for route in ROUTES {
        let answer = world.send(as_caller(request(route), &key)).await;
        assert_eq!(answer.status, 403, "{route:?}");
        assert_eq!(
            answer.json(),
            json!({ "error": {
                "message": "API key missing required scope: chat",
                "type": "invalid_request_error", "param": null, "code": "missing_scope"
            } })
        );
    }
    let agent = json!({ "model": "majordomo", "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(world.send(completion(&agent, &key)).await.status, 403);
    assert!(world.relay.asked.lock().unwrap().is_empty());
    assert!(world.model.requests().is_empty());
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_told_in_the_same_form() {
    let world = World::new(ScriptedModel::new()).await;
    let answer = world.get("/v1/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    let request = as_caller(TestRequest::delete().uri("/v1/models"), MASTER);
    let answer = world.send(request).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
}

/// The status, code and parameter that `body` is answered with.
async fn refused(world: &World, body: impl Into<bytes::Bytes>) -> (u16, String, Value) {
    let answer = world.send(raw_completion(body, MASTER)).await;
    let error = answer.json()["error"].clone();
    let code = error["code"].as_str().unwrap().to_owned();
    (answer.status.as_u16(), code, error["param"].clone())
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_are_refused_before_any_model_is_asked() {
    let world = World::new(ScriptedModel::new()).await;
    let deep = format!(
        r#"{{"model":"mock/gpt-x","x":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    for body in [
        b"".to_vec(),
        b"{".to_vec(),
        b"[\"mock/gpt-x\", true]".to_vec(),
        b"{\"model\":\"mock/gpt-x\",\"user\":\"\xff\"}".to_vec(),
        deep.into_bytes(),
    ] {
        let (status, code, param) = refused(&world, body).await;
        assert_eq!((status, &*code, param), (400, "bad_request", Value::Null));
    }
    for (body, code, param) in [
        ("{}", "missing_required_parameter", json!("model")),
        (
            r#"{"model":""}"#,
            "missing_required_parameter",
            json!("model"),
        ),
        (r#"{"model":7}"#, "invalid_type", json!("model")),
        (
            r#"{"model":"mock/gpt-x","stream":"yes"}"#,
            "invalid_type",
            json!("stream"),
        ),
        (
            r#"{"model":"mock/gpt-x","model":"majordomo"}"#,
            "invalid_value",
            Value::Null,
        ),
    ] {
        let refusal = refused(&world, body).await;
        assert_eq!(refusal, (400, code.to_owned(), param), "{body}");
    }
    assert!(world.relay.asked.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn brackets_within_texts_do_not_count_as_nesting() {
    let world = World::relaying(vec![crate::support::Relayed::Whole("{}")]).await;
    let body = json!({ "model": "mock/gpt-x", "x": format!("\"\\{}", "[{".repeat(500)) });
    assert_eq!(world.complete(&body).await.status, 200);
}

#[actix_web::test]
async fn bodies_of_the_wrong_shape_name_the_parameter() {
    let world = World::new(ScriptedModel::new()).await;
    let base =
        json!({ "model": "scripted/scripted", "messages": [{ "role": "user", "content": "Hi" }] });
    for (change, code, param) in [
        (json!({ "messages": null }), "invalid_type", "messages"),
        (json!({ "messages": [] }), "invalid_value", "messages"),
        (
            json!({ "messages": [{ "role": "user" }] }),
            "missing_required_parameter",
            "messages[0].content",
        ),
        (
            json!({ "messages": [{ "role": "wizard", "content": "" }] }),
            "invalid_value",
            "messages[0].role",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": 7 }] }),
            "invalid_value",
            "messages[0].content",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [
                { "type": "image_url", "image_url": { "url": "file:///etc/passwd" } }
            ] }] }),
            "invalid_value",
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({ "messages": [{ "role": "tool", "content": "4" }] }),
            "missing_required_parameter",
            "messages[0].tool_call_id",
        ),
        (json!({ "n": 2 }), "invalid_value", "n"),
        (json!({ "temperature": 3 }), "invalid_value", "temperature"),
        (json!({ "top_p": -1 }), "invalid_value", "top_p"),
        (json!({ "max_tokens": 0 }), "invalid_value", "max_tokens"),
        (json!({ "max_tokens": "x" }), "invalid_type", "max_tokens"),
        (
            json!({ "tool_choice": "perhaps" }),
            "invalid_value",
            "tool_choice",
        ),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "a b" } }] }),
            "invalid_value",
            "tools[0].function.name",
        ),
    ] {
        let mut body = base.clone();
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        let refusal = refused(&world, body.to_string()).await;
        assert_eq!(refusal, (400, code.to_owned(), json!(param)), "{change}");
    }
    assert!(world.model.requests().is_empty());
}

#[actix_web::test]
async fn the_agent_refuses_what_it_cannot_do() {
    let world = World::new(ScriptedModel::new()).await;
    let said = json!([{ "role": "user", "content": "Hi" }]);
    for (field, value) in [
        (
            "tools",
            json!([{ "type": "function", "function": { "name": "f" } }]),
        ),
        ("stop", json!("\n")),
        ("response_format", json!({ "type": "json_object" })),
    ] {
        let body = json!({ "model": "majordomo", "messages": said, field: value });
        let (status, _, param) = refused(&world, body.to_string()).await;
        assert_eq!((status, param), (400, json!(field)));
    }
    let body =
        json!({ "model": "majordomo", "messages": [{ "role": "assistant", "content": "Hi" }] });
    let (status, _, param) = refused(&world, body.to_string()).await;
    assert_eq!((status, param), (400, json!("messages[0].role")));
    let body =
        json!({ "model": "majordomo", "messages": said, "metadata": { "session_id": "a/b" } });
    let answer = world.complete(&body).await;
    assert_eq!(answer.status, 400);
    let error = answer.json()["error"].clone();
    assert_eq!(error["param"], "metadata.session_id");
    let words = error["message"].as_str().unwrap();
    let expected = "Invalid value for 'metadata.session_id': ";
    assert!(words.starts_with(expected), "{words}");
    let body = json!({ "model": "majordomo", "messages": [{ "role": "user", "content": " " }] });
    let answer = world.complete(&body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (
            400,
            json!({ "error": {
                "message": "Invalid value for 'messages': cannot be empty.",
                "type": "invalid_request_error", "param": "messages", "code": "invalid_value"
            } })
        )
    );
    assert!(world.model.requests().is_empty());
}

#[actix_web::test]
async fn models_that_do_not_exist_are_not_found() {
    let world = World::new(ScriptedModel::new()).await;
    for model in [
        "builtin/gpt-x",
        "majordomo/builtin/gpt-x",
        "nope/gpt-x",
        "mock/nope",
        "nope",
        "majordomo/nope",
        "majordomo/",
    ] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        let answer = world.send(completion(&body, BOB)).await;
        assert_eq!(answer.status, 404, "{model}");
        let agents = model.strip_prefix("majordomo/");
        let name = agents.filter(|name| !name.is_empty()).unwrap_or(model);
        let error = &answer.json()["error"];
        assert_eq!(
            error["message"],
            format!("The model `{name}` does not exist")
        );
        assert_eq!(error["code"], "model_not_found");
        assert_eq!(error["type"], "invalid_request_error");
    }
}

#[actix_web::test]
async fn other_media_types_and_large_bodies_are_refused() {
    let world = World::new(ScriptedModel::new()).await;
    let request = as_caller(TestRequest::post().uri("/v1/chat/completions"), MASTER)
        .insert_header(("content-type", "text/plain"))
        .set_payload("{}");
    assert_eq!(world.send(request).await.status, 415);
    let body = format!(r#"{{"model":"mock/gpt-x","x":"{}"}}"#, "x".repeat(11 << 20));
    let (status, code, _) = refused(&world, body).await;
    assert_eq!((status, &*code), (413, "payload_too_large"));
}

#[actix_web::test]
async fn a_server_with_all_it_can_do_turns_requests_away_and_says_when_to_come_back() {
    let hanging = (0..8).map(|_| Script::new().hang());
    let world = World::new(ScriptedModel::playing(hanging)).await;
    assert_eq!(occupy(&world.services.chat).await, 64);
    for stream in [false, true] {
        let said = json!([{ "role": "user", "content": "Hi" }]);
        let body = json!({ "model": "majordomo", "messages": said, "stream": stream });
        let answer = world.complete(&body).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(
            answer.json(),
            json!({ "error": {
                "message": "The server is busy", "type": "server_error", "param": null, "code": "overloaded"
            } })
        );
    }
}
