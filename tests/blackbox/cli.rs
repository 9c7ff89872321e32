//! The command line: over a running server, and alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::harness::{Finished, ModelServer, PATIENCE, Server, command, eventually, run, within};

/// Exit code, and the words of a failure, which stand alone on standard error.
#[track_caller]
fn assert_fails(finished: &Finished, code: i32, words: &str) {
    assert_eq!(finished.code, code, "{finished:?}");
    assert!(
        finished.stderr.contains(words) && finished.stdout.is_empty(),
        "{finished:?}"
    );
}

/// The subcommands that need the services, the same with and without a server.
async fn walk_through(folder: &Path) {
    let said = run(folder, &["chat", "remember the zebra", "--session", "zoo"])
        .await
        .ok();
    assert!(!said.trim().is_empty());
    let answer = run(folder, &["chat", "hello", "--session", "zoo", "--json"])
        .await
        .json();
    assert_eq!(answer["conversation_id"], "zoo");
    assert!(!answer["content"].as_str().unwrap().is_empty());

    let listed = run(folder, &["sessions", "list", "--json"]).await.json();
    assert_eq!(listed["sessions"][0]["id"], "websocket_zoo");
    assert!(
        run(folder, &["sessions", "list"])
            .await
            .ok()
            .contains("zoo")
    );
    let shown = run(folder, &["sessions", "show", "zoo", "--json"])
        .await
        .json();
    assert_eq!(shown.as_array().unwrap().len(), 4);
    assert!(
        run(folder, &["sessions", "show", "zoo"])
            .await
            .ok()
            .contains("remember the zebra")
    );
    let found = run(folder, &["sessions", "search", "zebra", "--json"])
        .await
        .json();
    assert_eq!(found["sessions"][0]["id"], "websocket_zoo");
    let exported = run(folder, &["sessions", "export", "zoo", "--format", "json"])
        .await
        .json();
    assert_eq!(exported["message_count"], 4);
    let exported = run(folder, &["sessions", "export", "zoo", "--json"]).await;
    assert_eq!(exported.json()["message_count"], 4);
    let file = folder.join("zoo.md");
    run(
        folder,
        &[
            "sessions",
            "export",
            "zoo",
            "--output",
            file.to_str().unwrap(),
        ],
    )
    .await
    .ok();
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("# Conversation Export")
    );
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run(folder, &["sessions", "delete", "zoo"]).await.ok();
    assert_fails(&run(folder, &["sessions", "show", "zoo"]).await, 1, "zoo");
    assert_fails(
        &run(folder, &["sessions", "delete", "zoo"]).await,
        1,
        "Session not found",
    );
    keys(folder).await;
}

async fn keys(folder: &Path) {
    let made = run(
        folder,
        &[
            "keys",
            "create",
            "script",
            "--scopes",
            "chat,sessions",
            "--json",
        ],
    )
    .await
    .json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(key.starts_with("pp_"));
    let other = run(folder, &["keys", "create", "other"]).await.ok();
    assert!(
        other.trim().starts_with("pp_") && other.lines().count() == 1,
        "only the key is printed: {other:?}"
    );
    run(folder, &["keys", "revoke", id]).await.ok();
    let listed = run(folder, &["keys", "list", "--json"]).await.json();
    let states: Vec<(&Value, &Value)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["name"], &one["revoked"]))
        .collect();
    assert_eq!(
        states,
        [
            (&json!("other"), &json!(false)),
            (&json!("script"), &json!(true))
        ]
    );
    assert_fails(
        &run(folder, &["keys", "create", "x", "--scopes", "everything"]).await,
        1,
        "",
    );
    assert_fails(&run(folder, &["keys", "revoke", "nothing"]).await, 1, "");
}

#[tokio::test]
async fn everything_works_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    walk_through(&folder.path().join("data")).await;
}

#[tokio::test]
async fn everything_works_over_a_running_server() {
    let server = Server::assistant().await;
    walk_through(server.data_dir()).await;
    server.get("/health").await.ok();
}

