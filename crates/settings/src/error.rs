//! Why settings cannot be used, always as one line that names the key or the file.

use std::fmt;
use std::path::PathBuf;

/// The settings cannot be used. `Display` is one line, never contains a secret, and begins with the key where there is one.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read, is too long or is not UTF-8.
    #[error("{}", one_line(&format!("{}: cannot be read: {reason}", path.display())))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{}", one_line(&format!("{}: line {line}: {message}", path.display())))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line of the mistake, counted from 1.
        line: usize,
        /// What the parser expected.
        message: String,
    },
    /// A key is unknown, or its value has the wrong type or makes no sense.
    #[error("{}", one_line(&format!("{key}: {problem}{}", Suffix(origin.as_ref()))))]
    Key {
        /// The key, such as `models.providers[0].kind`.
        key: String,
        /// What is wrong with it.
        problem: String,
        /// Where the value was set, `None` where several layers are involved.
        origin: Option<Origin>,
    },
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file.
    File(PathBuf),
    /// The environment variable of this name.
    Variable(String),
    /// The settings that are changed while the server runs.
    Stored,
}

impl SettingsError {
    /// A value that makes no sense, found after all layers were joined.
    pub(crate) fn invalid(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Key {
            key: key.into(),
            problem: problem.into(),
            origin: None,
        }
    }
}

/// Renders ` (in ...)` behind a message.
struct Suffix<'a>(Option<&'a Origin>);

impl fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Origin::File(path)) => write!(f, " (in {})", path.display()),
            Some(Origin::Variable(name)) => write!(f, " (in the environment variable {name})"),
            Some(Origin::Stored) => f.write_str(" (in the stored settings)"),
            None => Ok(()),
        }
    }
}

/// Replaces line breaks and other control characters, which keys and parser messages may contain.
fn one_line(text: &str) -> String {
    text.trim_end().replace(char::is_control, " ")
}
