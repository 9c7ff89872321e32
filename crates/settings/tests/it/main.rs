//! Loading settings as the server does: layers, errors, secrets, and the generated files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step fails the test; clippy does not count helpers of integration tests as tests"
)]

mod credentials;
mod documents;
mod errors;
mod layers;
mod stored;

use std::path::PathBuf;

use majordomo_settings::{LoadOptions, Overrides, Settings};

/// A configuration file in a folder of its own, with an environment and flags.
struct Case {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
    overrides: Overrides,
}

impl Case {
    /// A case whose `config.toml` has this content.
    fn file(text: impl AsRef<[u8]>) -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            env: Vec::new(),
            overrides: Overrides::default(),
        };
        case.write("config.toml", text);
        case
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn options(&self) -> LoadOptions<Vec<(String, String)>> {
        LoadOptions {
            config_file: Some(self.path("config.toml")),
            default_file: None,
            env: self.env.clone(),
            overrides: self.overrides.clone(),
        }
    }

    fn load(&self) -> Result<Settings, String> {
        Settings::load(self.options()).map_err(|error| {
            let text = error.to_string();
            assert_eq!(text.lines().count(), 1, "{text:?}");
            text
        })
    }
}

/// The file must be refused with a line that begins with the key and contains the words, and not contain the secret.
#[track_caller]
fn refuse(file: &str, key: &str, words: &str) {
    let message = Case::file(file).load().expect_err("accepted");
    assert!(message.starts_with(&format!("{key}: ")), "{message}");
    assert!(message.contains(words), "{message}");
    assert!(!message.contains("hush"), "{message}");
}

/// As [`refuse`], for one environment variable.
#[track_caller]
fn refuse_variable(name: &str, value: &str, key: &str, words: &str) {
    let message = Case::file("")
        .env(name, value)
        .load()
        .expect_err("accepted");
    assert!(message.starts_with(&format!("{key}: ")), "{message}");
    assert!(message.contains(words), "{message}");
    let origin = format!(" (in the environment variable {name})");
    assert!(message.ends_with(&origin), "{message}");
    assert!(!message.contains("hush"), "{message}");
}
