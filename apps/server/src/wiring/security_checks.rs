//! The checks of how safely the server is set up that need no database: files and settings.

mod files;
mod settings;

use majordomo_domain::{CheckSeverity, SecurityCheckResult};

pub(crate) use files::FileCheck;
pub(crate) use settings::SettingsCheck;

/// Secrets shorter than this can be guessed.
const SHORT_SECRET: usize = 20;
/// Secrets with fewer different characters than this can be guessed.
const FEW_CHARACTERS: usize = 8;

fn passed(check: &str, message: impl Into<String>) -> SecurityCheckResult {
    SecurityCheckResult::passed(check, message)
}

fn critical(check: &str, message: impl Into<String>, remedy: &str) -> SecurityCheckResult {
    SecurityCheckResult::failed(check, CheckSeverity::Critical, message, remedy)
}

fn warning(check: &str, message: impl Into<String>, remedy: &str) -> SecurityCheckResult {
    SecurityCheckResult::failed(check, CheckSeverity::Warning, message, remedy)
}

fn is_weak(secret: &str) -> bool {
    let mut characters: Vec<char> = secret.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    secret.chars().count() < SHORT_SECRET || characters.len() < FEW_CHARACTERS
}

#[cfg(test)]
mod tests;
