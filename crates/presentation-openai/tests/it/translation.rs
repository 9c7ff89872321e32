//! Models whose provider speaks another protocol.

use majordomo_application::ports::{
    FinishReason, ModelError, ModelErrorKind, ModelMessage, ResponseFormat, ToolChoice, ToolSpec,
};
use majordomo_domain::{Image, ImageSource, ToolCall};
use majordomo_testkit::{Script, ScriptedModel};
use serde_json::{Value, json};

use crate::support::World;

const ID: &str = "chatcmpl-0190a1b2c3d47e5f8a9b0c1d2e3f4a5b";
const CREATED: i64 = 1_770_000_000;

fn ask(extra: &Value) -> Value {
    let mut body = json!({
        "model": "scripted/scripted",
        "messages": [{ "role": "user", "content": "Hi" }]
    });
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[actix_web::test]
async fn an_answer_is_told_whole() {
    let world = World::new(ScriptedModel::playing([Script::new()
        .reasoning("Hm.")
        .text("Hello, ")
        .text("you")
        .finish()]))
    .await;
    let answer = world.complete(&ask(&json!({}))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "id": ID, "object": "chat.completion", "created": CREATED, "model": "scripted/scripted",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "Hello, you", "refusal": null, "reasoning_content": "Hm." },
                "logprobs": null,
                "finish_reason": "stop"
            }],
            "usage": {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": { "cached_tokens": 0 }
            }
        })
    );
    let counts = world.services.inference.read();
    assert_eq!((counts.succeeded, counts.tokens), (1, 15));
}

#[actix_web::test]
async fn tool_calls_are_the_callers() {
    let calls = [("call_1", "add", "{\"a\":1}"), ("call_2", "now", "{}")];
    let world = World::new(ScriptedModel::playing([Script::tool_calls(calls)])).await;
    let answer = world.complete(&ask(&json!({}))).await;
    assert_eq!(
        answer.json()["choices"][0],
        json!({
            "index": 0,
            "message": { "role": "assistant", "content": null, "refusal": null, "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "add", "arguments": "{\"a\":1}" } },
                { "id": "call_2", "type": "function", "function": { "name": "now", "arguments": "{}" } },
            ] },
            "logprobs": null,
            "finish_reason": "tool_calls"
        })
    );
}

fn chunk(delta: &Value, finish_reason: &Value) -> Value {
    json!({
        "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": "scripted/scripted",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]
    })
}

#[actix_web::test]
async fn an_answer_is_streamed_as_it_is_written() {
    let script = Script::new().reasoning("Hm.").text("He").text("llo");
    let world = World::new(ScriptedModel::playing([
        script.finish_with(FinishReason::Length)
    ]))
    .await;
    let answer = world.complete(&ask(&json!({ "stream": true }))).await;
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    let events: Vec<Value> = answer.events().into_iter().map(|(_, data)| data).collect();
    assert_eq!(
        events,
        [
            chunk(&json!({ "role": "assistant", "content": "" }), &Value::Null),
            chunk(&json!({ "reasoning_content": "Hm." }), &Value::Null),
            chunk(&json!({ "content": "He" }), &Value::Null),
            chunk(&json!({ "content": "llo" }), &Value::Null),
            chunk(&json!({}), &json!("length")),
            json!("[DONE]"),
        ]
    );
}

#[actix_web::test]
async fn tool_calls_and_usage_are_streamed() {
    let calls = [("call_1", "add", "{\"a\":1}"), ("call_2", "now", "{}")];
    let world = World::new(ScriptedModel::playing([Script::tool_calls(calls)])).await;
    let wish = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let answer = world.complete(&ask(&wish)).await;
    let events: Vec<Value> = answer.events().into_iter().map(|(_, data)| data).collect();
    let delta = |place: usize| events[place]["choices"][0]["delta"].clone();
    let begun = |index: usize, id: &str, name: &str| json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } }] });
    let more = |index: usize, arguments: &str| json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] });
    assert_eq!(delta(1), begun(0, "call_1", "add"));
    assert_eq!(delta(2), more(0, "{\"a\":1}"));
    assert_eq!(delta(3), begun(1, "call_2", "now"));
    assert_eq!(delta(4), more(1, "{}"));
    assert_eq!(events[5]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(events[5].get("usage"), Some(&Value::Null));
    assert_eq!(events[6]["choices"], json!([]));
    assert_eq!(events[6]["usage"]["total_tokens"], 15);
    assert_eq!(events[7], "[DONE]");
}

