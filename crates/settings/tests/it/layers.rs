//! What wins over what, and how values arrive.

use std::net::SocketAddr;

use majordomo_settings::{
    DatabaseLocation, Environment, LoadOptions, LogFormat, Overrides, ProviderKind, Settings,
};

use crate::Case;

fn addresses(listen: &[&str]) -> Vec<SocketAddr> {
    listen
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}

#[test]
fn defaults_without_any_source() {
    let settings = Settings::load(LoadOptions::<Vec<_>>::default()).unwrap();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings::default())
    );
    assert_eq!(settings.server.listen, addresses(&["127.0.0.1:8888"]));
    assert_eq!(settings.security.rate_limit_rpm.get(), 120);
    assert_eq!(settings.security.rate_limit_api_per_sec.get(), 10);
    assert_eq!(settings.security.rate_limit_api_burst.get(), 30);
    assert_eq!(settings.security.rate_limit_login_per_sec.get(), 1);
    assert_eq!(settings.security.rate_limit_login_burst.get(), 5);
    assert_eq!(settings.security.rate_limit_ws_per_sec.get(), 2);
    assert_eq!(settings.security.rate_limit_ws_burst.get(), 5);
    assert_eq!(settings.security.rate_limit_key_rpm.get(), 60);
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let mut case =
        Case::file("[server]\nlisten = [\"127.0.0.1:1\"]\nworkers = 1\n[agent]\nmax_steps = 3")
            .env("MAJORDOMO__SERVER__LISTEN", "127.0.0.1:2, [::1]:2");
    let settings = case.load().unwrap();
    assert_eq!(
        settings.server.listen,
        addresses(&["127.0.0.1:2", "[::1]:2"])
    );
    assert_eq!(
        settings.server.workers,
        Some(1),
        "the environment leaves other keys of the section alone"
    );
    assert_eq!(settings.agent.max_steps, 3);
    assert_eq!(settings.agent.tool_timeout_secs, 60);

    case.overrides = Overrides {
        port: Some(3),
        data_dir: Some("/data".into()),
        ..Overrides::default()
    };
    let settings = case.load().unwrap();
    assert_eq!(settings.server.listen, addresses(&["127.0.0.1:3"]));
    assert_eq!(settings.server.data_dir, Some("/data".into()));

    let hosts = ["127.0.0.2", "::1"].map(|host| host.parse().unwrap());
    case.overrides.hosts = Some(hosts.to_vec());
    assert_eq!(
        case.load().unwrap().server.listen,
        addresses(&["127.0.0.2:3", "[::1]:3"])
    );
}

#[test]
fn environment_text_takes_the_type_of_the_setting() {
    let settings = Case::file("")
        .env(
            "MAJORDOMO__SERVER__ALLOWED_ORIGINS",
            "[\"https://a.example\", 'tauri://localhost']",
        )
        .env("MAJORDOMO__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::1")
        .env("MAJORDOMO__SERVER__ENVIRONMENT", "production")
        .env("MAJORDOMO__SERVER__DATA_DIR", "/data")
        .env("MAJORDOMO__AGENT__TEMPERATURE", "0.5")
        .env("MAJORDOMO__AGENT__LOOP_BREAKER", "false")
        .env("MAJORDOMO__AGENT__SYSTEM_PROMPT", "123")
        .env("MAJORDOMO__SECURITY__RATE_LIMIT_RPM", "7")
        .env("MAJORDOMO__LOGGING__FORMAT", "json")
        .env("MAJORDOMO__MODELS__FALLBACK", "")
        .env(
            "MAJORDOMO__MODELS__PROVIDERS",
            "[{ name = \"local\", kind = \"ollama\", models = [\"a\"] }]",
        )
        .env(
            "MAJORDOMO__SECURITY__API_KEY_USERS",
            "{ \"sk-a.b\" = \"018F4E6E-0000-7000-8000-000000000001\" }",
        )
        .env("MAJORDOMO_UNRELATED", "x")
        .load()
        .unwrap();
    assert_eq!(
        settings.server.allowed_origins,
        ["https://a.example", "tauri://localhost"]
    );
    assert!(
        settings.server.trusted_proxies[0]
            .get()
            .contains(&"10.9.9.9".parse::<std::net::IpAddr>().unwrap())
    );
    assert!(
        settings.server.trusted_proxies[1]
            .get()
            .contains(&"::1".parse::<std::net::IpAddr>().unwrap())
    );
    assert_eq!(settings.server.environment, Environment::Production);
    assert_eq!(settings.agent.temperature, Some(0.5));
    assert!(!settings.agent.loop_breaker);
    assert_eq!(settings.agent.system_prompt, "123");
    assert_eq!(settings.security.rate_limit_rpm.get(), 7);
    assert_eq!(settings.logging.format, LogFormat::Json);
    assert!(settings.models.fallback.is_empty());
    assert_eq!(settings.models.providers[0].kind, ProviderKind::Ollama);
    let users: Vec<_> = settings
        .security
        .api_key_users
        .iter()
        .map(|(key, user)| (key.expose(), user.as_str()))
        .collect();
    assert_eq!(users, [("sk-a.b", "018f4e6e-0000-7000-8000-000000000001")]);
}

