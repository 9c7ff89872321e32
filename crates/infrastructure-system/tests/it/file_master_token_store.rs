//! The master token's file: privacy, atomic replacement, validation.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use majordomo_application::ports::MasterTokenStore as _;
use majordomo_infrastructure_system::{
    FileMasterTokenStore, MASTER_TOKEN_FILE, MAX_MASTER_TOKEN_LEN,
};
use tempfile::tempdir;

use crate::{chain, mode, set_mode};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_stored_is_loaded_and_private() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    assert_eq!(store.load().await.unwrap(), None);
    for token in ["first-token", "x", &"t".repeat(MAX_MASTER_TOKEN_LEN)] {
        store.store(token).await.unwrap();
        assert_eq!(store.load().await.unwrap().as_deref(), Some(token));
        assert_eq!(mode(store.path()), 0o600);
        assert_eq!(names(dir.path()), [MASTER_TOKEN_FILE]);
    }
}

#[tokio::test]
async fn blanks_around_the_token_are_ignored() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    fs::write(store.path(), " \n my-token\r\n\n").unwrap();
    assert_eq!(store.load().await.unwrap().as_deref(), Some("my-token"));
}

#[tokio::test]
async fn a_file_that_others_can_read_is_tightened() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    fs::write(store.path(), "my-token").unwrap();
    for loose in [0o644, 0o640, 0o604, 0o666] {
        set_mode(store.path(), loose);
        assert_eq!(store.load().await.unwrap().as_deref(), Some("my-token"));
        assert_eq!(mode(store.path()), 0o600);
    }
    set_mode(store.path(), 0o400);
    store.load().await.unwrap();
    assert_eq!(mode(store.path()), 0o400);
}

#[tokio::test]
async fn what_is_no_token_is_neither_loaded_nor_stored_nor_shown() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    let long = "t".repeat(MAX_MASTER_TOKEN_LEN + 1);
    for text in [
        "",
        " \n",
        "sesame open",
        "sesame\nopen",
        "sesame\0",
        "sésame",
        &long,
    ] {
        fs::write(store.path(), text).unwrap();
        let error = store.load().await.unwrap_err();
        assert_eq!(error.act, "read");
        let words = chain(&error);
        assert!(words.contains(store.path().to_str().unwrap()), "{words}");
        assert!(
            !words.contains("sesame") && !words.contains(&long),
            "{words}"
        );

        fs::write(store.path(), "kept").unwrap();
        assert_eq!(store.store(text).await.unwrap_err().act, "written");
        assert_eq!(store.load().await.unwrap().as_deref(), Some("kept"));
    }
    fs::write(store.path(), [0xff, 0xfe, b'a']).unwrap();
    assert!(store.load().await.is_err());
}

#[tokio::test]
async fn a_directory_in_its_place_and_a_missing_directory_are_errors() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    fs::create_dir(store.path()).unwrap();
    assert!(chain(&store.load().await.unwrap_err()).contains("is not a file"));
    assert!(store.store("token").await.is_err());
    assert_eq!(names(dir.path()), [MASTER_TOKEN_FILE]);

    let nowhere = FileMasterTokenStore::new(&dir.path().join("nowhere"));
    assert!(nowhere.store("token").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_former_or_the_next_token_whole() {
    let dir = tempdir().unwrap();
    let store = FileMasterTokenStore::new(dir.path());
    let tokens = ["a".repeat(512), "b".repeat(300)];
    store.store(&tokens[0]).await.unwrap();
    let done = AtomicBool::new(false);
    let writing = async {
        for turn in 0..100 {
            store.store(&tokens[turn % 2]).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let reading = async {
        let mut reads = 0;
        while !done.load(Ordering::Relaxed) {
            let token = store.load().await.unwrap().unwrap();
            assert!(
                tokens.contains(&token),
                "a torn token of {} characters",
                token.len()
            );
            reads += 1;
        }
        reads
    };
    let ((), reads) = tokio::join!(writing, reading);
    assert!(reads > 0);
    assert_eq!(names(dir.path()), [MASTER_TOKEN_FILE]);
}
