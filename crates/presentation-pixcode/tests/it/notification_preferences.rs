//! `/api/settings/notification-preferences`.

use actix_web::test::TestRequest;
use majordomo_domain::Scope;
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, BOB, Site, bearer};

const PATH: &str = "/api/settings/notification-preferences";

fn preferences(in_app: bool, stop: bool) -> Value {
    json!({
        "success": true,
        "preferences": {
            "channels": { "inApp": in_app, "webPush": false },
            "events": { "actionRequired": true, "stop": stop, "error": true }
        }
    })
}

async fn get(site: &Site, key: &str) -> Answer {
    site.ask(bearer(TestRequest::get().uri(PATH), key)).await
}

async fn put(site: &Site, key: &str, body: Value) -> Answer {
    let request = TestRequest::put().uri(PATH).set_json(body);
    site.ask(bearer(request, key)).await
}

#[actix_web::test]
async fn preferences_are_replaced_as_a_whole_and_kept_for_each_user() {
    let site = Site::new().await;
    assert_eq!(get(&site, ALICE).await.json(), preferences(false, true));
    let body = json!({ "channels": { "inApp": true }, "events": { "stop": false } });
    let changed = put(&site, ALICE, body).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json(), preferences(true, false));
    assert_eq!(get(&site, ALICE).await.json(), preferences(true, false));
    assert_eq!(get(&site, BOB).await.json(), preferences(false, true));
    let reset = put(&site, ALICE, json!({})).await;
    assert_eq!(reset.json(), preferences(false, true));
}

#[actix_web::test]
async fn bad_bodies_change_nothing() {
    let site = Site::new().await;
    put(&site, ALICE, json!({ "channels": { "inApp": true } })).await;
    for body in [
        json!({ "channels": { "inApp": "yes" } }),
        json!({ "events": [1] }),
        json!([]),
        json!(null),
    ] {
        let refused = put(&site, ALICE, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.body);
    }
    let list = put(&site, ALICE, json!([])).await;
    let words = "The body must be a JSON object";
    assert!(list.body.contains(words), "{}", list.body);
    assert_eq!(get(&site, ALICE).await.json(), preferences(true, true));
}

#[actix_web::test]
async fn a_credential_and_its_scope_are_needed() {
    let site = Site::new().await;
    let anonymous = site.ask(TestRequest::get().uri(PATH)).await;
    assert_eq!(anonymous.status, 401);
    let reader = site.key_with(&[Scope::SettingsRead]).await;
    assert_eq!(get(&site, &reader).await.status, 200);
    assert_eq!(put(&site, &reader, json!({})).await.status, 403);
    let other = site.key_with(&[Scope::Chat]).await;
    assert_eq!(get(&site, &other).await.status, 403);
}