#[test]
fn only_a_file_that_was_not_named_may_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("config.toml");
    let load = |config_file, default_file| {
        Settings::load(LoadOptions {
            config_file,
            default_file,
            env: Vec::new(),
            overrides: Overrides::default(),
        })
    };
    assert!(load(None, Some(absent.clone())).is_ok());
    assert!(
        load(Some(absent.clone()), None)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    std::fs::write(&absent, "[agent]\nmax_steps = 2").unwrap();
    assert_eq!(load(None, Some(absent)).unwrap().agent.max_steps, 2);
    assert!(
        load(None, Some(folder.path().to_owned())).is_err(),
        "a folder is not a file"
    );
}

#[test]
fn keys_come_from_the_file_the_variable_or_the_settings() {
    let case = Case::file(
        "[[models.providers]]\nname = \"a\"\nkind = \"openai\"\napi_key = \"plain\"\n\
         [[models.providers]]\nname = \"b\"\nkind = \"anthropic\"\napi_key_env = \"SOME_KEY\"\n",
    )
    .env("SOME_KEY", "from-variable\n");
    case.write("key", "  from-file\n");
    let file = case.path("key");
    let text = std::fs::read_to_string(case.path("config.toml")).unwrap()
        + &format!(
            "[[models.providers]]\nname = \"c\"\nkind = \"gemini\"\napi_key_file = {file:?}\n"
        );
    case.write("config.toml", text);
    let settings = case.load().unwrap();
    let keys: Vec<_> = settings
        .models
        .providers
        .iter()
        .map(|p| p.api_key.as_ref().unwrap().expose())
        .collect();
    assert_eq!(keys, ["plain", "from-variable", "from-file"]);
    let debug = format!("{settings:?}");
    for secret in keys {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn usual_variables_add_providers_where_none_is_configured() {
    let case = Case::file("[models]\ndefault = \"anthropic/some-model\"")
        .env("ANTHROPIC_API_KEY", "k1")
        .env("OPENAI_API_KEY", "")
        .env("GEMINI_API_KEY", "k2");
    let names: Vec<_> = case
        .load()
        .unwrap()
        .models
        .providers
        .into_iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(names, ["anthropic", "gemini"]);

    case.write(
        "config.toml",
        "[[models.providers]]\nname = \"local\"\nkind = \"ollama\"",
    );
    let names: Vec<_> = case
        .load()
        .unwrap()
        .models
        .providers
        .into_iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(names, ["local"]);
}

#[test]
fn the_address_selects_the_database() {
    let data_dir = std::path::Path::new("/data");
    let sqlite = |text: &str| match Case::file(text).load().unwrap().database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => path.to_str().unwrap().to_owned(),
        DatabaseLocation::Postgres(_) => panic!("not SQLite"),
    };
    assert_eq!(sqlite(""), "/data/majordomo.sqlite3");
    assert_eq!(
        sqlite("[database]\nurl = \"sqlite://my.db\""),
        "/data/my.db"
    );
    assert_eq!(
        sqlite("[database]\nurl = \"sqlite:///srv/my.db\""),
        "/srv/my.db"
    );

    let case = Case::file("");
    case.write("url", "postgres://u:hush@h/n\n");
    let file = case.path("url");
    let case = case.env("MAJORDOMO__DATABASE__URL_FILE", file.to_str().unwrap());
    let settings = case.load().unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    match settings.database.location(data_dir) {
        DatabaseLocation::Postgres(url) => assert_eq!(url.expose(), "postgres://u:hush@h/n"),
        DatabaseLocation::Sqlite(_) => panic!("not PostgreSQL"),
    }
}

#[test]
fn the_environment_of_the_process_is_read() {
    let name = "CARGO_MANIFEST_DIR";
    let value = majordomo_settings::process_environment().find(|(key, _)| key == name);
    assert!(value.is_some_and(|(_, value)| value.ends_with("settings")));
}

#[test]
fn the_public_address_has_an_origin_and_a_path() {
    for (url, origin, path) in [
        ("https://example.org", "https://example.org", ""),
        ("https://example.org/", "https://example.org", ""),
        ("http://h:8080/majordomo", "http://h:8080", "/majordomo"),
        (
            "https://h/tools/majordomo/",
            "https://h",
            "/tools/majordomo",
        ),
    ] {
        let settings = Case::file(format!("[server]\npublic_url = \"{url}\""))
            .load()
            .unwrap();
        assert_eq!(settings.server.public_origin(), Some(origin), "{url}");
        assert_eq!(settings.server.base_path(), path, "{url}");
    }
    let none = Case::file("").load().unwrap();
    assert_eq!(none.server.public_origin(), None);
    assert_eq!(none.server.base_path(), "");
}
