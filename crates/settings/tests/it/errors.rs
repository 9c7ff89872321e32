//! Every mistake stops the start with one line that names the key.

use crate::{Case, refuse, refuse_variable};

#[test]
fn unknown_keys_at_any_depth() {
    refuse(
        "[server]\nprot = 1",
        "server.prot",
        "unknown key, expected one of `listen`",
    );
    refuse("[sever]", "sever", "unknown key");
    refuse("prot = 1", "prot", "unknown key");
    refuse(
        "[[models.providers]]\nname = \"a\"\nkind = \"ollama\"\nkeep = 1",
        "models.providers[0].keep",
        "unknown key",
    );
    refuse_variable(
        "MAJORDOMO__SERVER__PROT",
        "1",
        "server.prot",
        "unknown key (in the environment variable MAJORDOMO__SERVER__PROT)",
    );
    refuse_variable("MAJORDOMO__SERVER", "1", "server", "unknown key");
    refuse_variable(
        "MAJORDOMO__SERVER__LISTEN__0",
        "1",
        "server.listen.0",
        "unknown key",
    );
    refuse_variable(
        "MAJORDOMO__server__listen",
        "127.0.0.1:1",
        "server.listen",
        "unknown key",
    );
    refuse_variable(
        "MAJORDOMO__MODELS__PROVIDERS",
        "[{ name = \"a\", kind = \"ollama\", keep = 1 }]",
        "models.providers[0].keep",
        "unknown key",
    );
}

#[test]
fn wrong_types() {
    refuse(
        "[agent]\nmax_steps = \"3\"",
        "agent.max_steps",
        "invalid type: string",
    );
    refuse("[agent]\nmax_steps = -1", "agent.max_steps", "expected u32");
    refuse(
        "[agent]\nloop_breaker = 1",
        "agent.loop_breaker",
        "expected a boolean",
    );
    refuse(
        "[server]\nlisten = \"127.0.0.1:1\"",
        "server.listen",
        "expected a list",
    );
    refuse(
        "[server]\nlisten = [\"127.0.0.1:1\", \"here\"]",
        "server.listen[1]",
        "invalid socket address",
    );
    refuse(
        "[server]\ntrusted_proxies = [\"10.0.0.0/99\"]",
        "server.trusted_proxies[0]",
        "expected an IP address",
    );
    refuse(
        "database = \"postgres://u:hush, expected @h\"",
        "database",
        "invalid type: string, expected a table",
    );
    refuse("server = 1", "server", "invalid type");
    refuse(
        "[logging]\nformat = \"xml\"",
        "logging.format",
        "unknown variant `xml`, expected `text` or `json`",
    );
    refuse(
        "[[models.providers]]\nname = \"a\"\nkind = \"x\"",
        "models.providers[0].kind",
        "unknown variant `x`",
    );
    refuse(
        "[security]\nrate_limit_rpm = 0",
        "security.rate_limit_rpm",
        "nonzero",
    );
    refuse_variable(
        "MAJORDOMO__AGENT__MAX_STEPS",
        "many",
        "agent.max_steps",
        "expected integer",
    );
    refuse_variable(
        "MAJORDOMO__AGENT__LOOP_BREAKER",
        "1",
        "agent.loop_breaker",
        "expected true or false",
    );
    refuse_variable(
        "MAJORDOMO__LOGGING__FORMAT",
        "xml",
        "logging.format",
        "unknown variant",
    );
    refuse_variable(
        "MAJORDOMO__MODELS__PROVIDERS",
        "a",
        "models.providers",
        "expected a TOML array of tables",
    );
    refuse_variable(
        "MAJORDOMO__AGENT__SYSTEM_PROMPT",
        "a\u{fffd}",
        "agent.system_prompt",
        "not UTF-8",
    );
}

#[test]
fn a_mistake_does_not_hide_behind_a_later_layer() {
    let message = Case::file("[agent]\nmax_steps = \"x\"")
        .env("MAJORDOMO__AGENT__MAX_STEPS", "3")
        .load()
        .unwrap_err();
    assert!(
        message.starts_with("agent.max_steps: ") && message.contains("config.toml"),
        "{message}"
    );
    let message = Case::file("server = 1")
        .env("MAJORDOMO__SERVER__WORKERS", "3")
        .load()
        .unwrap_err();
    assert!(message.starts_with("server: "), "{message}");
}

#[test]
fn files_that_are_not_toml() {
    let message = Case::file("[agent]\n\nmax_steps = = 3").load().unwrap_err();
    assert!(message.contains("config.toml: line 3: "), "{message}");
    let message = Case::file("[models]\napi_key = \"hush\nx = 1")
        .load()
        .unwrap_err();
    assert!(
        message.contains("line 2: ") && !message.contains("hush"),
        "{message}"
    );
    let message = Case::file("[security.api_key_users]\n\"hush\" = \"a\"\n\"hush\" = \"b\"")
        .load()
        .unwrap_err();
    assert!(
        message.contains("line 3: ") && !message.contains("hush"),
        "{message}"
    );
    let message = Case::file([b'a', 0xff]).load().unwrap_err();
    assert!(message.contains("cannot be read"), "{message}");
    let message = Case::file(vec![b'#'; 1024 * 1024 + 1]).load().unwrap_err();
    assert!(message.contains("longer than"), "{message}");
}

