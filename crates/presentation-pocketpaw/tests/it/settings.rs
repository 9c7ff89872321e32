//! `/api/v1/settings`.

use actix_web::test::TestRequest;
use majordomo_testkit::Script;
use serde_json::{Value, json};

use crate::world::{Answer, BOB, World, bearer};

const PATH: &str = "/api/v1/settings";

async fn put(world: &World, body: Value) -> Answer {
    put_as(world, crate::world::MASTER, body).await
}

async fn put_as(world: &World, token: &str, body: Value) -> Answer {
    let request = TestRequest::put().uri(PATH).set_json(body);
    world.send(bearer(request, token)).await
}

async fn get_as(world: &World, token: &str) -> Answer {
    world
        .send(bearer(TestRequest::get().uri(PATH), token))
        .await
}

#[actix_web::test]
async fn every_known_setting_is_shown_and_no_secret() {
    let world = World::playing([]).await;
    let settings = world.get(PATH).await.expect(200);
    let settings = settings.as_object().unwrap();
    assert_eq!(settings.len(), 187);
    assert_eq!(settings["theme_preference"], "system");
    assert_eq!(settings["soul_ocean"]["openness"], 0.7);
    assert_eq!(settings["system_prompt"], "Be brief.");
    assert_eq!(settings["webhook_configs"], json!([]));
    let secrets = settings
        .keys()
        .filter(|name| name.ends_with("_key") || name.ends_with("_token"));
    assert_eq!(secrets.collect::<Vec<_>>(), ["api_rate_limit_per_key"]);
}

#[actix_web::test]
async fn changes_are_kept_and_given_back() {
    let world = World::playing([]).await;
    let ok = json!({ "status": "ok" });
    let body = json!({
        "theme_preference": "dark", "soul_name": "Mo", "tools_deny": ["shell"],
        "discord_allowed_guild_ids": [42], "budget_override_usd": 1.5, "pii_type_actions": { "a": 1 }
    });
    assert_eq!(put(&world, body.clone()).await.expect(200), ok);
    let wrapped = json!({ "settings": { "soul_persona": "kind" } });
    assert_eq!(put(&world, wrapped).await.expect(200), ok);
    let settings = world.get(PATH).await.expect(200);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&settings[name], value, "{name}");
    }
    assert_eq!(settings["soul_persona"], "kind");
    // All of it may be sent back, but for what is protected.
    let mut all = settings.as_object().unwrap().clone();
    for name in [
        "bypass_permissions",
        "file_jail_path",
        "injection_scan_enabled",
        "localhost_auth_bypass",
        "pii_scan_enabled",
    ] {
        all.remove(name);
    }
    assert_eq!(put(&world, Value::Object(all)).await.expect(200), ok);
    assert_eq!(world.get(PATH).await.expect(200), settings);
}