/// The file of a server that died tells of nobody.
#[tokio::test]
async fn the_announcement_of_a_dead_server_is_no_server() {
    let mut server = Server::assistant().await;
    server.kill9().await;
    assert!(server.data_dir().join("server.json").exists());
    run(server.data_dir(), &["chat", "hello", "--session", "s"])
        .await
        .ok();
    server.restart().await;
    assert_eq!(server.history("s").await.len(), 2);
}

/// The README's first command, on a fresh machine.
#[tokio::test]
async fn a_newcomer_is_answered_and_warned_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let answered = run(&data, &["chat", "hello"]).await;
    assert!(!answered.stderr.contains("WARN"), "{answered:?}");
    assert!(answered.ok().contains("built-in assistant"));
}

#[tokio::test]
async fn chat_asks_the_model_that_is_named() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let said = run(
        server.data_dir(),
        &["chat", "ECHO one two", "--model", "mock/m"],
    )
    .await;
    assert!(said.stderr.contains("--session"), "how to go on: {said:?}");
    assert_eq!(said.ok(), "one two\n");
    let failed = run(server.data_dir(), &["chat", "FAIL 500"]).await;
    assert_eq!(failed.code, 1, "{failed:?}");
    let failed = run(server.data_dir(), &["chat", "FAIL 500", "--json"]).await;
    assert!(
        serde_json::from_str::<Value>(&failed.stderr).unwrap()["error"].is_string(),
        "{failed:?}"
    );
}

/// What the server refuses is told by name.
#[tokio::test]
async fn refusals_name_the_field_and_the_reason() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    for (command, words) in [
        (
            &["chat", "hi", "--model", "nobody/nothing"][..],
            "model: The model `nobody/nothing` does not exist",
        ),
        (&["chat", ""], "message: cannot be empty"),
        (&["chat", "x", "--session", "bad id"], "conversation_id: "),
        (&["keys", "create", ""], "name: "),
    ] {
        assert_fails(&run(server.data_dir(), command).await, 1, words);
    }
}

/// What the first SIGINT ends is ended at the server, too.
#[tokio::test]
async fn an_interrupted_chat_stops_the_answer() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut chat = command(server.data_dir(), &["chat", "HANG", "--session", "s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 8];
    let stdout = chat.stdout.as_mut().unwrap();
    within(PATIENCE, "an answer", stdout.read_exact(&mut said))
        .await
        .unwrap();
    let pid = chat.id().unwrap().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(killed.unwrap().success());
    let status = within(PATIENCE, "the end", chat.wait()).await.unwrap();
    assert_eq!(status.code(), Some(130));
    eventually("the provider is left alone", async || {
        (model.dropped_so_far() == 1).then_some(())
    })
    .await;
    eventually("what was said is kept", async || {
        (server.history("s").await.len() == 2).then_some(())
    })
    .await;
}

/// A terminal is not moved by what a model writes.
#[tokio::test]
async fn control_characters_do_not_reach_the_terminal() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let said = run(server.data_dir(), &["chat", "ECHO a\u{1b}[2Jb\u{7}c"])
        .await
        .ok();
    assert_eq!(said, "a[2Jbc\n");
}

#[tokio::test]
async fn the_token_is_shown_and_replaced() {
    let server = Server::assistant().await;
    let shown = run(server.data_dir(), &["token", "show"]).await.ok();
    assert_eq!(shown.trim(), server.token);
    let rotated = run(server.data_dir(), &["token", "rotate"]).await.ok();
    let shown = run(server.data_dir(), &["token", "show"]).await.ok();
    assert_ne!(shown.trim(), server.token);
    assert!(rotated.contains(shown.trim()), "{rotated}");
    let ask = async |token: &str| {
        let request = server
            .anonymous(reqwest::Method::GET, "/v1/models")
            .bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        (ask(&server.token).await, ask(shown.trim()).await),
        (401, 200),
        "the running server knows"
    );

    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), &["token", "rotate"]).await.ok();
    assert_eq!(run(folder.path(), &["token", "show"]).await.ok(), first);
}

