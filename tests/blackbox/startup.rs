//! Starting: what is wrong is named in one line, and nothing starts on a guess.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Options, Refused, Server, http_client, run};

async fn refused(options: Options) -> Refused {
    match Server::try_start(options).await {
        Ok(_) => panic!("it starts"),
        Err(refused) => refused,
    }
}

/// Settings that are right, and a log that tells of nothing but trouble.
const QUIET: &str = "[logging]\nlevel = \"warn\"\n";

/// The one line it says.
#[track_caller]
fn line(refused: &Refused) -> &str {
    let lines: Vec<&str> = refused.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one line: {refused:?}");
    lines[0]
}

#[tokio::test]
async fn wrong_settings_stop_the_start_and_are_named() {
    let cases = [
        ("[server]\nlisten = 5\n", "server.listen"),
        ("[server]\nprot = 1\n", "server.prot"),
        ("[sever]\n", "sever"),
        ("[agent]\nmax_steps = \"many\"\n", "agent.max_steps"),
        ("[models]\ndefault = \"nonsense\"\n", "models.default"),
        ("[memory]\nembedder = \"nowhere/m\"\n", "memory.embedder"),
        (
            "[logging]\nlevel = \"warn\"\n[memory]\nembedder = \"local:/nonexistent\"\n",
            "memory.embedder",
        ),
        (
            "[[models.providers]]\nname = \"x\"\nkind = \"smoke\"\n",
            "models.providers[0].kind",
        ),
        ("[database]\nurl = \"mysql://x\"\n", "database.url"),
        ("[logging]\nlevel = \"loud,,=\"\n", "logging.level"),
        (
            "[security]\nrate_limit_rpm = 0\n",
            "security.rate_limit_rpm",
        ),
        ("this is not toml", "line 1"),
    ];
    for (config, key) in cases {
        let refused = refused(Options::config(config)).await;
        assert_eq!(refused.code, 2, "{config:?}: {refused:?}");
        assert!(line(&refused).contains(key), "{config:?}: {refused:?}");
    }
}

#[tokio::test]
async fn wrong_variables_stop_the_start_and_are_named() {
    for (name, value, key) in [
        ("MAJORDOMO__SERVER__LISTN", "127.0.0.1:1", "server.listn"),
        ("MAJORDOMO__AGENT__MAX_STEPS", "many", "agent.max_steps"),
        (
            "MAJORDOMO__SECURITY__RATE_LIMIT_ENABLED",
            "perhaps",
            "security.rate_limit_enabled",
        ),
    ] {
        let env = vec![(name.to_owned(), value.to_owned())];
        let refused = refused(Options {
            env,
            ..Options::default()
        })
        .await;
        assert_eq!(refused.code, 2, "{name}: {refused:?}");
        assert!(line(&refused).contains(key), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_settings_file_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    for prepare in [
        || b"\xff\xfe not UTF-8".to_vec(),
        || b"[server]\nlisten = [\n".to_vec(),
    ] {
        fs::write(&file, prepare()).unwrap();
        let finished = run(folder.path(), &["serve", "--port", "0"]).await;
        assert_eq!(finished.code, 2, "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
        assert!(finished.stderr.contains("config.toml"), "{finished:?}");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let finished = run(folder.path(), &["serve", "--port", "0"]).await;
    assert_eq!(
        (finished.code, finished.stderr.lines().count()),
        (2, 1),
        "{finished:?}"
    );
    let finished = run(
        folder.path(),
        &["serve", "--port", "0", "--config", "/nowhere/config.toml"],
    )
    .await;
    assert_eq!(
        (finished.code, finished.stderr.lines().count()),
        (2, 1),
        "{finished:?}"
    );
}

#[tokio::test]
async fn flags_win_over_variables_and_those_over_the_file() {
    let mut options =
        Options::config("[server]\nlisten = [\"127.0.0.1:1\"]\n[agent]\nmax_steps = 3\n");
    options.env = vec![
        (
            "MAJORDOMO__SERVER__LISTEN".to_owned(),
            "[\"127.0.0.1:2\"]".to_owned(),
        ),
        (
            "MAJORDOMO__SERVER__ENVIRONMENT".to_owned(),
            "production".to_owned(),
        ),
    ];
    let server = Server::start(options).await;
    assert!(server.address.port() > 2);
    assert_eq!(
        server.get("/v1/system/status").await.ok()["environment"],
        "production"
    );
}

#[tokio::test]
async fn several_addresses_answer() {
    let config = "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"127.0.0.2:0\"]\n";
    let server = Server::start(Options {
        keep_listen: true,
        ..Options::config(config)
    })
    .await;
    let log = server.log();
    let addresses: Vec<&str> = log
        .lines()
        .filter_map(|line| line.strip_prefix("Majordomo listens on "))
        .collect();
    assert_eq!(addresses.len(), 3, "{log}");
    for address in addresses {
        let answer = http_client()
            .get(format!("{address}/health"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{address}");
    }
}

#[tokio::test]
async fn a_folder_in_which_nothing_can_be_written_is_named() {
    // Root writes where permissions forbid it, but nobody writes in /proc.
    for folder in ["/proc/majordomo", "/dev/null/majordomo"] {
        let options = Options {
            data_dir: Some(folder.into()),
            ..Options::config(QUIET)
        };
        let refused = refused(options).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(line(&refused).contains(folder), "{refused:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let config = format!("[server]\nlisten = [\"127.0.0.1:{port}\"]\n{QUIET}");
    let refused = refused(Options {
        keep_listen: true,
        ..Options::config(config)
    })
    .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(line(&refused).contains(&port), "{refused:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_says_who_holds_it() {
    let first = Server::assistant().await;
    let options = Options {
        data_dir: Some(first.data_dir().to_owned()),
        ..Options::config(QUIET)
    };
    let refused = refused(options).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        line(&refused).contains(&first.pid().to_string()),
        "{refused:?}"
    );
    first.get("/health").await.ok();
}

#[tokio::test]
async fn the_access_token_is_made_once_for_its_owner_only() {
    let mut server = Server::assistant().await;
    let file = server.data_dir().join("access_token");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let token = server.token.clone();
    assert_eq!(server.stop().await, 0);
    assert!(
        !server.data_dir().join("server.json").exists(),
        "the announcement goes with the server"
    );
    server.restart().await;
    assert_eq!(server.token, token);
    assert!(!server.log().contains(&token), "the token is never logged");
}
