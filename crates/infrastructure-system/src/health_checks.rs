//! Checks of the folder the server stores in.

use std::path::PathBuf;

use async_trait::async_trait;
use majordomo_application::ports::{
    CheckState, HealthCategory, HealthCheck, HealthCheckInfo, Severity,
};

use crate::file_modes::{FileMode, file_mode};
use crate::machine::disk_of;

/// With less space than this the server warns.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
/// With less space than this the next messages may not be stored.
const NO_SPACE: u64 = 64 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// Asks the operating system, away from the threads of the runtime: disks may hang.
async fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(question).await.ok()
}

fn unknown(about: HealthCheckInfo) -> CheckState {
    CheckState::Issue(about.severity, "the system does not tell".to_owned())
}

/// Whether the data folder's disk has space left.
pub struct DiskSpaceCheck {
    folder: PathBuf,
}

impl DiskSpaceCheck {
    /// Looks at the disk that holds `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

#[async_trait]
impl HealthCheck for DiskSpaceCheck {
    fn about(&self) -> HealthCheckInfo {
        HealthCheckInfo {
            id: "disk_space",
            name: "Disk space",
            category: HealthCategory::Storage,
            severity: Severity::Warning,
            fix_hint: "Free space on the disk that holds the server's data folder.",
        }
    }

    async fn run(&self) -> CheckState {
        let folder = self.folder.clone();
        let Some(Some(disk)) = ask(move || disk_of(&folder)).await else {
            return unknown(self.about());
        };
        let free = disk.total_bytes.saturating_sub(disk.used_bytes);
        let severity = if free < NO_SPACE {
            Severity::Critical
        } else if free < LITTLE_SPACE {
            Severity::Warning
        } else {
            return CheckState::Healthy;
        };
        CheckState::Issue(severity, format!("{} MiB are left", free / MIB))
    }
}

/// Whether files can be made in the data folder, and only the server's user may look into it.
pub struct DataFolderCheck {
    folder: PathBuf,
}

impl DataFolderCheck {
    /// Looks at `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

#[async_trait]
impl HealthCheck for DataFolderCheck {
    fn about(&self) -> HealthCheckInfo {
        HealthCheckInfo {
            id: "config_permissions",
            name: "Data folder",
            category: HealthCategory::Config,
            severity: Severity::Critical,
            fix_hint: "Give the data folder to the user the server runs as, with mode 0700.",
        }
    }

    async fn run(&self) -> CheckState {
        let folder = self.folder.clone();
        let writable = ask(move || tempfile::tempfile_in(&folder).is_ok()).await;
        match writable {
            None => return unknown(self.about()),
            Some(false) => {
                let words = "no file can be made in the data folder".to_owned();
                return CheckState::Issue(Severity::Critical, words);
            }
            Some(true) => {}
        }
        let folder = self.folder.clone();
        match ask(move || file_mode(&folder)).await {
            Some(FileMode::Shared(mode)) => CheckState::Issue(
                Severity::Warning,
                format!("other users can look into the data folder (mode {mode:04o})"),
            ),
            _ => CheckState::Healthy,
        }
    }
}
