//! The key that signs login tokens, in a file that only the operating-system user can read.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use majordomo_application::ports::{SigningKey, SigningKeyError, SigningKeyStore};
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::file_master_token_store::{load, store};

/// Name of the key's file in the data directory.
pub const SIGNING_KEY_FILE: &str = "login_key";

/// The file holds something else.
#[derive(Debug, Error)]
#[error("{} does not hold a key of 32 bytes in base64url; remove it to have a new one made", path.display())]
struct Malformed {
    path: PathBuf,
}

/// Keeps the key in `login_key` in the data directory, with mode 0600, under the same care as the master token.
#[derive(Debug, Clone)]
pub struct FileSigningKeyStore {
    path: PathBuf,
}

impl FileSigningKeyStore {
    /// The store in this data directory, which must exist.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(SIGNING_KEY_FILE),
        }
    }
}

#[async_trait]
impl SigningKeyStore for FileSigningKeyStore {
    async fn load_or_store(&self, fresh: SigningKey) -> Result<SigningKey, SigningKeyError> {
        let path = self.path.clone();
        let work = spawn_blocking(move || load_or_store(&path, fresh));
        match work.await {
            Ok(key) => key,
            Err(error) => Err(SigningKeyError(error.into())),
        }
    }
}

fn load_or_store(path: &Path, fresh: SigningKey) -> Result<SigningKey, SigningKeyError> {
    let stored = load(path).map_err(|error| SigningKeyError(error.into()))?;
    let Some(text) = stored else {
        store(path, &URL_SAFE_NO_PAD.encode(fresh))
            .map_err(|error| SigningKeyError(error.into()))?;
        return Ok(fresh);
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    SigningKey::try_from(bytes.as_slice()).map_err(|_| {
        let path = path.to_owned();
        SigningKeyError(Malformed { path }.into())
    })
}
