//! A private PostgreSQL cluster for tests, made of the server binaries that are installed.
//!
//! All tests of a run share one cluster and have a database of their own each. A small watching process stops the
//! cluster and removes its folder when the run has ended, however it ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot have its database fails by panicking"
)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

/// The unprivileged user the server runs as when the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65_534;

/// A running cluster.
pub struct PostgresCluster {
    folder: PathBuf,
}

/// The folder of the server binaries, or `None` where they are not installed.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut candidates: Vec<PathBuf> = versions
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .collect();
    candidates.sort();
    candidates.reverse();
    candidates.push(PathBuf::from("/usr/local/bin"));
    candidates.push(PathBuf::from("/usr/bin"));
    let complete = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|name| folder.join(name).exists())
    };
    candidates.into_iter().find(complete)
}

/// The same, with words about it on standard error where they are not installed.
fn binaries_or_words() -> Option<PathBuf> {
    let found = binaries();
    if found.is_none() {
        let words = "skipped: no PostgreSQL server binaries (initdb, pg_ctl, postgres) found";
        let _ = io::Write::write_all(&mut io::stderr(), format!("{words}\n").as_bytes());
    }
    found
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| {
        use std::os::unix::fs::MetadataExt;
        me.uid() == 0
    })
}

/// Names this run and the process whose end is the end of the run: nextest starts a process for each test.
fn run() -> (String, u32) {
    match std::env::vars_os().find(|(name, _)| name == "NEXTEST_RUN_ID") {
        Some((_, id)) => (id.to_string_lossy().into_owned(), parent_id()),
        None => (std::process::id().to_string(), std::process::id()),
    }
}

impl PostgresCluster {
    /// The cluster of this test run, started by whoever comes first. `None`, and words about it on standard error, where
    /// PostgreSQL is not installed.
    ///
    /// # Panics
    /// When the installed server does not start.
    pub fn shared() -> Option<Self> {
        let binaries = binaries_or_words()?;
        let (run, watched) = run();
        // Short: the path of a socket must fit into 107 bytes.
        let folder = PathBuf::from(format!("/tmp/majordomo-pg-{run}"));
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let cluster = Self { folder };
        if !cluster.folder.join("ready").exists() {
            cluster.start(&binaries, watched);
        }
        Some(cluster)
    }

    /// A cluster of the calling process alone, which may do with it what others would not like. `None` as for
    /// [`shared`](Self::shared).
    ///
    /// # Panics
    /// When the installed server does not start.
    pub fn own() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let binaries = binaries_or_words()?;
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(format!("/tmp/majordomo-pg-own-{process}-{number}"));
        let cluster = Self { folder };
        cluster.start(&binaries, process);
        Some(cluster)
    }

    /// Restarts the server without waiting for its clients.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn restart(&self) {
        let binaries = binaries().unwrap();
        self.run(
            &binaries,
            "pg_ctl",
            &["stop", "--pgdata=data", "-w", "-m", "fast"],
        );
        self.start_server(&binaries);
    }

    fn start(&self, binaries: &Path, watched: u32) {
        fs::create_dir_all(&self.folder).unwrap();
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            chown(&self.folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        self.watch(binaries, watched);
        self.run(
            binaries,
            "initdb",
            &[
                "--pgdata=data",
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ],
        );
        self.start_server(binaries);
        File::create(self.folder.join("ready")).unwrap();
    }

    fn start_server(&self, binaries: &Path) {
        let socket = self.folder.display();
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories={socket} -c fsync=off \
             -c full_page_writes=off -c max_connections=300 -c shared_buffers=32MB"
        );
        self.run(
            binaries,
            "pg_ctl",
            &[
                "start",
                "--pgdata=data",
                "-w",
                "-l",
                "server.log",
                "-o",
                &settings,
            ],
        );
    }

    /// Runs a program of the server to its end; it must succeed.
    fn run(&self, binaries: &Path, program: &str, arguments: &[&str]) {
        let mut command = Command::new(binaries.join(program));
        command.args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let log = File::create(self.folder.join(format!("{program}.log"))).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let status = command.status().unwrap();
        let words = fs::read_to_string(self.folder.join(format!("{program}.log")));
        assert!(status.success(), "{program} failed: {words:?}");
    }

    /// Starts the process that waits for the end of `watched` and then stops the cluster.
    fn watch(&self, binaries: &Path, watched: u32) {
        let folder = self.folder.display();
        let pg_ctl = binaries.join("pg_ctl");
        let pg_ctl = pg_ctl.display();
        let script = format!(
            "(while kill -0 {watched}; do sleep 0.3; done; \
             \"$@\" {pg_ctl} stop -D {folder}/data -m immediate; rm -rf {folder} {folder}.lock) &"
        );
        let mut watcher = Command::new("sh");
        watcher.args(["-c", &script, "watcher"]);
        if is_root() {
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            watcher.args(["setpriv", &user, &group, "--clear-groups"]);
        }
        watcher
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
    }

    /// Makes an empty database and returns its address.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let client = self.client("postgres").await;
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await
            .unwrap();
        self.address(&name)
    }

    /// Ends every connection to the database at `address`, as a restart of the server does.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn disconnect_all(&self, address: &str) {
        let name = address.rsplit('/').next().unwrap_or_default();
        let name = name.split('?').next().unwrap_or_default();
        self.client("postgres")
            .await
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                &[&name],
            )
            .await
            .unwrap();
    }

    /// A plain connection to a database of the cluster.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn client(&self, database: &str) -> Client {
        let address = self.address(database);
        let connecting = tokio_postgres::connect(&address, NoTls);
        let (client, connection) = tokio::time::timeout(Duration::from_secs(30), connecting)
            .await
            .unwrap()
            .unwrap();
        tokio::spawn(connection);
        client
    }

    fn address(&self, database: &str) -> String {
        let socket = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }
}
