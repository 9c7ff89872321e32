//! Digests and the text forms of secrets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::ports::api_key_repository::Digest;

/// SHA-256 of a secret. Secrets here have 256 random bits, so a fast digest is enough.
pub fn sha256(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// 32 bytes as 43 URL-safe characters.
pub(crate) fn base64_url(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
