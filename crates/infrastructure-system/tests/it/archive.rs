//! Archives: what goes in comes out, and nothing else is believed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use majordomo_application::ports::{
    Column, ColumnKind, CopyStep, DatabaseSchema, Table, TablePart,
};
use majordomo_infrastructure_system::archive::{
    ArchiveError, ArchiveFile, ArchiveHead, Summary, read_archive, verify_archive, write_archive,
};
use tokio::sync::mpsc;

use crate::mode;

fn steps() -> Vec<CopyStep> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let table = Table {
        name: "notes".to_owned(),
        columns: vec![
            column("id", ColumnKind::Text),
            column("at", ColumnKind::Integer),
            column("done", ColumnKind::Boolean),
            column("weight", ColumnKind::Real),
            column("digest", ColumnKind::Bytes),
        ],
    };
    let part = |from: u32| TablePart {
        table: "notes".to_owned(),
        rows: 100,
        lines: (from..from + 100)
            .flat_map(|n| format!("[\"note-{n}\",{n},true,0.5,\"00ff\"]\n").into_bytes())
            .collect(),
    };
    vec![
        CopyStep::Schema(DatabaseSchema {
            migrations: vec!["20261121000000".to_owned()],
            tables: vec![table],
        }),
        CopyStep::Part(part(0)),
        CopyStep::Part(part(100)),
        CopyStep::Complete,
    ]
}

fn write(path: &Path, steps: Vec<CopyStep>, replace: bool) -> Result<Summary, ArchiveError> {
    let (sender, receiver) = mpsc::channel(16);
    for step in steps {
        sender.try_send(step).unwrap();
    }
    drop(sender);
    let head = ArchiveHead {
        created_at: 1_770_000_000,
        program: "0.1.0".to_owned(),
        database: "sqlite".to_owned(),
    };
    let files = [ArchiveFile {
        name: "audit-head".to_owned(),
        bytes: b"1 abc".to_vec(),
    }];
    write_archive(path, replace, head, &files, receiver)
}

/// The steps of an archive, and its files by name.
type Found = (Vec<CopyStep>, Vec<(String, Vec<u8>)>);

fn read(path: &Path) -> Result<Found, ArchiveError> {
    let (sender, mut receiver) = mpsc::channel(16);
    let files = read_archive(path, &sender)?;
    drop(sender);
    let mut steps = Vec::new();
    while let Ok(step) = receiver.try_recv() {
        steps.push(step);
    }
    Ok((
        steps,
        files
            .into_iter()
            .map(|file| (file.name, file.bytes))
            .collect(),
    ))
}

#[test]
fn what_goes_in_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.majordomo");
    let written = write(&path, steps(), false).unwrap();
    assert_eq!(written.rows["notes"], 200);
    assert_eq!(written.files, ["audit-head"]);
    assert_eq!(written.schema, "20261121000000");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(verify_archive(&path).unwrap(), written);
    let (back, files) = read(&path).unwrap();
    assert_eq!(back, steps());
    assert_eq!(files, [("audit-head".to_owned(), b"1 abc".to_vec())]);
}

#[test]
fn a_file_in_the_way_is_kept_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.majordomo");
    fs::write(&path, "mine").unwrap();
    assert!(matches!(
        write(&path, steps(), false),
        Err(ArchiveError::Write { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    write(&path, steps(), true).unwrap();
    verify_archive(&path).unwrap();
}

#[test]
fn a_copy_that_ends_early_leaves_no_file() {
    for length in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.majordomo");
        let begun = steps().into_iter().take(length).collect();
        let refused = write(&path, begun, false);
        assert!(matches!(refused, Err(ArchiveError::Incomplete)), "{length}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_file_cut_anywhere_or_changed_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.majordomo");
    write(&path, steps(), false).unwrap();
    let whole = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged");
    let refuses = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).unwrap();
        assert!(verify_archive(&damaged).is_err(), "{what}");
        let steps = read(&damaged).map_or_else(|_| Vec::new(), |(steps, _)| steps);
        assert!(!steps.contains(&CopyStep::Complete), "{what}");
    };
    for length in 0..whole.len() {
        refuses(&whole[..length], &format!("cut at {length}"));
    }
    let mut harmless = 0;
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        fs::write(&damaged, &bytes).unwrap();
        // Some bits of the compression mean nothing: then the archive reads as before.
        match read(&damaged) {
            Ok((same, _)) => {
                assert_eq!(same, steps(), "at {position}");
                harmless += 1;
            }
            Err(_) => refuses(&bytes, &format!("changed at {position}")),
        }
    }
    assert!(harmless < 16, "{harmless} changes are not seen");
}

/// The archive's tar, uncompressed.
fn tar_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(fs::File::open(path).unwrap())
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn compress(path: &Path, tar: &[u8]) {
    let mut encoder = zstd::Encoder::new(fs::File::create(path).unwrap(), 1).unwrap();
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap();
}

/// Whoever recompresses a changed archive keeps the compression's checksum right, but not ours.
#[test]
fn changes_below_the_compression_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.majordomo");
    write(&path, steps(), false).unwrap();
    let tar = tar_of(&path);
    let changed = folder.path().join("changed");
    compress(&changed, &tar);
    verify_archive(&changed).unwrap();

    let row = tar.windows(7).position(|w| w == b"note-42").unwrap();
    let mut other = tar.clone();
    other[row + 5] = b'9';
    compress(&changed, &other);
    assert!(matches!(
        verify_archive(&changed),
        Err(ArchiveError::Damaged(_))
    ));

    let format = tar.windows(11).position(|w| w == b"\"format\": 1").unwrap();
    let mut newer = tar.clone();
    newer[format + 10] = b'7';
    compress(&changed, &newer);
    assert!(matches!(
        verify_archive(&changed),
        Err(ArchiveError::NewerFormat { found: 7, known: 1 })
    ));
}

#[test]
fn other_files_are_no_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for bytes in [&b""[..], b"hello", &[0; 4096]] {
        fs::write(&path, bytes).unwrap();
        assert!(verify_archive(&path).is_err());
        compress(&path, bytes);
        assert!(verify_archive(&path).is_err());
    }
    assert!(verify_archive(&folder.path().join("none")).is_err());
}
