//! Listing and finding models.

use serde_json::json;

use crate::support::World;
use majordomo_testkit::ScriptedModel;

#[actix_web::test]
async fn list_models_names_the_agent_its_models_and_the_models() {
    let world = World::new(ScriptedModel::new()).await;
    let answer = world.get("/v1/models").await;
    assert_eq!(answer.status, 200);
    let model = |id: &str, owner: &str| json!({ "id": id, "object": "model", "created": 0, "owned_by": owner });
    assert_eq!(
        answer.json(),
        json!({ "object": "list", "data": [
            model("majordomo", "majordomo"),
            model("majordomo/scripted/scripted", "majordomo"),
            model("majordomo/mock/gpt-x", "majordomo"),
            model("majordomo/mock/org/deep", "majordomo"),
            model("majordomo/builtin/assistant", "majordomo"),
            model("scripted/scripted", "scripted"),
            model("mock/gpt-x", "mock"),
            model("mock/org/deep", "mock"),
            model("builtin/assistant", "builtin"),
            model("builtin/mini", "builtin"),
        ] })
    );
}

#[actix_web::test]
async fn retrieve_model_finds_names_with_slashes_plain_or_escaped() {
    let world = World::new(ScriptedModel::new()).await;
    for (path, id, owner) in [
        ("majordomo", "majordomo", "majordomo"),
        (
            "majordomo/mock/org/deep",
            "majordomo/mock/org/deep",
            "majordomo",
        ),
        ("mock/org/deep", "mock/org/deep", "mock"),
        ("mock%2Forg%2Fdeep", "mock/org/deep", "mock"),
        ("gpt-x", "gpt-x", "mock"),
        ("builtin/mini", "builtin/mini", "builtin"),
        ("mini", "mini", "builtin"),
    ] {
        let answer = world.get(&format!("/v1/models/{path}")).await;
        assert_eq!(
            answer.json(),
            json!({ "id": id, "object": "model", "created": 0, "owned_by": owner }),
            "{path}"
        );
    }
}

#[actix_web::test]
async fn retrieve_model_tells_of_a_model_that_does_not_exist() {
    let world = World::new(ScriptedModel::new()).await;
    let answer = world.get("/v1/models/nobody/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({ "error": {
            "message": "The model `nobody/nothing` does not exist",
            "type": "invalid_request_error", "param": null, "code": "model_not_found"
        } })
    );
}