#[actix_web::test]
async fn the_whole_request_reaches_the_model() {
    let world = World::new(ScriptedModel::playing([Script::answer("{}")])).await;
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let body = json!({
        "model": "scripted/scripted",
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [
                { "type": "text", "text": "What is it?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw==", "detail": "low" } },
                { "type": "image_url", "image_url": { "url": "https://example.org/a.png" } }
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{}" } }
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "A cat" },
            { "role": "user", "content": "So?" }
        ],
        "tools": [{ "type": "function", "function": { "name": "look", "description": "Looks.", "parameters": schema } }],
        "tool_choice": { "type": "function", "function": { "name": "look" } },
        "response_format": { "type": "json_schema", "json_schema": { "name": "out", "schema": schema, "strict": true } },
        "stop": "END", "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "max_completion_tokens": 9, "n": 1,
        "seed": 1, "logit_bias": {}
    });
    assert_eq!(world.complete(&body).await.status, 200);
    let request = world.model.requests().remove(0);
    let image = |source| Image { source };
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "look".to_owned(),
        arguments: "{}".to_owned(),
    };
    let user = |text: &str, images| ModelMessage::User {
        text: text.to_owned(),
        images,
    };
    assert_eq!(
        request.messages,
        [
            ModelMessage::System("Be brief.".to_owned()),
            user(
                "What is it?",
                vec![
                    image(ImageSource::Base64 {
                        media_type: "image/png".to_owned(),
                        data: "iVBORw==".to_owned()
                    }),
                    image(ImageSource::Url("https://example.org/a.png".to_owned())),
                ]
            ),
            ModelMessage::Assistant {
                text: String::new(),
                tool_calls: vec![call]
            },
            ModelMessage::Tool {
                call_id: "call_1".to_owned(),
                name: "look".to_owned(),
                content: "A cat".to_owned(),
                is_error: false
            },
            user("So?", Vec::new()),
        ]
    );
    assert_eq!(
        *request.tools,
        [ToolSpec {
            name: "look".to_owned(),
            description: "Looks.".to_owned(),
            parameters: schema.clone()
        }]
    );
    assert_eq!(request.tool_choice, ToolChoice::Named("look".to_owned()));
    let format = ResponseFormat::JsonSchema {
        name: "out".to_owned(),
        schema,
        strict: true,
    };
    assert_eq!(request.response_format, format);
    assert_eq!(request.stop, ["END"]);
    assert_eq!((request.temperature, request.top_p), (Some(0.5), Some(0.9)));
    assert_eq!(
        (request.model.as_str(), request.max_tokens),
        ("scripted", Some(9))
    );
}

#[actix_web::test]
async fn a_failure_before_the_answer_is_a_status_and_after_it_an_event() {
    let error = || ModelError::new(ModelErrorKind::Unavailable, "scripted: down");
    let world = World::new(ScriptedModel::playing([
        Script::refusal(error()),
        Script::new().text("He").fail(error()),
        Script::new().text("He").fail(error()),
    ]))
    .await;
    let answer = world.complete(&ask(&json!({ "stream": true }))).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"]["message"], "scripted: down");
    let answer = world.complete(&ask(&json!({ "stream": true }))).await;
    let (_, last) = answer.events().pop().unwrap();
    assert_eq!(last["error"]["message"], "scripted: down");
    let answer = world.complete(&ask(&json!({}))).await;
    assert_eq!(answer.status, 503);
    assert_eq!(world.services.inference.read().failed, 3);
}
