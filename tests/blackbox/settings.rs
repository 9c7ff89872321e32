//! Settings over the wire: what is changed holds for the next answer of the model, on both databases, and after a restart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, ModelServer, Options, Server, WITHOUT_LIMITS, on_postgresql};

async fn put(server: &Server, path: &str, body: &Value) -> Answer {
    let request = server.request(Method::PUT, path).json(body);
    Answer::of(request.send().await.unwrap()).await
}

async fn say(server: &Server, text: &str) {
    let body = json!({ "content": text, "session_id": "s" });
    server.post("/api/v1/chat", &body).await.ok();
}

/// The system prompt and the temperature of the model's last request.
fn last_asked(model: &ModelServer) -> (String, Value) {
    let request = model.requests().pop().unwrap();
    let system = &request["messages"][0];
    assert_eq!(system["role"], "system");
    let prompt = system["content"].as_str().unwrap().to_owned();
    (prompt, request["temperature"].clone())
}

async fn changes_hold_at_once(database: &str) {
    let model = ModelServer::start().await;
    let config = format!("{WITHOUT_LIMITS}{database}{}", model.settings());
    let mut server = Server::start(Options::config(config)).await;
    say(&server, "ECHO one").await;
    let (before, temperature) = last_asked(&model);
    assert_eq!(temperature, Value::Null);

    let body =
        json!({ "system_prompt": "Speak like a pirate.", "temperature": 0.25, "max_tokens": 77 });
    put(&server, "/api/v1/settings", &body).await.ok();
    let body = json!({ "soul_file": "Steady.", "user_file": "Name: Golden" });
    put(&server, "/api/v1/identity", &body).await.ok();
    for restarted in [false, true] {
        if restarted {
            server.stop().await;
            server.restart().await;
        }
        say(&server, "ECHO two").await;
        let (prompt, temperature) = last_asked(&model);
        assert_ne!(prompt, before);
        for part in ["Speak like a pirate.", "Steady.", "Name: Golden"] {
            assert!(prompt.contains(part), "{prompt}");
        }
        assert_eq!(temperature, 0.25);
        assert_eq!(model.requests().last().unwrap()["max_tokens"], 77);
        let shown = server.get("/api/v1/identity").await.ok();
        assert_eq!(shown["identity_file"], "Speak like a pirate.");
        assert_eq!(shown["user_file"], "Name: Golden");
        let settings = server.get("/api/v1/settings").await.ok();
        assert_eq!(settings["temperature"], 0.25);
    }

    all_or_nothing(&server).await;
    say(&server, "ECHO three").await;
    assert_eq!(last_asked(&model).1, 0.25);

    // A provider that is set over the wire, with its key, answers at once.
    let other = ModelServer::start().await;
    let address = format!("http://{}/v1", other.address);
    let body = json!({
        "openai_compatible_base_url": address, "openai_compatible_api_key": "sk-canary-9f8e7d",
        "default_model": "openai_compatible/m"
    });
    put(&server, "/api/v1/settings", &body).await.ok();
    say(&server, "ECHO four").await;
    assert_eq!(other.requests().len(), 1);
    let shown = server.get("/api/v1/settings").await;
    assert!(!shown.text.contains("sk-canary"), "{}", shown.text);
    let told = put(
        &server,
        "/api/v1/settings",
        &json!({ "max_concurrent_conversations": 7 }),
    )
    .await;
    assert_eq!(
        told.ok()["restart_required"],
        json!(["max_concurrent_conversations"])
    );

    let preferences = json!({ "channels": { "webPush": true } });
    let path = "/api/settings/notification-preferences";
    let answer = put(&server, path, &preferences).await.ok();
    assert_eq!(
        answer["preferences"]["channels"]["webPush"], true,
        "{answer}"
    );
    assert_eq!(
        server.get(path).await.ok()["preferences"],
        answer["preferences"]
    );
}

/// One wrong or protected field, and nothing of the rest is changed.
async fn all_or_nothing(server: &Server) {
    let body = json!({ "temperature": 1.0, "max_steps": "many", "soul_name": "Mo" });
    let refused = put(server, "/api/v1/settings", &body)
        .await
        .with_status(422);
    let refused = refused.json();
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "max_steps"]));
    assert!(refused["detail"][0]["msg"].is_string());
    let protected = json!({ "bypass_permissions": true, "temperature": 1.0 });
    put(server, "/api/v1/settings", &protected)
        .await
        .with_status(403);
    let settings = server.get("/api/v1/settings").await.ok();
    assert_eq!(
        (&settings["temperature"], &settings["soul_name"]),
        (&json!(0.25), &json!("Paw"))
    );
}

