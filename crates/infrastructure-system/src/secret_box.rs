//! Secrets sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), under keys of a private file or the environment.

mod key_file;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use majordomo_application::ports::{SecretBox, SecretError, SecretPlace};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

pub use key_file::{SECRET_KEY_FILE, SecretKeyFile, SecretKeyFileError};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce: random ones do not collide in practice.
const NONCE_BYTES: usize = 24;
/// The version of the format: `v1.KEY_ID.BASE64URL(NONCE CIPHERTEXT TAG)`.
const VERSION: &str = "v1";
/// Most keys at once: the current one and those it replaces.
const MAX_KEYS: usize = 8;

/// A text is no list of secret keys. Never holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected one to {MAX_KEYS} keys, each the base64 of {KEY_BYTES} bytes; make one with `openssl rand -base64 32`"
)]
pub struct MalformedSecretKey;

/// One key. `Debug` shows its id only.
#[derive(Clone)]
pub struct SecretKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl SecretKey {
    /// A new key from the system's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Self::new(bytes))
    }

    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        // 64 bits of a hash of 256 random bits: enough to tell keys apart, nothing to guess them by.
        let mut hash = Sha256::new();
        hash.update(b"majordomo secret key id\0");
        hash.update(bytes.as_slice());
        let digest = hash.finalize();
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        Self {
            id: id.collect(),
            bytes,
        }
    }

    fn parse(text: &str) -> Result<Self, MalformedSecretKey> {
        let text = text.trim().trim_end_matches('=');
        let decoded = STANDARD_NO_PAD
            .decode(text)
            .or_else(|_| URL_SAFE_NO_PAD.decode(text))
            .map_err(|_| MalformedSecretKey)?;
        let decoded = Zeroizing::new(decoded);
        let bytes: [u8; KEY_BYTES] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| MalformedSecretKey)?;
        Ok(Self::new(Zeroizing::new(bytes)))
    }

    fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Names the key; says nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, SecretError> {
        XChaCha20Poly1305::new_from_slice(self.bytes.as_slice())
            .map_err(|_| SecretError::Unsealable)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

/// The key that seals, first, and earlier ones that still open; at least one.
#[derive(Debug, Clone)]
pub struct SecretKeys(Vec<SecretKey>);

impl SecretKeys {
    /// One key.
    pub fn single(key: SecretKey) -> Self {
        Self(vec![key])
    }

    /// Reads keys with commas, blanks or line breaks between them; the first one seals.
    pub fn parse(text: &str) -> Result<Self, MalformedSecretKey> {
        let words = text
            .split([',', ' ', '\t', '\r', '\n'])
            .filter(|word| !word.is_empty());
        let keys: Vec<_> = words.map(SecretKey::parse).collect::<Result<_, _>>()?;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(MalformedSecretKey);
        }
        Ok(Self(keys))
    }

    /// These keys after `key`, which seals from now on. The oldest give way where there would be too many.
    #[must_use]
    pub fn succeeded_by(&self, key: SecretKey) -> Self {
        let mut keys = vec![key];
        keys.extend(self.0.iter().take(MAX_KEYS - 1).cloned());
        Self(keys)
    }

    /// Only the key that seals.
    #[must_use]
    pub fn current_only(&self) -> Self {
        Self(self.0.iter().take(1).cloned().collect())
    }

    /// The ids of the keys, that of the one which seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SecretKey::id)
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in &self.0 {
            text.push_str(&key.to_text());
            text.push('\n');
        }
        text
    }
}

/// Seals with the first of its keys and opens with any of them.
#[derive(Debug)]
pub struct XChaChaSecretBox {
    keys: SecretKeys,
}

impl XChaChaSecretBox {
    /// A box under these keys.
    pub const fn new(keys: SecretKeys) -> Self {
        Self { keys }
    }

    fn current(&self) -> Result<&SecretKey, SecretError> {
        self.keys.0.first().ok_or(SecretError::Unsealable)
    }
}

impl SecretBox for XChaChaSecretBox {
    fn seal(&self, place: SecretPlace<'_>, secret: &str) -> Result<String, SecretError> {
        let key = self.current()?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Unsealable)?;
        let associated = associated_data(place, &key.id);
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: &associated,
        };
        let sealed = key
            .cipher()?
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SecretError::Unsealable)?;
        let body = URL_SAFE_NO_PAD.encode([nonce.as_slice(), sealed.as_slice()].concat());
        Ok(format!("{VERSION}.{}.{body}", key.id))
    }

    fn open(&self, place: SecretPlace<'_>, sealed: &str) -> Result<String, SecretError> {
        let (key_id, body) = split(sealed)?;
        let key = self
            .keys
            .0
            .iter()
            .find(|key| key.id == key_id)
            .ok_or_else(|| SecretError::UnknownKey {
                key_id: key_id.to_owned(),
            })?;
        let body = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| SecretError::Malformed)?;
        let (nonce, text) = body
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SecretError::Malformed)?;
        let associated = associated_data(place, &key.id);
        let payload = Payload {
            msg: text,
            aad: &associated,
        };
        let plain = key
            .cipher()?
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| SecretError::Tampered)?;
        String::from_utf8(plain).map_err(|error| {
            error.into_bytes().zeroize();
            SecretError::NotText
        })
    }

    fn is_current(&self, sealed: &str) -> bool {
        let current = self.keys.0.first().map(SecretKey::id);
        split(sealed).is_ok_and(|(key_id, _)| Some(key_id) == current)
    }
}

/// The key's id and the body of a sealed text.
fn split(sealed: &str) -> Result<(&str, &str), SecretError> {
    let rest = sealed.strip_prefix(VERSION).ok_or(SecretError::Malformed)?;
    let rest = rest.strip_prefix('.').ok_or(SecretError::Malformed)?;
    let (key_id, body) = rest.split_once('.').ok_or(SecretError::Malformed)?;
    let plain = |c: char| c.is_ascii_hexdigit();
    if key_id.len() == 16 && key_id.chars().all(plain) {
        Ok((key_id, body))
    } else {
        Err(SecretError::Malformed)
    }
}

/// What a sealed text is bound to, each part after its length so that no two places read alike.
fn associated_data(place: SecretPlace<'_>, key_id: &str) -> Vec<u8> {
    let parts = [VERSION, key_id, place.table, place.column];
    let mut data = Vec::new();
    for part in parts.iter().chain(place.row) {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data
}
