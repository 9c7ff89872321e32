//! Backups: made while the server works, compared row by row with what is restored, and refused where they are not whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use majordomo_application::ports::{CopyStep, DatabaseCopy, DatabaseSchema};
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresCopy};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteCopy};
use majordomo_infrastructure_system::archive::{ArchiveHead, read_archive, write_archive};
use majordomo_testkit::copying;
use majordomo_testkit::postgres::PostgresCluster;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Finished, ModelServer, Options, Server, WITHOUT_LIMITS, run};

/// A place to restore to, and where a server with the same settings finds its database.
struct Place {
    folder: TempDir,
    url: Option<String>,
}

impl Place {
    fn sqlite() -> Self {
        Self::new(None)
    }

    fn new(url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, url };
        fs::write(place.config(), place.settings("")).unwrap();
        place
    }

    async fn postgres(cluster: &PostgresCluster) -> Self {
        Self::new(Some(cluster.database().await))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self, more: &str) -> String {
        let database = self
            .url
            .as_ref()
            .map(|url| format!("[database]\nurl = \"{url}\"\n"));
        format!("{WITHOUT_LIMITS}{}{more}", database.unwrap_or_default())
    }

    fn copy(&self) -> Box<dyn DatabaseCopy> {
        if let Some(url) = &self.url {
            return Box::new(PostgresCopy::new(PostgresConfig::new(url.clone())));
        }
        let path = self.data_dir().join("majordomo.sqlite3");
        Box::new(SqliteCopy::new(SqliteConfig::new(path)))
    }

    /// A server on it.
    async fn serve(&self, model: &ModelServer) -> Server {
        Server::start(Options {
            config: self.settings(&model.settings()),
            data_dir: Some(self.data_dir()),
            ..Options::default()
        })
        .await
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        let config = self.config();
        let mut all = arguments.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        run(&self.data_dir(), &all).await
    }

    /// What its database holds, by table.
    async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        copying::rows(&copying::export(&*self.copy()).await)
    }
}

/// What an archive holds, by table.
async fn archived(file: &Path) -> BTreeMap<String, Vec<String>> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_archive(&file, &sender));
    let mut steps = Vec::new();
    while let Some(step) = receiver.recv().await {
        steps.push(step);
    }
    reading.await.unwrap().unwrap();
    copying::rows(&steps)
}

/// The tables in which a restore leaves its own mark.
const AUDIT: [&str; 2] = ["audit_chain", "audit_entries"];

fn without_audit(mut rows: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    for table in AUDIT {
        rows.remove(table);
    }
    rows
}

async fn put(server: &Server, path: &str, body: &Value) {
    let request = server.request(Method::PUT, path).json(body);
    Answer::of(request.send().await.unwrap()).await.ok();
}

/// Sessions, a key, a stored secret and what a user prefers.
async fn fill(server: &Server) {
    for number in 0..20 {
        let body = json!({ "content": format!("ECHO zebra {number} ünï\u{0}cödé"), "session_id": format!("s{}", number % 3) });
        server.post("/api/v1/chat", &body).await.ok();
    }
    let key = json!({ "name": "script", "scopes": ["chat"] });
    server.post("/api/v1/auth/api-keys", &key).await.ok();
    let settings = json!({ "soul_name": "Mo", "discord_bot_token": "canary-of-backups-1f2e" });
    put(server, "/api/v1/settings", &settings).await;
}

/// Clients that write until they are told to stop.
struct Load {
    over: Arc<AtomicBool>,
    said: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(server: &Server) -> Self {
        let (over, said) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (over, said) = (over.clone(), said.clone());
                let request = server.request(Method::POST, "/api/v1/chat");
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let body = json!({ "content": "ECHO under load", "session_id": format!("load-{client}") });
                        let request = request.try_clone().unwrap().json(&body);
                        Answer::of(request.send().await.unwrap()).await.ok();
                        said.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        Self {
            over,
            said,
            clients,
        }
    }

    fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

/// Backs `from` up while clients write, restores it to `to`, and compares.
async fn backed_up_under_load(from: &Place, to: &Place) {
    let model = ModelServer::start().await;
    let mut server = from.serve(&model).await;
    fill(&server).await;
    let load = Load::on(&server);
    let file = from.folder.path().join("backup.tar.zst");
    let path = file.to_str().unwrap();
    let before = load.said();
    let made = from.run(&["backup", path, "--json"]).await.json();
    let meanwhile = load.said() - before;
    load.end().await;
    assert!(meanwhile > 0, "nobody wrote while the backup was made");
    assert_eq!(made["recorded"], true);
    let entries = server.get("/api/v1/audit?limit=1000").await.ok();
    let recorded = entries.as_array().unwrap().iter();
    assert_eq!(
        recorded
            .filter(|entry| entry["action"] == "backup_create")
            .count(),
        1
    );

    let verified = from.run(&["verify", path, "--json"]).await.json();
    assert_eq!(verified["rows"], made["rows"]);
    assert_eq!(verified["files"], json!([]), "no keys without being asked");
    let refused = from.run(&["backup", path]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let refused = from.run(&["restore", path, "--replace"]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("stop it first"),
        "{refused:?}"
    );
    assert_eq!(server.stop().await, 0);

    restored_row_by_row(to, &file).await;
    goes_on_with_its_key(from, to, &model).await;
}

/// What is restored is what the archive holds, and one entry about it; data is replaced only when that is asked for.
async fn restored_row_by_row(to: &Place, file: &Path) {
    let path = file.to_str().unwrap();
    to.run(&["restore", path]).await.ok();
    let (archived, restored) = (archived(file).await, to.rows().await);
    assert_eq!(
        restored["audit_entries"].len(),
        archived["audit_entries"].len() + 1
    );
    for entry in &archived["audit_entries"] {
        assert!(restored["audit_entries"].contains(entry));
    }
    assert_eq!(without_audit(restored), without_audit(archived));
    let refused = to.run(&["restore", path]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("--replace"),
        "{refused:?}"
    );
    to.run(&["restore", path, "--replace"]).await.ok();
    to.run(&["audit", "verify"]).await.ok();
}

/// The sealed secret needs its key: without it the server says so instead of starting, with it all goes on.
async fn goes_on_with_its_key(from: &Place, to: &Place, model: &ModelServer) {
    let refused = to.try_serve(model).await;
    assert!(refused.contains("secret.key"), "{refused}");
    fs::copy(
        from.data_dir().join("secret.key"),
        to.data_dir().join("secret.key"),
    )
    .unwrap();
    let server = to.serve(model).await;
    let found = server.get("/api/v1/sessions/search?q=zebra").await.ok();
    assert!(found.to_string().contains("zebra"), "{found}");
    let settings = server.get("/api/v1/settings").await.ok();
    assert_eq!(settings["soul_name"], "Mo");
    assert_eq!(
        settings["settings_status"]["secrets_set"],
        json!(["discord_bot_token"])
    );
    let body = json!({ "content": "ECHO goes on", "session_id": "s0" });
    server.post("/api/v1/chat", &body).await.ok();
    to.run(&["audit", "verify"]).await.ok();
}

impl Place {
    /// What a server says that must not come up.
    async fn try_serve(&self, model: &ModelServer) -> String {
        let options = Options {
            config: self.settings(&model.settings()),
            data_dir: Some(self.data_dir()),
            ..Options::default()
        };
        match Server::try_start(options).await {
            Ok(_) => panic!("the server starts"),
            Err(refused) => refused.stderr,
        }
    }
}

#[tokio::test]
async fn a_busy_sqlite_server_is_backed_up_and_restored_row_by_row() {
    backed_up_under_load(&Place::sqlite(), &Place::sqlite()).await;
}

#[tokio::test]
async fn a_busy_postgresql_server_is_backed_up_and_restored_row_by_row() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let (from, to) = (
        Place::postgres(&cluster).await,
        Place::postgres(&cluster).await,
    );
    backed_up_under_load(&from, &to).await;
}

#[tokio::test]
async fn a_backup_moves_from_one_database_to_the_other_and_back() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let (first, second, third) = (
        Place::sqlite(),
        Place::postgres(&cluster).await,
        Place::sqlite(),
    );
    let model = ModelServer::start().await;
    let mut server = first.serve(&model).await;
    fill(&server).await;
    server.stop().await;
    let rows = without_audit(first.rows().await);
    for (from, to) in [(&first, &second), (&second, &third)] {
        let file = from.folder.path().join("moving.tar.zst");
        let path = file.to_str().unwrap();
        from.run(&["backup", path, "--with-keys"]).await.ok();
        let restored = to.run(&["restore", path, "--json"]).await.json();
        assert!(
            restored["written"].to_string().contains("secret.key"),
            "{restored}"
        );
        assert_eq!(restored["sealed"], Value::Null);
        to.run(&["audit", "verify"]).await.ok();
    }
    assert_eq!(without_audit(third.rows().await), rows);
    let server = third.serve(&model).await;
    let settings = server.get("/api/v1/settings").await.ok();
    assert_eq!(
        settings["settings_status"]["secrets_set"],
        json!(["discord_bot_token"])
    );
}

