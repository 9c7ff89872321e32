//! The latest errors, kept over restarts.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use majordomo_application::ports::{ErrorLog as _, NewLoggedError, Severity};
use majordomo_infrastructure_system::{ERROR_LOG_FILE, FileErrorLog, SystemClock};
use tempfile::tempdir;

use crate::mode;

fn open(folder: &Path) -> FileErrorLog {
    FileErrorLog::open(folder.join(ERROR_LOG_FILE), Arc::new(SystemClock)).unwrap()
}

fn error(message: &str) -> NewLoggedError {
    NewLoggedError {
        source: "majordomo::models".to_owned(),
        severity: Severity::Warning,
        message: message.to_owned(),
        trace: "connection refused".to_owned(),
        context: vec![("run".to_owned(), "r-1".to_owned())],
    }
}

async fn messages(log: &FileErrorLog, limit: usize, search: Option<&str>) -> Vec<String> {
    let errors = log.newest(limit, search).await.unwrap();
    errors
        .into_iter()
        .map(|entry| entry.error.message)
        .collect()
}

/// Lines of the file, once there are so many or time is up.
fn lines(folder: &Path, wanted: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = fs::read_to_string(folder.join(ERROR_LOG_FILE)).unwrap_or_default();
        let lines = text.lines().count();
        if lines == wanted || Instant::now() > deadline {
            return lines;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn errors_are_told_newest_first_and_searched() {
    let folder = tempdir().unwrap();
    let log = open(folder.path());
    for message in ["The disk is full", "No answer", "The DISK is slow"] {
        log.record(error(message));
    }
    let newest = ["The DISK is slow", "No answer", "The disk is full"];
    assert_eq!(messages(&log, 10, None).await, newest);
    assert_eq!(messages(&log, 2, None).await, newest[..2]);
    assert_eq!(
        messages(&log, 10, Some("disk")).await,
        ["The DISK is slow", "The disk is full"]
    );
    for everywhere in ["REFUSED", "Majordomo::Models"] {
        assert_eq!(messages(&log, 10, Some(everywhere)).await.len(), 3);
    }
    assert_eq!(messages(&log, 10, Some("r-1")).await, [""; 0]);
}

#[tokio::test]
async fn the_next_process_knows_them_and_goes_on() {
    let folder = tempdir().unwrap();
    let before = {
        let log = open(folder.path());
        log.record(error("first\nwith \"quotes\" and ünïcode"));
        log.record(error("second"));
        assert_eq!(lines(folder.path(), 2), 2);
        log.newest(10, None).await.unwrap()
    };
    assert_eq!(mode(&folder.path().join(ERROR_LOG_FILE)), 0o600);
    // A crash may leave half a line.
    let file = folder.path().join(ERROR_LOG_FILE);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{{\"id\":\"half\n")).unwrap();
    let log = open(folder.path());
    assert_eq!(log.newest(10, None).await.unwrap(), before);
    log.record(error("third"));
    let mut ids: Vec<_> = log.newest(10, None).await.unwrap();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|entry| entry.id.len() == 12));
    ids.dedup_by(|a, b| a.id == b.id);
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn clearing_is_for_good() {
    let folder = tempdir().unwrap();
    let log = open(folder.path());
    log.record(error("one"));
    log.clear().await.unwrap();
    assert_eq!(messages(&log, 10, None).await, [""; 0]);
    log.record(error("two"));
    assert_eq!(lines(folder.path(), 1), 1);
    assert_eq!(messages(&open(folder.path()), 10, None).await, ["two"]);
    log.clear().await.unwrap();
    log.clear().await.unwrap();
    assert!(!folder.path().join(ERROR_LOG_FILE).exists());
}

#[tokio::test]
async fn neither_memory_nor_file_grow_without_end() {
    let folder = tempdir().unwrap();
    let log = open(folder.path());
    for number in 1..=1001 {
        log.record(error(&format!("{number}")));
        // No faster than they are written, so that none is lost.
        if number % 100 == 0 {
            let expected = number;
            assert_eq!(lines(folder.path(), expected), expected);
        }
    }
    assert_eq!(lines(folder.path(), 500), 500, "written anew");
    let held = messages(&log, 10_000, None).await;
    assert_eq!((held.len(), held[0].as_str()), (500, "1001"));
    assert_eq!(messages(&open(folder.path()), 10_000, None).await, held);
}

#[tokio::test]
async fn long_texts_are_cut_between_characters() {
    let folder = tempdir().unwrap();
    let log = open(folder.path());
    log.record(error(&"ä".repeat(5_000)));
    let message = messages(&log, 1, None).await.remove(0);
    assert!(message.len() < 4_200 && message.ends_with("ä…"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_costs_the_file_only() {
    let folder = tempdir().unwrap();
    let log = open(&folder.path().join("missing"));
    log.record(error("kept in memory"));
    assert_eq!(messages(&log, 10, None).await, ["kept in memory"]);
}
