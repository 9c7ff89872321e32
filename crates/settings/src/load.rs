//! Reads single layers - a file, flags, a table - or says which key is wrong.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::Settings;
use crate::catalogue::{Field, Kind};
use crate::error::{Origin, SettingsError};

/// Longest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where settings come from. Later wins: defaults, file, environment, overrides.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions<E> {
    /// The file that the user named; it must exist.
    pub config_file: Option<PathBuf>,
    /// The file that is read where none was named; it may be absent.
    pub default_file: Option<PathBuf>,
    /// The variables of the process, usually [`process_environment`](crate::process_environment).
    pub env: E,
    /// What the command line says.
    pub overrides: Overrides,
}

/// Settings given as command line flags.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--host`: listen on these addresses only.
    pub hosts: Option<Vec<IpAddr>>,
    /// `--port`: listen on this port only.
    pub port: Option<u16>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

impl Overrides {
    /// Puts the flags over what the other layers say. A host or port alone keeps the other half of the first address.
    pub(crate) fn apply(self, settings: &mut Settings) {
        let server = &mut settings.server;
        if self.hosts.is_some() || self.port.is_some() {
            let first = server
                .listen
                .first()
                .copied()
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8888)));
            let port = self.port.unwrap_or(first.port());
            let hosts = self.hosts.unwrap_or_else(|| vec![first.ip()]);
            server.listen = hosts
                .into_iter()
                .map(|host| SocketAddr::new(host, port))
                .collect();
        }
        if self.data_dir.is_some() {
            server.data_dir = self.data_dir;
        }
    }
}

/// Reads the file that was named or, where it exists, the default one.
pub(crate) fn read_file(
    named: Option<PathBuf>,
    default: Option<PathBuf>,
) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let may_be_absent = named.is_none();
    let Some(path) = named.or(default) else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    let reason = match read {
        Ok(bytes) if bytes as u64 <= MAX_FILE_BYTES => return Ok(Some((path, text))),
        Ok(_) => format!("it is longer than {MAX_FILE_BYTES} bytes"),
        Err(error) if may_be_absent && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => error.to_string(),
    };
    Err(SettingsError::Unreadable { path, reason })
}

/// Parses a file; the message has the line but never quotes it, for it may hold a secret.
pub(crate) fn parse_file(path: &Path, text: &str) -> Result<toml::Table, SettingsError> {
    text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = 1 + text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count();
        SettingsError::Syntax {
            path: path.to_owned(),
            line,
            message: error.message().to_owned(),
        }
    })
}

/// Converts a table to settings, strictly: every key must be known and have exactly its type. `origin` says where a
/// key was set.
pub(crate) fn decode(
    table: &toml::Table,
    origin: impl Fn(&str) -> Option<Origin>,
) -> Result<Settings, SettingsError> {
    let refuse = |key: String, problem: String| SettingsError::Key {
        origin: origin(&key),
        key,
        problem,
    };
    let settings = serde_path_to_error::deserialize(table.clone()).map_err(|error| {
        let key = error.path().to_string();
        refuse(key, plain_words(error.into_inner().message()))
    })?;
    match missing_key("", table, Settings::FIELDS) {
        Some(key) => Err(refuse(key, "missing".to_owned())),
        None => Ok(settings),
    }
}

/// Says in the words of the settings what serde says in the words of Rust. Text of the wrong type is not quoted, for
/// it may be a secret in the wrong place.
fn plain_words(message: &str) -> String {
    if let Some((_, expected)) = message
        .strip_prefix("unknown field ")
        .and_then(|rest| rest.split_once(", "))
    {
        return format!("unknown key, {expected}");
    }
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => {
            let found = found.split_once(" \"").map_or(found, |(kind, _)| kind);
            let expected = match expected {
                "a sequence" => "a list",
                structure if structure.starts_with("struct ") => "a table",
                other => other,
            };
            format!("{found}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// The first required key that is not there, at any depth.
fn missing_key(path: &str, table: &toml::Table, fields: &[Field]) -> Option<String> {
    fields.iter().find_map(|field| {
        let path = if path.is_empty() {
            field.name.to_owned()
        } else {
            format!("{path}.{}", field.name)
        };
        match (field.kind, table.get(field.name)) {
            (_, None) => field.required.then_some(path),
            (Kind::Section(fields), Some(toml::Value::Table(table))) => {
                missing_key(&path, table, fields)
            }
            (Kind::List(Kind::Section(fields)), Some(toml::Value::Array(items))) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((index, item.as_table()?)))
                .find_map(|(index, table)| missing_key(&format!("{path}[{index}]"), table, fields)),
            _ => None,
        }
    })
}