#[test]
fn values_that_make_no_sense() {
    refuse(
        "[server]\nlisten = []",
        "server.listen",
        "expected 1 to 16 addresses",
    );
    refuse(
        "[server]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
        "server.listen[1]",
        "listed twice",
    );
    refuse(
        "[server]\npublic_url = \"example.org\"",
        "server.public_url",
        "expected an address",
    );
    refuse(
        "[server]\npublic_url = \"https://u:hush@example.org\"",
        "server.public_url",
        "must not contain a user name",
    );
    for (url, problem) in [
        ("https://example.org/a b", "expected an address"),
        ("https://example.org/a%20b", "may only hold"),
        ("https://example.org/a//b", "may only hold"),
        ("https://example.org/..", "may only hold"),
        ("https://example.org/a?b", "must not have a query"),
        ("https://example.org?b", "must not have a query"),
        (
            "https://example.org/api/majordomo",
            "may not begin with /api",
        ),
    ] {
        refuse(
            &format!("[server]\npublic_url = \"{url}\""),
            "server.public_url",
            problem,
        );
    }
    refuse(
        "[server]\nallowed_origins = [\"*\"]",
        "server.allowed_origins[0]",
        "expected an origin",
    );
    refuse(
        "[server]\nallowed_origins = [\"https://a.example/\"]",
        "server.allowed_origins[0]",
        "without a path",
    );
    refuse("[server]\nworkers = 0", "server.workers", "out of range");
    refuse(
        "[server]\ndata_dir = \"\"",
        "server.data_dir",
        "must not be empty",
    );
}

#[test]
fn values_that_make_no_sense_beyond_the_server() {
    refuse(
        "[database]\nurl = \"mysql://u:hush@h\"",
        "database.url",
        "expected `sqlite://PATH`",
    );
    refuse(
        "[database]\nurl = \"sqlite://a\"\nurl_file = \"b\"",
        "database.url_file",
        "together",
    );
    refuse(
        "[database]\nurl_file = \"/nonexistent/url\"",
        "database.url_file",
        "cannot read /nonexistent/url",
    );
    refuse(
        "[database]\nmax_connections = 0",
        "database.max_connections",
        "out of range",
    );
    refuse(
        "[agent]\ntemperature = 2.5",
        "agent.temperature",
        "expected 0 to 2",
    );
    refuse(
        "[agent]\ntemperature = nan",
        "agent.temperature",
        "out of range",
    );
    refuse("[agent]\nmax_steps = 0", "agent.max_steps", "out of range");
    refuse(
        "[logging]\nlevel = \" \"",
        "logging.level",
        "must not be empty",
    );
}

#[test]
fn settings_of_memory_that_make_no_sense() {
    let providers = "[[models.providers]]\nname = \"claude\"\nkind = \"anthropic\"\n\
         [[models.providers]]\nname = \"here\"\nkind = \"ollama\"\n[memory]\n";
    let refuse = |memory: &str, key: &str, words: &str| {
        refuse(&format!("{providers}{memory}"), key, words);
    };
    for embedder in ["", "here", "/m", "here/", "here/ ", "local"] {
        refuse(
            &format!("embedder = \"{embedder}\""),
            "memory.embedder",
            "expected `NAME/MODEL` or `local:DIRECTORY`",
        );
    }
    let key = "memory.embedder";
    refuse("embedder = \"local: \"", key, "after `local:`");
    refuse(
        "embedder = \"there/m\"",
        key,
        "no provider is called `there`",
    );
    refuse("embedder = \"claude/m\"", key, "has no embedding models");
    let builtin = "embedder = \"builtin/assistant\"";
    refuse(builtin, key, "no provider is called `builtin`");
    let dimensions = "memory.embedder_dimensions";
    refuse("embedder_dimensions = 0", dimensions, "out of range");
    let local = "embedder = \"local:/m\"\nembedder_dimensions = 3";
    refuse(local, dimensions, "the length that they have");
    refuse("embedder_batch = 0", "memory.embedder_batch", "1 to 2048");
    let timeout = "memory.embedder_timeout_secs";
    refuse("embedder_timeout_secs = 0", timeout, "1 to 3600");
    refuse("recall_tokens = 15", "memory.recall_tokens", "out of range");
    refuse(
        "vector_memory_mb = 1000001",
        "memory.vector_memory_mb",
        "out of range",
    );
    refuse("max_per_user = 0", "memory.max_per_user", "out of range");
    refuse("recall = 1", "memory.recall", "expected a boolean");
}

#[test]
fn an_embedding_model_is_at_a_provider_or_in_a_directory() {
    use majordomo_settings::EmbedderChoice;
    let choice = |embedder: &str| {
        let file = format!(
            "[[models.providers]]\nname = \"here\"\nkind = \"ollama\"\n[memory]\nembedder = \"{embedder}\""
        );
        Case::file(file).load().unwrap().memory
    };
    assert_eq!(
        choice("here/nomic/embed:v1").embedder_choice(),
        Some(EmbedderChoice::Provider {
            provider: "here",
            model: "nomic/embed:v1",
        })
    );
    assert_eq!(
        choice("local:/srv/models/mini").embedder_choice(),
        Some(EmbedderChoice::Local("/srv/models/mini".as_ref()))
    );
    assert_eq!(
        Case::file("").load().unwrap().memory.embedder_choice(),
        None
    );
}
