//! The command line of memory: over a running server, and alone; with files that are whole, broken, or whose import is
//! killed.

mod exports;
mod two_users;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Finished, Options, Server, WITHOUT_LIMITS, command, on_postgresql, run, within,
};
use exports::{chatgpt, claude, claude_talk, talk};

async fn memory(folder: &Path, arguments: &[&str]) -> Finished {
    run(folder, &[&["memory"], arguments].concat()).await
}

/// Writes a file into a folder of its own, and imports it.
async fn import(folder: &Path, name: &str, text: &str) -> Finished {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join(name);
    fs::write(&file, text).unwrap();
    memory(folder, &["import", file.to_str().unwrap(), "--json"]).await
}

/// What an import counted: new, known, broken.
fn counts(finished: &Finished) -> (u64, u64, u64) {
    let data: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
    let of = |name: &str| data[name].as_u64().unwrap();
    (of("stored"), of("known"), of("broken"))
}

/// The lines of an export, without ids and without the mark that they were imported.
async fn exported(folder: &Path) -> Vec<Value> {
    let text = memory(folder, &["export"]).await.ok();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("id");
            let sources = line["sources"].as_array_mut().unwrap();
            sources.retain(|source| {
                source["author"] != "import" || !source["conversation_id"].is_null()
            });
            line
        })
        .collect();
    lines.sort_by_key(ToString::to_string);
    lines
}

/// What is remembered one by one.
async fn one_by_one(folder: &Path) {
    let tea = [
        "add",
        "Ann likes green tea",
        "--type",
        "preference",
        "--tag",
        "drink",
    ];
    let added = memory(
        folder,
        &[&tea[..], &["--importance", "0.8", "--json"]].concat(),
    )
    .await
    .json();
    let id = added["id"].as_str().unwrap();
    assert_eq!(
        (&added["merged"], &added["summary"]),
        (&json!(false), &json!("Ann likes green tea"))
    );
    let again = memory(folder, &tea).await.ok();
    assert_eq!(again, format!("Merged into {id}.\n"));
    memory(folder, &["add", "The office is in Oslo"]).await.ok();
    let found = memory(folder, &["search", "which tea does she like", "--json"])
        .await
        .json();
    assert_eq!(
        (&found[0]["id"], &found[0]["source"]),
        (&json!(id), &json!("memory"))
    );
    assert!(memory(folder, &["search", "tea"]).await.ok().contains(id));
    assert_eq!(
        memory(folder, &["search", "zebra"]).await.ok(),
        "Nothing found.\n"
    );
    let listed = memory(folder, &["list", "--type", "preference", "--json"])
        .await
        .json();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["tags"]),
        (1, &json!(["drink"]))
    );
    assert!(memory(folder, &["list"]).await.ok().contains("[drink]"));
    let stats = memory(folder, &["stats", "--json"]).await.json();
    assert_eq!(stats["total"], 2);
    assert!(
        memory(folder, &["stats"])
            .await
            .ok()
            .ends_with("Total                2\n")
    );
    assert_eq!(
        memory(folder, &["forget", id]).await.ok(),
        format!("Forgot {id}.\n")
    );
    for (arguments, code) in [
        (&["forget", id][..], 1),
        (&["forget", "a/../b"], 1),
        (&["add", " "], 1),
        (&["add", "x", "--importance", "7"], 1),
        (&["list", "--limit", "0"], 2),
        (&["import", "/nowhere/at.all"], 1),
    ] {
        let failed = memory(folder, arguments).await;
        assert!(
            failed.code == code && failed.stdout.is_empty() && !failed.stderr.is_empty(),
            "{failed:?}"
        );
    }
}

