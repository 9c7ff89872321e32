//! JSON bodies: what is read, and how what is wrong with them is told.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::support::{Setup, get, post, site};

const JSON: &str = "application/json";

#[actix_web::test]
async fn a_body_arrives_typed() {
    let site = site(Setup::default()).await;
    for content_type in [
        JSON,
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.x+json",
    ] {
        let answer = site
            .ask(post("/v1/things", content_type, r#"{"name":"ü"}"#))
            .await;
        assert_eq!(answer.status, 201, "{content_type} {answer:?}");
        assert_eq!(
            answer.json(),
            json!({ "name": "ü", "count": null, "parts": [] })
        );
    }
}

#[actix_web::test]
async fn a_body_of_the_wrong_shape_names_the_field() {
    let site = site(Setup::default()).await;
    let cases = [
        (r"{}", json!(["body", "name", "missing", "is required"])),
        (
            r#"{"name":1}"#,
            json!([
                "body",
                "name",
                "invalid_type",
                "invalid type: integer `1`, expected a string"
            ]),
        ),
        (
            r#"{"name":"a","count":-1}"#,
            json!([
                "body",
                "count",
                "invalid_value",
                "invalid value: integer `-1`, expected u32"
            ]),
        ),
        (
            r#"{"name":"a","parts":[{"text":"x"},{}]}"#,
            json!(["body", "parts.1.text", "missing", "is required"]),
        ),
        (
            r#"{"name":"a","parts":[7]}"#,
            json!([
                "body",
                "parts.0",
                "invalid_type",
                "invalid type: integer `7`, expected an object"
            ]),
        ),
    ];
    for (body, issue) in cases {
        let answer = site.ask(post("/v1/things", JSON, body)).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json()["issues"], json!([issue]), "{body}");
    }
}

#[actix_web::test]
async fn a_body_is_an_object() {
    let site = site(Setup::default()).await;
    let issue = json!(["body", "", "invalid_type", "must be a JSON object"]);
    for body in [r#" ["a",null,[]]"#, "[]", "null", "1", r#""name""#] {
        let answer = site.ask(post("/v1/things", JSON, body)).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.json()["issues"], json!([issue]), "{body}");
    }
}

#[actix_web::test]
async fn what_is_not_json_is_malformed() {
    let site = site(Setup::default()).await;
    for body in ["", "{", "nonsense", r#"{"name":"a"} trailing"#] {
        let answer = site.ask(post("/v1/things", JSON, body)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("bad_request")),
            "{body}"
        );
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let answer = site.ask(post("/v1/small", JSON, &deep)).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (400, r#"{"detail":"bad_request"}"#)
    );
    let invalid = crate::support::local(actix_web::test::TestRequest::post().uri("/v1/things"))
        .insert_header(("content-type", JSON))
        .set_payload(b"{\"name\":\"\xff\"}".as_slice());
    assert_eq!(site.ask(invalid).await.status, 400);
}

#[actix_web::test]
async fn only_declared_json_is_read() {
    let site = site(Setup::default()).await;
    for content_type in [
        "text/plain",
        "",
        "application/jsonx",
        "multipart/form-data",
        "json",
    ] {
        let answer = site
            .ask(post("/v1/things", content_type, r#"{"name":"a"}"#))
            .await;
        assert_eq!(answer.status, 415, "{content_type:?}");
    }
    // The dialect of the path has its own status for it.
    assert_eq!(
        site.ask(post("/v1/small", "text/plain", "{}")).await.status,
        400
    );
}

#[actix_web::test]
async fn the_limit_of_a_resource_goes_before_the_kernels() {
    let site = site(Setup::default()).await;
    let object = |name: usize| format!(r#"{{"{}":1}}"#, "x".repeat(name));
    let fits = object(594);
    assert_eq!(site.ask(post("/v1/small", JSON, &fits)).await.status, 200);
    let large = object(595);
    assert_eq!(
        site.ask(post("/v1/small", JSON, &large)).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let empty = site.ask(post("/v1/small", "text/plain", "")).await;
    assert_eq!((empty.status, empty.json()), (200, json!({ "body": null })));
}

#[actix_web::test]
async fn queries_arrive_typed_and_tokens_in_them_do_not_matter() {
    let site = site(Setup::default()).await;
    let answer = site
        .ask(get("/v1/things?limit=5&after=a%20b&unknown=1"))
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "limit": 5, "after": "a b" }))
    );
    let wrong = site.ask(get("/v1/things?limit=-1")).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["issues"][0][0], "query");
    assert_eq!(wrong.json()["issues"][0][1], "limit");
}

#[actix_web::test]
async fn a_path_of_the_wrong_type_is_a_mismatch() {
    let site = site(Setup::default()).await;
    let request =
        crate::support::local(actix_web::test::TestRequest::delete().uri("/v1/things/abc"));
    let answer = site.ask(request).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["issues"][0][0], "path");
}
