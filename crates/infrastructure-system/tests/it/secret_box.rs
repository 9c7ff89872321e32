//! Sealing secrets, and the file of their keys.

use std::fs;

use majordomo_application::ports::{SecretBox as _, SecretError, SecretPlace};
use majordomo_infrastructure_system::{
    SECRET_KEY_FILE, SecretKey, SecretKeyFile, SecretKeyFileError, SecretKeys, XChaChaSecretBox,
};

use crate::{mode, set_mode};

const PLACE: SecretPlace<'static> = SecretPlace {
    table: "settings",
    column: "value",
    row: &["operator", "providers.openai.api_key"],
};
const SECRET: &str = "sk-canary-0123456789 ü";

fn keys() -> SecretKeys {
    SecretKeys::single(SecretKey::generate().unwrap())
}

#[test]
fn what_is_sealed_opens_in_its_place_only() {
    let secrets = XChaChaSecretBox::new(keys());
    let sealed = secrets.seal(PLACE, SECRET).unwrap();
    assert!(sealed.starts_with("v1.") && !sealed.contains("canary"));
    assert_eq!(secrets.open(PLACE, &sealed).unwrap(), SECRET);
    assert_ne!(secrets.seal(PLACE, SECRET).unwrap(), sealed);
    assert!(secrets.is_current(&sealed));
    for elsewhere in [
        SecretPlace {
            table: "settings2",
            ..PLACE
        },
        SecretPlace {
            column: "valu",
            ..PLACE
        },
        SecretPlace {
            row: &["operato", "rproviders.openai.api_key"],
            ..PLACE
        },
        SecretPlace {
            row: &["operator"],
            ..PLACE
        },
    ] {
        assert_eq!(secrets.open(elsewhere, &sealed), Err(SecretError::Tampered));
    }
    let empty = secrets.seal(PLACE, "").unwrap();
    assert_eq!(secrets.open(PLACE, &empty).unwrap(), "");
}

#[test]
fn every_changed_byte_is_noticed_and_nothing_is_taken_as_plain_text() {
    let secrets = XChaChaSecretBox::new(keys());
    let sealed = secrets.seal(PLACE, SECRET).unwrap();
    for position in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        // Bits behind the last byte are none of the text, so that the last character has alternatives.
        if let Ok(text) = secrets.open(PLACE, &changed) {
            assert_eq!(position, sealed.len() - 1);
            assert_eq!(text, SECRET);
        }
    }
    for text in [
        "",
        SECRET,
        "v1",
        "v1..",
        "v1.0123456789abcdef",
        "v2.0123456789abcdef.AAAA",
    ] {
        assert_eq!(
            secrets.open(PLACE, text),
            Err(SecretError::Malformed),
            "{text}"
        );
        assert!(!secrets.is_current(text));
    }
}

#[test]
fn another_key_is_named_and_an_earlier_one_still_opens() {
    let old = keys();
    let sealed = XChaChaSecretBox::new(old.clone())
        .seal(PLACE, SECRET)
        .unwrap();
    let stranger = XChaChaSecretBox::new(keys());
    let error = stranger.open(PLACE, &sealed).unwrap_err();
    let key_id = old.ids().next().unwrap().to_owned();
    assert_eq!(error, SecretError::UnknownKey { key_id });

    let both = old.succeeded_by(SecretKey::generate().unwrap());
    let secrets = XChaChaSecretBox::new(both.clone());
    assert_eq!(secrets.open(PLACE, &sealed).unwrap(), SECRET);
    assert!(!secrets.is_current(&sealed));
    let again = secrets.seal(PLACE, SECRET).unwrap();
    let only = XChaChaSecretBox::new(both.current_only());
    assert_eq!(only.open(PLACE, &again).unwrap(), SECRET);
    assert!(matches!(
        only.open(PLACE, &sealed),
        Err(SecretError::UnknownKey { .. })
    ));
}

#[test]
fn keys_are_read_from_text() {
    let text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let urlsafe = "__________________________________________8";
    assert_eq!(SecretKeys::parse(text).unwrap().ids().count(), 1);
    assert_eq!(
        SecretKeys::parse(&format!("{text}, {urlsafe}\n"))
            .unwrap()
            .ids()
            .count(),
        2
    );
    for wrong in [
        "",
        " ",
        "AAAA",
        "hunter2",
        text.get(1..).unwrap(),
        &format!("{text},x"),
    ] {
        let error = SecretKeys::parse(wrong).unwrap_err().to_string();
        assert!(error.contains("32 bytes") && !error.contains("hunter2"));
    }
    assert!(!format!("{:?}", SecretKeys::parse(text).unwrap()).contains("AAAA"));
}

#[test]
fn keys_are_kept_in_a_private_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = SecretKeyFile::new(folder.path());
    assert!(file.load().unwrap().is_none());
    let keys = keys().succeeded_by(SecretKey::generate().unwrap());
    file.store(&keys).unwrap();
    let path = folder.path().join(SECRET_KEY_FILE);
    assert_eq!(mode(&path), 0o600);
    let loaded = file.load().unwrap().unwrap();
    assert!(loaded.ids().eq(keys.ids()));

    set_mode(&path, 0o644);
    assert!(matches!(
        file.load(),
        Err(SecretKeyFileError::NotPrivate { .. })
    ));
    set_mode(&path, 0o600);
    fs::write(&path, "hunter2").unwrap();
    let error = file.load().unwrap_err().to_string();
    assert!(
        error.contains("secret.key") && !error.contains("hunter2"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        file.load(),
        Err(SecretKeyFileError::NotAFile { .. })
    ));
}
