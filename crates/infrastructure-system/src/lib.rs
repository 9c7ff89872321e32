//! Adapters of the operating system: time, randomness, slow hashes, private files, archives, this process.

pub mod archive;
mod argon2_password_hasher;
mod data_dir;
mod file_audit_vault;
mod file_error_log;
mod file_master_token_store;
mod file_modes;
mod file_signing_key_store;
mod health_checks;
mod machine;
mod process;
mod random_ids;
mod secret_box;
mod system_clock;

pub use argon2_password_hasher::Argon2PasswordHasher;
pub use data_dir::{DataDirError, prepare_data_dir};
pub use file_audit_vault::{AUDIT_HEAD_FILE, FileAuditVault, is_audit_archive};
pub use file_error_log::{ERROR_LOG_FILE, FileErrorLog};
pub use file_master_token_store::{
    FileMasterTokenStore, MASTER_TOKEN_FILE, MAX_MASTER_TOKEN_LEN, MasterTokenFileError,
};
pub use file_modes::{FileMode, file_mode};
pub use file_signing_key_store::{FileSigningKeyStore, SIGNING_KEY_FILE};
pub use health_checks::{DataFolderCheck, DiskSpaceCheck};
pub use machine::Machine;
pub use process::{Process, ProcessStatus};
pub use random_ids::{RandomIds, RandomSourceError};
pub use secret_box::{
    MalformedSecretKey, SECRET_KEY_FILE, SecretKey, SecretKeyFile, SecretKeyFileError, SecretKeys,
    XChaChaSecretBox,
};
pub use system_clock::SystemClock;