#[tokio::test]
async fn changes_hold_at_once_and_after_a_restart_on_sqlite() {
    changes_hold_at_once("").await;
}

#[tokio::test]
async fn changes_hold_at_once_and_after_a_restart_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    changes_hold_at_once(&database).await;
}

/// What is logged changes at once, is kept, and is in the audit log; what cannot be read is refused.
#[tokio::test]
async fn the_level_of_the_log_changes_at_once() {
    const SETTINGS: &str = "/api/v1/settings";

    let config = format!("{WITHOUT_LIMITS}[logging]\nlevel = \"warn\"\n");
    let mut server = Server::start(Options::config(config)).await;
    // Whether a request leaves a line.
    let tells = async |server: &Server| {
        let before = server.log().len();
        server.get("/api/v1/version").await.ok();
        server.log().split_off(before).contains("answered")
    };
    assert!(!tells(&server).await, "{}", server.log());
    let level = |level: &str| json!({ "log_level": level });
    let changed = put(&server, SETTINGS, &level("debug")).await.ok();
    assert_eq!(changed, json!({ "status": "ok" }));
    assert!(tells(&server).await, "{}", server.log());
    let refused = put(&server, SETTINGS, &level("majordomo=loud")).await;
    let refused = refused.with_status(422).json();
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "log_level"]));
    let only = "warn,majordomo_presentation_http=debug";
    put(&server, SETTINGS, &level(only)).await.ok();
    assert!(tells(&server).await);
    server.stop().await;
    server.restart().await;
    assert!(tells(&server).await, "it is kept");
    assert_eq!(server.get(SETTINGS).await.ok()["log_level"], only);
    put(&server, SETTINGS, &level("off")).await.ok();
    assert!(!tells(&server).await);
    // Without a stored level the file's holds.
    put(&server, SETTINGS, &level("")).await.ok();
    assert_eq!(server.get(SETTINGS).await.ok()["log_level"], "warn");
    let entries = server.get("/api/v1/audit").await.text;
    assert_eq!(entries.matches("logging.level").count(), 4, "{entries}");
}

/// A service of others can be connected once its name for this server is set, whether over the wire or in the file.
#[tokio::test]
async fn other_services_are_connected_by_the_name_that_is_set() {
    const CONNECT: &str = "/api/oauth/authorize?service=";

    let config = format!("{WITHOUT_LIMITS}[oauth]\nspotify_client_id = \"of-the-file\"\n");
    let mut server = Server::start(Options::config(config)).await;
    let connect = async |server: &Server, service: &str| {
        let answer = server.get(&format!("{CONNECT}{service}")).await;
        (
            answer.status,
            answer.header("location").to_owned(),
            answer.text,
        )
    };
    let (status, _, text) = connect(&server, "google_gmail").await;
    assert_eq!(status, 400);
    let words = "Google OAuth Client ID not configured. Set it in Settings first.";
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "detail": words })
    );
    let (status, location, _) = connect(&server, "spotify").await;
    assert_eq!(status, 307);
    assert!(
        location.starts_with("https://accounts.spotify.com/authorize?"),
        "{location}"
    );
    assert!(location.contains("client_id=of-the-file"), "{location}");

    let body =
        json!({ "google_oauth_client_id": "stored.apps", "spotify_client_id": "stored-too" });
    put(&server, "/api/v1/settings", &body).await.ok();
    for restarted in [false, true] {
        if restarted {
            server.stop().await;
            server.restart().await;
        }
        for (service, name) in [("google_drive", "stored.apps"), ("spotify", "stored-too")] {
            let (status, location, _) = connect(&server, service).await;
            assert_eq!(status, 307, "{service}");
            assert!(
                location.contains(&format!("client_id={name}&")),
                "{location}"
            );
            assert!(
                location.contains(&format!("%3A{service}&")),
                "the state: {location}"
            );
        }
    }
    let shown = server.get("/api/v1/settings").await.text;
    assert!(!shown.contains("stored.apps"), "{shown}");
    put(
        &server,
        "/api/v1/settings",
        &json!({ "google_oauth_client_id": "" }),
    )
    .await
    .ok();
    assert_eq!(connect(&server, "google_gmail").await.0, 400);
    let (status, _, text) = connect(&server, "fax").await;
    assert_eq!(status, 400, "{text}");
}
