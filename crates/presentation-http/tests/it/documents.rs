//! OpenAPI documents made of typed handlers, and the page that shows them.

use std::collections::BTreeSet;

use majordomo_presentation_http::openapi::{
    DocumentInfo, Html, Media, OneOf, PathParams, Raw, Reply, SecurityDoc, Sse, Upgrade, describe,
};
use majordomo_presentation_http::{ApiError, Authenticated, ResumeFrom};
use paperclip::actix::api_v2_operation;
use paperclip::actix::web::{self as api, ServiceConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Terse, Thing, Verbose, configure};

fn info(dialect: &'static dyn majordomo_presentation_http::Dialect) -> DocumentInfo {
    DocumentInfo {
        title: "Test API",
        version: "1.0.0",
        description: "Everything the kernel can say.",
        includes: |path| path.starts_with("/v1") || path == "/health",
        tags: &[("Things", "Things that are kept.")],
        security: &[
            SecurityDoc::Bearer,
            SecurityDoc::Header("X-API-Key"),
            SecurityDoc::Query("token"),
            SecurityDoc::Cookie("pocketpaw_session"),
        ],
        dialect,
    }
}

fn document() -> Value {
    describe(configure).document(&info(&Verbose))
}

#[test]
fn an_operation_says_what_it_takes_and_gives() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let create = &document["paths"]["/v1/things"]["post"];
    assert_eq!(create["operationId"], "create_thing");
    assert_eq!(create["summary"], "POST /v1/things: keep a thing");
    assert_eq!(create["tags"], json!(["Things"]));
    assert_eq!(
        create["requestBody"],
        json!({ "required": true, "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } }
        } })
    );
    assert_eq!(
        create["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Thing"
    );
    let statuses: BTreeSet<&str> = create["responses"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "201", "400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "502", "503",
    ];
    assert_eq!(statuses, expected.into());
    assert_eq!(create["security"].as_array().unwrap().len(), 4);
    assert_eq!(document["paths"]["/health"]["get"]["security"], json!([]));

    let list = &document["paths"]["/v1/things"]["get"];
    let limit = list["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|parameter| parameter["name"] == "limit")
        .unwrap();
    assert_eq!(
        (limit["in"].as_str(), limit["required"].as_bool()),
        (Some("query"), Some(false))
    );
    assert_eq!(limit["description"], "How many at most.");

    let delete = &document["paths"]["/v1/things/{id}"]["delete"];
    assert_eq!(delete["parameters"][0]["name"], "id");
    assert_eq!(delete["parameters"][0]["schema"]["type"], "integer");
    assert!(delete["responses"]["204"].get("content").is_none());
    assert!(delete["responses"].get("404").is_some());

    let thing = &document["components"]["schemas"]["Thing"];
    assert_eq!(thing["required"], json!(["name"]));
    assert_eq!(
        thing["properties"]["parts"]["items"]["$ref"],
        "#/components/schemas/Part"
    );
}

#[test]
fn errors_are_told_in_the_dialects_own_statuses_and_shapes() {
    let verbose = document();
    let unprocessable = &verbose["components"]["responses"]["UnprocessableEntity"];
    let shapes = unprocessable["content"]["application/json"]["schema"]["anyOf"]
        .as_array()
        .unwrap();
    assert_eq!(
        shapes.len(),
        2,
        "mismatched and invalid input look different"
    );
    assert!(
        verbose["components"]["responses"]["TooManyRequests"]["headers"]
            .get("Retry-After")
            .is_some()
    );

    let terse = describe(configure).document(&info(&Terse));
    let create = &terse["paths"]["/v1/things"]["post"]["responses"];
    assert!(create.get("415").is_none());
    assert_eq!(create["400"]["$ref"], "#/components/responses/BadRequest");
    assert_eq!(
        terse["components"]["responses"]["BadRequest"]["content"]["application/json"]["schema"]["required"],
        json!(["detail"])
    );
}

#[test]
fn a_document_holds_its_own_paths_and_only_what_they_use() {
    let description = describe(configure);
    let health_only = description.document(&DocumentInfo {
        includes: |path| path == "/health",
        ..info(&Verbose)
    });
    assert_eq!(health_only["paths"].as_object().unwrap().len(), 1);
    assert_eq!(health_only["components"]["schemas"], json!({}));
    let again = describe(configure).document(&info(&Verbose));
    assert_eq!(document().to_string(), again.to_string());
}

#[test]
fn registering_routes_outside_a_description_says_nothing() {
    let silent = describe(|_| ()).document(&info(&Verbose));
    assert_eq!(silent["paths"], json!({}));
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Delta { text: String },
    Done { children: Vec<Tree> },
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Tree {
    children: Vec<Tree>,
    label: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// Which project.
    project: String,
    file: u32,
}

/// GET /v1/all/{project}/{file}: everything
///
/// More about it.
#[api_v2_operation(operation_id = "everything")]
async fn everything(
    _caller: Authenticated,
    place: PathParams<Place>,
    _from: ResumeFrom,
) -> Result<OneOf<Sse<Event>, Reply<Thing>>, ApiError> {
    let name = format!("{}/{}", place.0.project, place.0.file);
    Ok(OneOf::Second(Reply(Thing {
        name,
        count: None,
        parts: Vec::new(),
    })))
}

/// GET /v1/pair/{a}/{b}: two in order
#[api_v2_operation]
async fn pair(_path: PathParams<(String, u64)>) -> Result<Media<Html>, ApiError> {
    Ok(Media::new("<p>"))
}

/// GET /v1/socket: a socket
#[api_v2_operation(operation_id = "socket")]
async fn socket() -> Result<Upgrade, ApiError> {
    Ok(Upgrade(
        actix_web::HttpResponse::SwitchingProtocols().finish(),
    ))
}

/// POST /v1/raw: by hand
#[api_v2_operation(operation_id = "raw")]
async fn raw() -> Result<Raw<Thing, 202>, ApiError> {
    Ok(Raw::from(actix_web::HttpResponse::Accepted().finish()))
}

fn configure_more(config: &mut ServiceConfig) {
    configure(config);
    config
        .route("/v1/all/{project}/{file:.*}", api::get().to(everything))
        .route("/v1/pair/{a}/{b}", api::get().to(pair))
        .route("/v1/socket", api::get().to(socket))
        .route("/v1/raw", api::post().to(raw));
}

#[test]
fn streams_media_sockets_and_named_paths_are_described() {
    let document = describe(configure_more).document(&info(&Verbose));
    let everything = &document["paths"]["/v1/all/{project}/{file}"]["get"];
    assert_eq!(everything["description"], "More about it.");
    let content = &everything["responses"]["200"]["content"];
    assert_eq!(
        content["text/event-stream"]["schema"]["properties"]["data"]["contentSchema"]["$ref"],
        "#/components/schemas/Event"
    );
    assert!(
        content.get("application/json").is_some(),
        "both kinds of answers"
    );
    let names: Vec<&str> = everything["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["project", "file", "Last-Event-ID", "run", "after"]);
    assert_eq!(everything["parameters"][0]["description"], "Which project.");
    assert_eq!(everything["parameters"][1]["schema"]["type"], "integer");

    let pair = &document["paths"]["/v1/pair/{a}/{b}"]["get"];
    assert_eq!(pair["operationId"], "get_v1_pair_a_b");
    assert_eq!(pair["parameters"][0]["schema"]["type"], "string");
    assert_eq!(pair["parameters"][1]["schema"]["type"], "integer");
    assert!(
        pair["responses"]["200"]["content"]
            .get("text/html")
            .is_some()
    );
    assert!(
        document["paths"]["/v1/socket"]["get"]["responses"]
            .get("101")
            .is_some()
    );
    assert!(
        document["paths"]["/v1/raw"]["post"]["responses"]
            .get("202")
            .is_some()
    );
    // Recursion, and the union that plain paperclip loses.
    assert_eq!(
        document["components"]["schemas"]["Tree"]["properties"]["children"]["items"]["$ref"],
        "#/components/schemas/Tree"
    );
    assert_eq!(
        document["components"]["schemas"]["Event"]["oneOf"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    check_structure(&document);
}

/// What OpenAPI 3.1 demands of a document, as far as it can be wrong here.
fn check_structure(document: &Value) {
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let wanted: BTreeSet<&str> = path
            .split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap())
            .collect();
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{path} {method}"
            );
            let mut seen = BTreeSet::new();
            let mut in_path = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (place, name) = (
                    parameter["in"].as_str().unwrap(),
                    parameter["name"].as_str().unwrap(),
                );
                assert!(seen.insert((place, name)), "{path} {name} twice");
                assert!(parameter.get("schema").is_some());
                if place == "path" {
                    assert_eq!(parameter["required"], true);
                    in_path.insert(name);
                }
            }
            assert_eq!(in_path, wanted, "{path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses
                    .keys()
                    .any(|status| status.starts_with(['1', '2'])),
                "{path} {method}"
            );
            for response in responses.values() {
                assert!(response.get("description").is_some() || response.get("$ref").is_some());
            }
            for scheme in operation["security"].as_array().unwrap() {
                for name in scheme.as_object().unwrap().keys() {
                    assert!(
                        document["components"]["securitySchemes"]
                            .get(name)
                            .is_some(),
                        "{name}"
                    );
                }
            }
        }
    }
    check_references(document, document);
    assert!(
        !document.to_string().contains("fragment:"),
        "a placeholder was left"
    );
}

fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
            }
            members
                .values()
                .for_each(|member| check_references(document, member));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| check_references(document, item)),
        _ => {}
    }
}
