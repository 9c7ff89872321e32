//! Forms and uniqueness of identifiers and secrets.

use std::collections::HashSet;

use majordomo_application::ports::IdGenerator as _;
use majordomo_infrastructure_system::RandomIds;
use uuid::Uuid;

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn identifiers_have_their_documented_forms() {
    let ids = RandomIds::new().unwrap();
    let version = |text: &str| Uuid::parse_str(text).unwrap().get_version_num();
    for _ in 0..200 {
        assert_eq!(version(ids.session_id().as_str()), 7);
        assert_eq!(version(ids.message_id().as_str()), 7);
        assert_eq!(version(ids.run_id().as_str()), 7);
        assert!(is_hex(ids.short_session_id().as_str(), 12));
        assert!(is_hex(ids.api_key_id().as_str(), 16));
    }
}

#[test]
fn time_ordered_identifiers_sort_as_they_were_made() {
    let ids = RandomIds::new().unwrap();
    let made: Vec<_> = (0..5_000).map(|_| ids.message_id()).collect();
    assert!(made.is_sorted());
}

#[test]
fn nothing_repeats() {
    let ids = RandomIds::new().unwrap();
    let count = 2_000;
    let unique =
        |make: &dyn Fn() -> String| (0..count).map(|_| make()).collect::<HashSet<_>>().len();
    assert_eq!(unique(&|| ids.session_id().into_string()), count);
    assert_eq!(unique(&|| ids.short_session_id().into_string()), count);
    assert_eq!(unique(&|| ids.run_id().into_string()), count);
    assert_eq!(unique(&|| ids.api_key_id().into_string()), count);
    assert_eq!(unique(&|| format!("{:?}", ids.secret())), count);
}

#[test]
fn every_byte_of_a_secret_is_random() {
    let ids = RandomIds::new().unwrap();
    let secrets: Vec<_> = (0..64).map(|_| ids.secret()).collect();
    for position in 0..32 {
        let values: HashSet<u8> = secrets.iter().map(|secret| secret[position]).collect();
        // 64 random bytes hold about 57 different ones; fewer than 20 does not happen by chance.
        assert!(
            values.len() > 20,
            "byte {position} takes {} values",
            values.len()
        );
    }
}