/// What files hold comes in once, and goes out as it came.
async fn files(folder: &Path) {
    let lines = "{\"content\":\"The cat is called Mio\",\"memory_type\":\"fact\",\"importance\":0.25,\"tags\":[\"cat\"],\
        \"summary\":\"cat\",\"created_at\":\"2024-05-08T10:00:00.123456Z\",\"conversation_id\":\"gone\"}\n\
        {\"content\":\nnothing\n{\"content\":\"x\",\"importance\":7}\n{\"content\":\"The dog is called Rex\"}\n";
    let first = import(folder, "lines.jsonl", lines).await;
    assert_eq!((first.code, counts(&first)), (1, (2, 0, 3)));
    for place in ["line 2", "line 3", "line 4: importance"] {
        assert!(first.stderr.contains(place), "{place}: {first:?}");
    }
    let again = import(folder, "lines.jsonl", lines).await;
    assert_eq!(counts(&again), (0, 2, 3));

    let markdown = "# Memory\n\n## 2026-02-02T10:00:00+00:00\n\nThe bird is called Pip\n\n#bird #small\n\n## empty\n";
    let read = import(folder, "MEMORY.md", markdown).await;
    assert_eq!((read.code, counts(&read)), (1, (1, 0, 1)));
    assert_eq!(
        counts(&import(folder, "MEMORY.md", markdown).await),
        (0, 1, 1)
    );
    let listed = memory(folder, &["list", "--json"]).await.json();
    let bird = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["tags"] == json!(["bird", "small"]))
        .unwrap();
    assert_eq!(bird["created_at"], "2026-02-02T10:00:00.000Z");

    let audit = memory(folder, &["audit", "--json"]).await.json();
    assert_eq!(
        (&audit["orphaned"]["count"], &audit["whole"]),
        (&json!(1), &json!(true))
    );
    assert!(
        memory(folder, &["audit"])
            .await
            .ok()
            .contains("1 come from conversations that are gone")
    );

    // Into a folder of its own and back: all that is known is kept, and nothing is there twice.
    let files = tempfile::tempdir().unwrap();
    let (file, other) = (files.path().join("out.jsonl"), files.path().join("other"));
    let name = file.to_str().unwrap();
    let before = exported(folder).await;
    assert_eq!(before.len(), 4);
    memory(folder, &["export", "--output", name]).await.ok();
    assert_eq!(
        counts(&memory(&other, &["import", name, "--json"]).await),
        (4, 0, 0)
    );
    assert_eq!(
        counts(&memory(&other, &["import", name, "--json"]).await),
        (0, 4, 0)
    );
    assert_eq!(
        counts(&memory(folder, &["import", name, "--json"]).await),
        (0, 4, 0)
    );
    assert_eq!(exported(&other).await, before);
    assert_eq!(exported(folder).await, before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    let text = memory(folder, &["export", "--format", "markdown"])
        .await
        .ok();
    assert!(
        text.contains("## cat\n\nThe cat is called Mio\n\n#cat\n"),
        "{text}"
    );
    let third = tempfile::tempdir().unwrap();
    assert_eq!(
        counts(&import(third.path(), "out.md", &text).await),
        (4, 0, 0)
    );
}

/// Conversations of other systems become sessions, once, and are found at once.
async fn conversations(folder: &Path) {
    let one = chatgpt(
        "c-1",
        "Kyoto",
        &["Where is the kingfisher?", "At the pond."],
    );
    let two = chatgpt("c-2", "Bread", &["How long?", "An hour.", "Thanks"]);
    let export = json!([one, two, { "neither": 1 }]).to_string();
    let first = import(folder, "conversations.json", &export).await;
    assert_eq!((first.code, counts(&first)), (1, (5, 0, 1)));
    assert!(first.stderr.contains("conversation 3"), "{first:?}");
    let again = import(folder, "conversations.json", &export).await;
    assert_eq!(counts(&again), (0, 5, 1));
    assert_eq!(
        talk(folder, "chatgpt-c-1").await,
        ["user Where is the kingfisher?", "assistant At the pond."]
    );
    let listed = run(folder, &["sessions", "list", "--json"]).await.json();
    let kyoto = listed["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["title"] == "Kyoto")
        .unwrap();
    assert_eq!(
        (&kyoto["id"], &kyoto["channel"]),
        (&json!("websocket_chatgpt-c-1"), &json!("import"))
    );
    assert_eq!(kyoto["last_activity"], "2023-11-14T22:13:21.500000+00:00");
    let found = memory(folder, &["search", "where is the kingfisher", "--json"])
        .await
        .json();
    assert_eq!(found[0]["source"], "turn");
    assert_eq!(found[0]["sources"][0]["conversation_id"], "chatgpt-c-1");
    let found = run(folder, &["sessions", "search", "kingfisher", "--json"])
        .await
        .json();
    assert_eq!(found["sessions"][0]["id"], "websocket_chatgpt-c-1");

    // A later export has more of a conversation; Claude's form beside it.
    let longer = chatgpt(
        "c-1",
        "Another title",
        &["Where is the kingfisher?", "At the pond.", "I see it"],
    );
    let export = json!([longer, claude("k-1", "Stars", &["Which star?", "Vega."])]).to_string();
    let later = import(folder, "conversations.json", &export).await;
    assert_eq!((later.code, counts(&later)), (0, (3, 2, 0)));
    assert!(
        later.stderr.is_empty(),
        "no progress where nobody looks: {later:?}"
    );
    assert_eq!(talk(folder, "chatgpt-c-1").await[2], "user I see it");
    assert_eq!(
        talk(folder, "claude-k-1").await,
        ["user Which star?", "assistant Vega."]
    );
    let listed = run(folder, &["sessions", "list"]).await.ok();
    assert!(
        listed.contains("Kyoto") && !listed.contains("Another title"),
        "{listed}"
    );
    let (broken, _) = export.split_at(export.len() - 30);
    let broken = import(folder, "conversations.json", broken).await;
    assert_eq!(
        (broken.code, counts(&broken)),
        (1, (0, 3, 0)),
        "what is whole is read: {broken:?}"
    );
}

async fn walk_through(folder: &Path) {
    one_by_one(folder).await;
    files_of_a_fresh(folder).await;
    conversations(folder).await;
}

/// [`files`] on what [`one_by_one`] left: one memory.
async fn files_of_a_fresh(folder: &Path) {
    let left = memory(folder, &["list", "--json"]).await.json();
    assert_eq!(left.as_array().unwrap().len(), 1);
    files(folder).await;
}

#[tokio::test]
async fn memory_is_looked_after_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    walk_through(&folder.path().join("data")).await;
}

