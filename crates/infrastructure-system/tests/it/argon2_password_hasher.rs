//! Hashing and verification: what is accepted, and how much runs at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use majordomo_application::ports::PasswordHasher as _;
use majordomo_infrastructure_system::Argon2PasswordHasher;
use tokio::time::timeout;

/// "password" hashed by the reference implementation (the test suite of phc-winner-argon2).
const REFERENCE: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
/// Takes some tenths of a second, and fits nothing.
const SLOW: &str =
    "$argon2id$v=19$m=65536,t=16,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
/// Takes some microseconds, and fits nothing.
const QUICK: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

fn hasher(concurrency: usize) -> Argon2PasswordHasher {
    Argon2PasswordHasher::new(NonZeroUsize::new(concurrency).unwrap())
}

async fn fits(hash: &str, secret: &str) -> bool {
    hasher(1).verify(hash.to_owned(), secret.to_owned()).await
}

#[tokio::test]
async fn a_hash_fits_its_secret_only() {
    let hasher = Argon2PasswordHasher::per_core();
    let hash = hasher.hash("correct horse".to_owned()).await.unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert!(fits(&hash, "correct horse").await);
    assert!(!fits(&hash, "correct hors").await);
    assert!(!fits(&hash, "correct horse ").await);
    assert!(!fits(&hash, "").await);
}

#[tokio::test]
async fn salts_differ() {
    let hasher = hasher(1);
    let first = hasher.hash("same".to_owned()).await.unwrap();
    let second = hasher.hash("same".to_owned()).await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn hashes_of_the_reference_implementation_are_verified() {
    assert!(fits(REFERENCE, "password").await);
    assert!(!fits(REFERENCE, "Password").await);
}

#[tokio::test]
async fn malformed_hashes_fit_nothing() {
    let output = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    for hash in [
        "",
        "password",
        "$argon2id",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=65536,t=2,p=1",
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        &format!("$scrypt$ln=15,r=8,p=1$c29tZXNhbHQ${output}"),
        &format!("$argon2id$v=18$m=64,t=2,p=1$c29tZXNhbHQ${output}"),
        &format!("$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHQ${output}"),
        &format!("$argon2id$v=19$m=65536,t=2,p=1,x=1$c29tZXNhbHQ${output}"),
        &format!("$argon2id$v=19$m=65536,t=2,p=1$so me${output}"),
    ] {
        for secret in ["", "password", hash] {
            assert!(!fits(hash, secret).await, "{hash} fits {secret:?}");
        }
    }
}

#[tokio::test]
async fn excessive_parameters_are_refused_without_the_work() {
    let output = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    for parameters in ["m=4194304,t=1,p=1", "m=65536,t=4294967295,p=1"] {
        let hash = format!("$argon2id$v=19${parameters}$c29tZXNhbHQ${output}");
        let answer = timeout(Duration::from_secs(1), fits(&hash, "password")).await;
        assert_eq!(answer, Ok(false), "{parameters}");
    }
}

/// Which of a slow and a quick verification, begun in this order, ends first.
async fn first_to_end(concurrency: usize) -> &'static str {
    let hasher = hasher(concurrency);
    tokio::select! {
        biased;
        _ = hasher.verify(SLOW.to_owned(), String::new()) => "slow",
        _ = hasher.verify(QUICK.to_owned(), String::new()) => "quick",
    }
}

/// Whether a machine with other work, too, lets this one end first in one of a few races.
async fn may_end_first(wanted: &str, concurrency: usize) -> bool {
    for _ in 0..5 {
        if first_to_end(concurrency).await == wanted {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn verifications_beyond_the_bound_wait() {
    assert!(may_end_first("slow", 1).await);
    assert!(may_end_first("quick", 2).await);
}

#[tokio::test]
async fn abandoned_work_keeps_its_place_and_blocks_no_thread() {
    let hasher = hasher(1);
    let moment = Duration::from_millis(5);
    let abandoned = hasher.verify(SLOW.to_owned(), String::new());
    assert!(timeout(moment, abandoned).await.is_err());
    let waiting = hasher.verify(QUICK.to_owned(), String::new());
    assert!(timeout(moment, waiting).await.is_err());
    // Once the abandoned work is done its place is free again.
    assert!(!hasher.verify(QUICK.to_owned(), String::new()).await);
}
