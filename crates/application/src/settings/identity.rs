//! The files that say who the agent is. Theirs is what the agent's system prompt holds, so that what is set here is what
//! the agent is told.

use std::collections::BTreeMap;

use majordomo_domain::Scope;

use crate::caller::Caller;
use crate::error::FieldError;
use crate::ports::settings_repository::SettingValue;
use crate::settings::{Change, SettingsError, SettingsService, SettingsUpdate, UpdateReport};

/// Longest file, in characters.
const MAX_CHARS: usize = 20_000;

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityFile {
    /// `IDENTITY.md`: the agent's instructions, the setting `agent.system_prompt`.
    Identity,
    /// `SOUL.md`: its character and values.
    Soul,
    /// `STYLE.md`: how it writes.
    Style,
    /// `INSTRUCTIONS.md`: rules of work.
    Instructions,
    /// `USER.md`: what it knows of the caller; every user has their own.
    User,
}

impl IdentityFile {
    /// Every file, in the order they are told.
    pub const ALL: [Self; 5] = [
        Self::Identity,
        Self::Soul,
        Self::Style,
        Self::Instructions,
        Self::User,
    ];

    /// The setting that holds it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Identity => "agent.system_prompt",
            Self::Soul => "identity.soul",
            Self::Style => "identity.style",
            Self::Instructions => "identity.instructions",
            Self::User => "identity.user",
        }
    }

    /// Its name as a file: `IDENTITY.md`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Identity => "IDENTITY.md",
            Self::Soul => "SOUL.md",
            Self::Style => "STYLE.md",
            Self::Instructions => "INSTRUCTIONS.md",
            Self::User => "USER.md",
        }
    }
}

/// The texts of all files.
pub type IdentityFiles = BTreeMap<IdentityFile, String>;

impl SettingsService {
    /// The files as the agent sees them in conversations with the caller.
    pub fn identity(&self, caller: &Caller) -> Result<IdentityFiles, SettingsError> {
        caller.require(Scope::Admin)?;
        Ok(self.identity_files(caller))
    }

    /// Replaces some of the files; what is not named stays. `IDENTITY.md` set to nothing takes the text of the
    /// configuration file again.
    pub async fn set_identity(
        &self,
        caller: &Caller,
        files: IdentityFiles,
    ) -> Result<UpdateReport, SettingsError> {
        caller.require_change(Scope::Admin)?;
        let mut update = SettingsUpdate::default();
        for (file, text) in files {
            check_file(file, &text)?;
            let forget = text.is_empty();
            let change = if forget {
                Change::Forget
            } else {
                Change::Set(SettingValue::Text(text))
            };
            let part = match file {
                IdentityFile::User => &mut update.personal,
                _ => &mut update.installation,
            };
            part.insert(file.key().to_owned(), change);
        }
        self.apply(caller, update, "identity.update").await
    }
}

/// Fails when the text is too long for a system prompt.
fn check_file(file: IdentityFile, text: &str) -> Result<(), FieldError> {
    if text.chars().count() > MAX_CHARS {
        let words = format!("must not be longer than {MAX_CHARS} characters");
        return Err(FieldError::new(file.key(), words));
    }
    Ok(())
}

/// As [`check_file`], for a setting of this key that is such a file.
pub(super) fn check_length(key: &str, change: &Change) -> Result<(), FieldError> {
    let file = IdentityFile::ALL.into_iter().find(|file| file.key() == key);
    match (file, change) {
        (Some(file), Change::Set(SettingValue::Text(text))) => check_file(file, text),
        (Some(_), Change::Set(_) | Change::Secret(_)) => Err(FieldError::new(key, "expected text")),
        _ => Ok(()),
    }
}