#[tokio::test]
async fn memory_is_looked_after_over_a_running_server() {
    let server = Server::start(Options::config(WITHOUT_LIMITS)).await;
    walk_through(server.data_dir()).await;
}

#[tokio::test]
async fn memory_is_looked_after_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    let config = format!("{WITHOUT_LIMITS}{database}");
    let server = Server::start(Options::config(config)).await;
    walk_through(server.data_dir()).await;
}

/// A search that was answered before knows what is imported afterwards, and nobody else's.
#[tokio::test]
async fn an_import_is_its_owners_only_and_known_at_once() {
    const BOB: &str = "sk-bob-0123456789abcdef";
    let config = format!(
        "{WITHOUT_LIMITS}[security.api_key_users]\n\"{BOB}\" = \"3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69\"\n"
    );
    let server = Server::start(Options::config(config)).await;
    let as_bob = async |method: Method, path: &str, body: Value| {
        let request = server.anonymous(method, path).bearer_auth(BOB).json(&body);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer.json()
    };
    let said = |text: &str| {
        json!({ "conversations": [{ "id": "chatgpt-c-1", "title": "His", "messages": [
            { "id": "m0", "role": "user", "content": text, "timestamp": "2024-05-08T10:00:00Z" }
        ] }] })
    };
    as_bob(
        Method::POST,
        "/api/v1/sessions/import",
        said("a heron of his own"),
    )
    .await;
    let remembered = json!({ "content": "Bob likes herons", "summary": "herons" });
    as_bob(Method::POST, "/v1/memories", remembered).await;
    let search = "/v1/memories/search?q=heron";
    let all = async || {
        let mut all = Vec::new();
        for path in [
            "/api/v1/sessions",
            "/api/v1/sessions/chatgpt-c-1/history",
            "/v1/memories",
            search,
        ] {
            let mut shown = as_bob(Method::GET, path, json!({})).await;
            for one in shown.as_array_mut().into_iter().flatten() {
                // Being found counts, and these are searches.
                one.as_object_mut().unwrap().remove("access_count");
            }
            all.push(shown);
        }
        all
    };
    assert_eq!(server.get(search).await.ok(), json!([]));
    let before = all().await;
    assert_eq!(before[3].as_array().unwrap().len(), 2);

    let export = json!([chatgpt("c-1", "Hers", &["a heron of hers", "indeed"])]).to_string();
    let folder = server.data_dir();
    assert_eq!(
        counts(&import(folder, "conversations.json", &export).await),
        (2, 0, 0)
    );
    let lines = "{\"content\":\"The operator saw a heron\"}\n";
    assert_eq!(
        counts(&import(folder, "lines.jsonl", lines).await),
        (1, 0, 0)
    );
    let found = server.get(search).await.text;
    for (text, is_hers) in [
        ("a heron of hers", true),
        ("The operator saw a heron", true),
        ("of his own", false),
        ("Bob", false),
    ] {
        assert_eq!(found.contains(text), is_hers, "{text}: {found}");
    }
    assert_eq!(exported(folder).await.len(), 1);
    assert_eq!(all().await, before, "his is as it was");
}

