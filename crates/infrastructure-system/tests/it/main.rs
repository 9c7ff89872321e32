//! The adapters against the real operating system.
#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, also in a helper"
)]

mod archive;
mod argon2_password_hasher;
mod data_dir;
mod file_audit_vault;
mod file_error_log;
mod file_master_token_store;
mod machine;
mod process;
mod random_ids;
mod secret_box;
mod system_clock;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Permission bits of a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything an error says, its causes included.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
