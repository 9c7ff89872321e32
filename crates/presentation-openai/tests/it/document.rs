//! The OpenAPI document.

use majordomo_presentation_openai::document;

#[test]
fn the_document_covers_every_route() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let routes: Vec<(&str, Vec<&str>)> = paths
        .iter()
        .map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().map(String::as_str);
            (path.as_str(), methods.collect())
        })
        .collect();
    assert_eq!(
        routes,
        [
            ("/v1/chat/completions", vec!["get", "post"]),
            ("/v1/embeddings", vec!["post"]),
            ("/v1/models", vec!["get"]),
            ("/v1/models/{model}", vec!["get"]),
        ]
    );
    let create = &paths["/v1/chat/completions"]["post"];
    assert!(create["requestBody"]["content"]["application/json"]["schema"].is_object());
    let answers = create["responses"]["200"]["content"].as_object().unwrap();
    assert_eq!(
        answers.keys().collect::<Vec<_>>(),
        ["application/json", "text/event-stream"]
    );
    for status in [
        "400", "401", "403", "413", "415", "429", "500", "502", "503",
    ] {
        assert!(create["responses"].get(status).is_some(), "{status}");
    }
}
