//! Files that are written for their owner only.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::context::CliError;

/// A file beside the one that is wanted, which takes its place in the end. Only its owner may read it.
pub(super) struct PrivateFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl PrivateFile {
    pub(super) fn create(path: &Path) -> Result<Self, CliError> {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        Ok(Self {
            file: BufWriter::new(file.map_err(CliError::Output)?),
            path: path.to_owned(),
        })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), CliError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(CliError::Output)
    }

    pub(super) fn finish(self) -> Result<(), CliError> {
        let file = self
            .file
            .into_inner()
            .map_err(|error| CliError::Output(error.into_error()))?;
        file.as_file().sync_all().map_err(CliError::Output)?;
        file.persist(&self.path)
            .map_err(|error| CliError::Output(error.error))?;
        Ok(())
    }
}
