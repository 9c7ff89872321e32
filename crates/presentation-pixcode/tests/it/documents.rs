//! The OpenAPI document.

use majordomo_presentation_pixcode::document;

#[test]
fn the_document_tells_of_every_path() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/api/auth/login",
            "/api/auth/logout",
            "/api/auth/register",
            "/api/auth/status",
            "/api/auth/user",
            "/api/search/conversations",
            "/api/settings/api-keys",
            "/api/settings/api-keys/{id}",
            "/api/settings/api-keys/{id}/toggle",
            "/api/settings/notification-preferences",
        ]
    );
}

#[test]
fn the_document_tells_of_the_search() {
    let document = document();
    let search = &document["paths"]["/api/search/conversations"]["get"];
    assert_eq!(search["operationId"], "search_conversations");
    let parameters = search["parameters"].as_array().unwrap();
    let required = |name: &str| {
        let parameter = parameters.iter().find(|one| one["name"] == name);
        parameter.unwrap()["required"].as_bool().unwrap()
    };
    assert!(required("q"));
    assert!(!required("limit"));
    assert!(!required("provider"));
    let content = search["responses"]["200"]["content"].as_object().unwrap();
    assert!(content.contains_key("text/event-stream"));
    assert!(content.contains_key("application/json"));
    for status in ["400", "401", "403", "429"] {
        assert!(search["responses"][status].is_object(), "{status}");
    }
}