#[tokio::test]
async fn what_is_not_a_whole_backup_is_refused_and_changes_nothing() {
    let place = Place::sqlite();
    let model = ModelServer::start().await;
    let mut server = place.serve(&model).await;
    fill(&server).await;
    server.stop().await;
    let file = |name: &str| place.folder.path().join(name);
    let whole = file("whole");
    place.run(&["backup", whole.to_str().unwrap()]).await.ok();
    let rows = place.rows().await;
    let bytes = fs::read(&whole).unwrap();
    let mut flipped = bytes.clone();
    // One bit alone may stand for another copy of the same text: what is read is the same then.
    let middle = flipped.len() / 2;
    for byte in &mut flipped[middle..middle + 16] {
        *byte = !*byte;
    }
    fs::write(file("flipped"), flipped).unwrap();
    fs::write(file("cut"), &bytes[..bytes.len() * 9 / 10]).unwrap();
    fs::write(file("short"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(file("empty"), b"").unwrap();
    fs::write(file("text"), b"not a backup at all").unwrap();
    for name in ["flipped", "cut", "short", "empty", "text", "missing"] {
        let path = file(name);
        let path = path.to_str().unwrap();
        for arguments in [&["verify", path][..], &["restore", path, "--replace"][..]] {
            let refused = place.run(arguments).await;
            assert_eq!(refused.code, 1, "{name}: {refused:?}");
        }
    }
    newer(&file("newer")).await;
    let refused = place
        .run(&["restore", file("newer").to_str().unwrap(), "--replace"])
        .await;
    assert!(
        refused.code == 1 && refused.stderr.contains("newer version"),
        "{refused:?}"
    );
    assert_eq!(place.rows().await, rows);
    place.run(&["audit", "verify"]).await.ok();
}

/// A backup of a database that this program does not know yet.
async fn newer(path: &Path) {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let schema = DatabaseSchema {
        migrations: vec!["99990101000000".to_owned()],
        tables: Vec::new(),
    };
    sender.send(CopyStep::Schema(schema)).await.unwrap();
    sender.send(CopyStep::Complete).await.unwrap();
    let head = ArchiveHead {
        created_at: 0,
        program: "99.0.0".to_owned(),
        database: "sqlite".to_owned(),
    };
    let path = path.to_owned();
    let written =
        tokio::task::spawn_blocking(move || write_archive(&path, false, head, &[], receiver));
    written.await.unwrap().unwrap();
}