#[actix_web::test]
async fn wrong_values_are_told_all_at_once_and_nothing_is_changed() {
    let world = World::playing([]).await;
    let body = json!({
        "theme_preference": "dark", "web_port": "notanint", "soul_enabled": "yes",
        "budget_warning_threshold": 2, "tools_deny": "shell", "openai_api_key": 5, "llm_provider": "x"
    });
    let refused = put(&world, body).await.expect(422);
    let mut wrong: Vec<&str> = refused["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| issue["loc"][1].as_str().unwrap())
        .collect();
    wrong.sort_unstable();
    let expected = [
        "budget_warning_threshold",
        "llm_provider",
        "openai_api_key",
        "soul_enabled",
        "tools_deny",
        "web_port",
    ];
    assert_eq!(wrong, expected);
    assert_eq!(
        world.get(PATH).await.expect(200)["theme_preference"],
        "system"
    );
    for (body, field) in [
        (json!({ "temperature": 9 }), "temperature"),
        (json!({ "default_model": "nobody/model" }), "default_model"),
    ] {
        let refused = put(&world, body).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", field]));
    }
    for body in [json!([]), json!("x"), json!({ "settings": 1 }), json!(null)] {
        put(&world, body).await.expect(422);
    }
}

#[actix_web::test]
async fn protected_settings_are_refused_and_unknown_ones_named() {
    let world = World::playing([]).await;
    let refused = put(&world, json!({ "bypass_permissions": true })).await;
    assert_eq!(
        refused.expect(403),
        json!({ "detail": "Field(s) bypass_permissions cannot be modified via the API" })
    );
    let body =
        json!({ "theme_preference": "dark", "trust_level": 1, "localhost_auth_bypass": true });
    assert_eq!(
        put(&world, body).await.expect(403),
        json!({ "detail": "Field(s) localhost_auth_bypass, trust_level cannot be modified via the API" })
    );
    assert_eq!(
        world.get(PATH).await.expect(200)["theme_preference"],
        "system"
    );
    assert_eq!(
        put(&world, json!({ "unknown_field": 1 })).await.expect(200),
        json!({ "status": "ok", "warnings": ["Unknown settings were ignored: unknown_field"] })
    );
    let moved = put(&world, json!({ "web_port": 9999 })).await.expect(200);
    assert_eq!(
        moved["warnings"],
        json!(["web_port was not changed: it is set by server.listen"])
    );
}

#[actix_web::test]
async fn secrets_are_set_and_never_shown() {
    let world = World::playing([]).await;
    let body = json!({ "openai_api_key": "bogus", "discord_bot_token": "hush-hush" });
    assert_eq!(
        put(&world, body).await.expect(200)["warnings"],
        json!([
            "OpenAI API key doesn't match expected format (expected format: sk-...). Double-check for typos or truncation."
        ])
    );
    let shown = world.get(PATH).await;
    assert!(
        !shown.text.contains("bogus") && !shown.text.contains("hush"),
        "{}",
        shown.text
    );
    let set = &shown.json()["settings_status"]["secrets_set"];
    assert_eq!(*set, json!(["openai_api_key", "discord_bot_token"]));
    put(&world, json!({ "openai_api_key": "" }))
        .await
        .expect(200);
    let set = world.get(PATH).await.expect(200);
    assert_eq!(
        set["settings_status"]["secrets_set"],
        json!(["discord_bot_token"])
    );
}

#[actix_web::test]
async fn the_chosen_provider_answers_once_it_can() {
    let world = World::playing([]).await;
    let body = json!({ "llm_provider": "anthropic", "anthropic_model": "claude-test" });
    let early = put(&world, body).await.expect(200);
    assert_eq!(
        early["warnings"],
        json!([
            "anthropic/claude-test does not answer yet: set the API key or address of anthropic"
        ])
    );
    put(&world, json!({ "anthropic_api_key": "sk-ant-x" }))
        .await
        .expect(200);
    let settings = world.get(PATH).await.expect(200);
    assert_eq!(settings["default_model"], "anthropic/claude-test");
    put(
        &world,
        json!({ "openai_compatible_base_url": "http://127.0.0.1:1/v1" }),
    )
    .await
    .expect(200);
    let body = json!({
        "llm_provider": "auto", "agent_backend": "openai_agents",
        "openai_agents_provider": "openai_compatible", "openai_agents_model": "local"
    });
    put(&world, body).await.expect(200);
    let settings = world.get(PATH).await.expect(200);
    assert_eq!(settings["default_model"], "openai_compatible/local");
    assert_eq!(
        settings["openai_compatible_base_url"],
        "http://127.0.0.1:1/v1"
    );
}

#[actix_web::test]
async fn a_change_is_seen_by_the_next_turn() {
    let world = World::playing([Script::answer("hi")]).await;
    let body = json!({ "temperature": 0.5, "system_prompt": "Rhyme." });
    put(&world, body).await.expect(200);
    world
        .post("/api/v1/chat", json!({ "content": "hello" }))
        .await
        .expect(200);
    let asked = world.model.requests();
    assert_eq!(asked[0].temperature, Some(0.5));
    assert!(format!("{:?}", asked[0].messages[0]).contains("Rhyme."));
}

#[actix_web::test]
async fn what_waits_for_a_restart_is_told() {
    let world = World::playing([]).await;
    let changed = put(&world, json!({ "max_concurrent_conversations": 7 }))
        .await
        .expect(200);
    assert_eq!(
        changed["restart_required"],
        json!(["max_concurrent_conversations"])
    );
    let status = &world.get(PATH).await.expect(200)["settings_status"];
    assert_eq!(
        status["restart_required"],
        json!(["max_concurrent_conversations"])
    );
}

#[actix_web::test]
async fn scopes_and_roles_are_needed() {
    let world = World::playing([]).await;
    let anonymous = TestRequest::get()
        .uri(PATH)
        .insert_header(("x-forwarded-for", "1.2.3.4"));
    assert_eq!(
        world.send(anonymous).await.expect(401),
        json!({ "detail": "Unauthorized" })
    );
    let reader = world.key(&["settings:read"]).await;
    get_as(&world, &reader).await.expect(200);
    let body = || json!({ "soul_name": "Mo" });
    let refused = put_as(&world, &reader, body()).await.expect(403);
    assert_eq!(
        refused,
        json!({ "detail": "API key missing required scope: settings:write" })
    );
    let writer = world.key(&["settings:write"]).await;
    get_as(&world, &writer).await.expect(200);
    put_as(&world, &writer, body()).await.expect(200);
    let chatter = world.key(&["chat"]).await;
    get_as(&world, &chatter).await.expect(403);
    // Bob is no administrator: he prefers what he likes, and sees nothing of what others prefer.
    put(&world, json!({ "user_display_name": "Operator" }))
        .await
        .expect(200);
    put_as(&world, BOB, body()).await.expect(200);
    let refused = put_as(&world, BOB, json!({ "soul_name": "Bo" }))
        .await
        .expect(403);
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("administrators"),
        "{refused}"
    );
    put_as(&world, BOB, json!({ "theme_preference": "light" }))
        .await
        .expect(200);
    let of_bob = get_as(&world, BOB).await.expect(200);
    assert_eq!(of_bob["theme_preference"], "light");
    assert_eq!(of_bob["user_display_name"], "");
    assert_eq!(
        world.get(PATH).await.expect(200)["theme_preference"],
        "system"
    );
}