/// Kills the import of a file again and again, lets it end, and compares with an import that was left alone.
#[tokio::test]
async fn an_import_that_is_killed_is_finished_by_repeating_it() {
    let files = tempfile::tempdir().unwrap();
    let talks: Vec<Value> = (0..150)
        .map(|number| {
            let said: Vec<String> = (0..20)
                .map(|line| format!("line {line} of {number}"))
                .collect();
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            chatgpt(&format!("c-{number}"), &format!("Talk {number}"), &said)
        })
        .collect();
    let memories: String = (0..6_000).fold(String::new(), |text, number| {
        format!(
            "{text}{}\n",
            json!({ "content": format!("thing number {number}"), "tags": ["many"] })
        )
    });
    let (talks, memories) = (Value::Array(talks).to_string(), memories);
    for (name, text, whole) in [
        ("talks.json", talks, 3_000),
        ("memories.jsonl", memories, 6_000),
    ] {
        let file = files.path().join(name);
        fs::write(&file, text).unwrap();
        let arguments = ["memory", "import", file.to_str().unwrap(), "--json"];
        let alone = files.path().join(format!("alone-{name}"));
        assert_eq!(counts(&run(&alone, &arguments).await), (whole, 0, 0));
        let killed = files.path().join(format!("killed-{name}"));
        // Begun once, so that most kills hit the import and not the making of a database.
        run(&killed, &["memory", "stats"]).await.ok();
        for millis in [300, 600, 900, 1_200, 1_600, 2_000] {
            let mut process = command(&killed, &arguments).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(millis)).await;
            process.start_kill().unwrap();
            within(Duration::from_secs(10), "the end", process.wait())
                .await
                .unwrap();
        }
        let (stored, known, broken) = counts(&run(&killed, &arguments).await);
        assert_eq!((stored + known, broken), (whole, 0));
        let _ = writeln!(
            std::io::stderr(),
            "import kill test: {name}: the kills left {known} of {whole}"
        );
        assert_eq!(counts(&run(&killed, &arguments).await), (0, whole, 0));
        assert_eq!(all_sessions(&killed).await, all_sessions(&alone).await);
        let texts = |lines: Vec<Value>| -> Vec<Value> {
            lines
                .into_iter()
                .map(|line| line["content"].clone())
                .collect()
        };
        assert_eq!(
            texts(exported(&killed).await),
            texts(exported(&alone).await)
        );
    }
}

/// The sessions of a folder, and all that was said in three of them.
async fn all_sessions(folder: &Path) -> (Value, Vec<Vec<String>>) {
    let listed = run(folder, &["sessions", "list", "--limit", "500", "--json"])
        .await
        .json();
    let mut talks = Vec::new();
    if listed["total"] != 0 {
        for id in ["chatgpt-c-0", "chatgpt-c-75", "chatgpt-c-149"] {
            talks.push(talk(folder, id).await);
        }
    }
    (listed, talks)
}

/// Where a server takes requests more slowly, the command line waits.
#[tokio::test]
async fn the_command_line_waits_where_it_asks_too_fast() {
    let server = Server::start(Options::config("[security]\nrate_limit_rpm = 12\n")).await;
    let folder = server.data_dir();
    let line = |number| format!("{{\"content\":\"thing {number}\"}}\n");
    let lines: Vec<String> = (0..14).map(line).collect();
    assert_eq!(
        counts(&import(folder, "lines.jsonl", &lines.concat()).await),
        (14, 0, 0)
    );
    let listed = memory(folder, &["list", "--json"]).await.json();
    let ids: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 14);
    memory(folder, &[&["forget"], &ids[..]].concat()).await.ok();
    assert_eq!(
        memory(folder, &["list"]).await.code,
        1,
        "one by one nobody waits"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        memory(folder, &["list"]).await.ok(),
        "Nothing remembered.\n"
    );
}

/// Claude's export as a whole.
#[tokio::test]
async fn only_what_the_file_is_said_to_hold_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("export.json");
    fs::write(&file, claude_talk().to_string()).unwrap();
    let name = file.to_str().unwrap();
    let refused = memory(&data, &["import", name, "--format", "chatgpt", "--json"]).await;
    assert_eq!((refused.code, counts(&refused)), (1, (0, 0, 1)));
    let taken = memory(&data, &["import", name, "--format", "claude", "--json"]).await;
    assert_eq!((taken.code, counts(&taken)), (0, (2, 0, 0)));
    let wrong = memory(&data, &["import", name, "--format", "jsonl", "--json"]).await;
    assert_eq!((wrong.code, counts(&wrong).0), (1, 0));
}