#[tokio::test]
async fn migrations_are_checked_and_applied() {
    let folder = tempfile::tempdir().unwrap();
    let check = run(folder.path(), &["migrate", "--check"]).await;
    assert_eq!(check.code, 1, "{check:?}");
    assert!(check.stdout.contains("conversations"), "{check:?}");
    let applied = run(folder.path(), &["migrate", "--json"]).await.json();
    assert!(!applied["applied"].as_array().unwrap().is_empty());
    run(folder.path(), &["migrate", "--check"]).await.ok();
    assert_eq!(
        run(folder.path(), &["migrate", "--json"]).await.json()["applied"],
        json!([])
    );
}

#[tokio::test]
async fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let server = Server::assistant().await;
    let healthy = run(server.data_dir(), &["doctor", "--json"]).await.json();
    let findings = healthy["findings"].as_array().unwrap();
    assert!(
        findings.iter().all(|finding| finding["state"] != "error"),
        "{healthy}"
    );
    let named: Vec<&str> = findings
        .iter()
        .map(|finding| finding["subject"].as_str().unwrap())
        .collect();
    for subject in [
        "settings", "data", "database", "security", "server", "models",
    ] {
        assert!(named.contains(&subject), "{subject} in {named:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let open = "[security]\nrate_limit_enabled = false\n[server]\nlisten = [\"0.0.0.0:1\"]\n";
    std::fs::write(folder.path().join("config.toml"), open).unwrap();
    let open = run(folder.path(), &["doctor"]).await;
    assert_eq!(open.code, 1, "{open:?}");
    for check in ["Network exposure", "Rate limits", "Data directory"] {
        assert!(open.stdout.contains(check), "{open:?}");
    }
    let config = "[models]\ndefault = \"gone/m\"\n[[models.providers]]\nname = \"gone\"\nkind = \"openai\"\n\
                  base_url = \"http://127.0.0.1:1/v1\"\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let sick = run(folder.path(), &["doctor"]).await;
    assert_eq!(sick.code, 1, "{sick:?}");
    assert!(
        sick.stdout.contains("ERROR") && sick.stdout.contains("base_url"),
        "{sick:?}"
    );
    std::fs::write(folder.path().join("config.toml"), "[server]\nprot = 1\n").unwrap();
    let wrong = run(folder.path(), &["doctor"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stdout.contains("server.prot"), "{wrong:?}");
}

#[tokio::test]
async fn help_and_completions_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(folder.path(), &["completions", shell]).await.ok();
        assert!(script.contains("sessions"), "{shell}");
    }
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["chat", "--help"],
        &["sessions", "--help"],
        &["keys", "create", "--help"],
        &["token", "--help"],
        &["openapi", "--help"],
        &["migrate", "--help"],
        &["doctor", "--help"],
    ] {
        let help = run(folder.path(), command).await.ok();
        assert!(
            help.contains("Usage:") && help.contains("--json"),
            "{command:?}: {help}"
        );
    }
    assert_fails(&run(folder.path(), &["dance"]).await, 2, "dance");
    assert_fails(&run(folder.path(), &["chat"]).await, 2, "TEXT");
    assert!(
        run(folder.path(), &["--version"])
            .await
            .ok()
            .starts_with("majordomo ")
    );
}

/// Every subcommand that needs settings refuses wrong ones as `serve` does.
#[tokio::test]
async fn wrong_settings_stop_every_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[server]\nprot = 1\n").unwrap();
    for command in [
        &["chat", "hi"][..],
        &["sessions", "list"],
        &["keys", "list"],
        &["token", "show"],
        &["migrate"],
        &["openapi", "--config", file.to_str().unwrap()],
    ] {
        assert_fails(&run(folder.path(), command).await, 2, "server.prot");
    }
}
