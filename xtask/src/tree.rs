//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// The folders that hold Rust code.
const CODE_FOLDERS: [&str; 4] = ["crates", "apps", "tests", "xtask"];

/// Folders that hold no code of the project's own.
const SKIPPED_FOLDERS: [&str; 3] = ["target", "node_modules", "fixtures"];

/// A file's text and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Path from the workspace's root, with `/` between the parts.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// The text of one file, named from the root.
pub(crate) fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(root().join(path))
        .map_err(|error| Failure::new(format!("{path}: cannot be read: {error}")))
}

/// Writes one file, named from the root.
pub(crate) fn write(path: &str, text: &str) -> Outcome {
    fs::write(root().join(path), text)
        .map_err(|error| Failure::new(format!("{path}: cannot be written: {error}")))
}

/// Every Rust file of the project, in order of their paths.
pub(crate) fn rust_sources() -> Outcome<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in CODE_FOLDERS {
        sources.extend(sources_below(folder, ".rs")?);
    }
    Ok(sources)
}

/// Every file below `folder` whose name ends in `ending`, in order of their paths; symbolic links are not followed.
pub(crate) fn sources_below(folder: &str, ending: &str) -> Outcome<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in entries(folder)? {
        let path = format!("{folder}/{}", entry.name);
        if entry.is_folder {
            let hidden = entry.name.starts_with('.');
            if !hidden && !SKIPPED_FOLDERS.contains(&entry.name.as_str()) {
                sources.extend(sources_below(&path, ending)?);
            }
        } else if entry.name.ends_with(ending) {
            let text = read(&path)?;
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

/// One entry of a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The last part of its path.
    pub(crate) name: String,
    /// Whether it is a folder itself.
    pub(crate) is_folder: bool,
}

/// What a folder holds, in order of the names; nothing when there is no such folder.
pub(crate) fn entries(folder: &str) -> Outcome<Vec<Entry>> {
    let path = root().join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| Failure::new(format!("{folder}: cannot be listed: {error}"));
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_folder: entry.file_type().map_err(failed)?.is_dir(),
        });
    }
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}
