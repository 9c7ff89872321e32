//! Identifiers and secrets from the system's random source.

use std::str::FromStr;

use majordomo_application::ports::IdGenerator;
use majordomo_domain::{ApiKeyId, InvalidId, MemoryId, MessageId, RunId, SessionId, UserId};
use thiserror::Error;
use uuid::Uuid;

/// The system gives no random bytes.
#[derive(Debug, Error)]
#[error("the system's random source does not work")]
pub struct RandomSourceError(#[source] getrandom::Error);

/// Makes identifiers and secrets from the system's random source.
///
/// The source is tried once by [`RandomIds::new`], so that a system without one stops the start. On the systems we
/// run on it does not fail after that; should it do so, the methods panic: the operation that asked ends without an
/// identifier, which is safer than one that can be guessed.
#[derive(Debug, Clone, Copy)]
pub struct RandomIds(());

impl RandomIds {
    /// Tries the random source.
    pub fn new() -> Result<Self, RandomSourceError> {
        getrandom::u64().map_err(RandomSourceError)?;
        Ok(Self(()))
    }
}

/// What is stored under these identifiers is looked up by index. Ordered ones share the index's last page, where random
/// ones would make every stored message write pages of its own.
impl IdGenerator for RandomIds {
    fn session_id(&self) -> SessionId {
        id(&Uuid::now_v7().to_string())
    }

    fn short_session_id(&self) -> SessionId {
        id(&format!("{:012x}", random_u64() >> 16))
    }

    fn message_id(&self) -> MessageId {
        id(&Uuid::now_v7().to_string())
    }

    fn run_id(&self) -> RunId {
        id(&Uuid::now_v7().to_string())
    }

    fn memory_id(&self) -> MemoryId {
        id(&Uuid::now_v7().to_string())
    }

    fn api_key_id(&self) -> ApiKeyId {
        id(&format!("{:016x}", random_u64()))
    }

    fn user_id(&self) -> UserId {
        id(&Uuid::now_v7().to_string())
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        if let Err(error) = getrandom::fill(&mut secret) {
            no_randomness(error);
        }
        secret
    }
}

fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|error| no_randomness(error))
}

fn no_randomness(error: getrandom::Error) -> ! {
    panic!("the system's random source failed: {error}")
}

fn id<T: FromStr<Err = InvalidId>>(text: &str) -> T {
    match text.parse() {
        Ok(id) => id,
        Err(error) => unreachable!("hexadecimal digits and hyphens are an identifier: {error}"),
    }
}
