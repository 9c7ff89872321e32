//! Adapters of the operating system: time, randomness, slow hashes, private files, this process.

mod argon2_password_hasher;
mod data_dir;
mod file_master_token_store;
mod process;
mod random_ids;
mod system_clock;

pub use argon2_password_hasher::Argon2PasswordHasher;
pub use data_dir::{DataDirError, prepare_data_dir};
pub use file_master_token_store::{
    FileMasterTokenStore, MASTER_TOKEN_FILE, MAX_MASTER_TOKEN_LEN, MasterTokenFileError,
};
pub use process::{Process, ProcessStatus};
pub use random_ids::{RandomIds, RandomSourceError};
pub use system_clock::SystemClock;
