//! Making and checking the data directory.

use std::fs;
use std::path::Path;

use majordomo_infrastructure_system::{DataDirError, prepare_data_dir};
use tempfile::tempdir;

use crate::{chain, mode, set_mode};

#[test]
fn a_missing_directory_is_made_private_with_its_parents() {
    let root = tempdir().unwrap();
    let parent = root.path().join("share");
    let path = parent.join("majordomo");
    prepare_data_dir(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&parent), 0o700);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn an_existing_directory_keeps_its_mode_and_files() {
    let root = tempdir().unwrap();
    set_mode(root.path(), 0o755);
    fs::write(root.path().join("majordomo.db"), "data").unwrap();
    prepare_data_dir(root.path()).unwrap();
    prepare_data_dir(root.path()).unwrap();
    assert_eq!(mode(root.path()), 0o755);
    let names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["majordomo.db"]);
}

#[test]
fn a_file_in_its_place_is_named() {
    let root = tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = prepare_data_dir(&file).unwrap_err();
    assert!(
        matches!(error, DataDirError::NotADirectory { .. }),
        "{error:?}"
    );
    assert!(chain(&error).contains(file.to_str().unwrap()));

    let error = prepare_data_dir(&file.join("below")).unwrap_err();
    assert!(matches!(error, DataDirError::Create { .. }), "{error:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_where_no_file_can_be_written_is_refused() {
    // Nobody, root included, can make a file there.
    let error = prepare_data_dir(Path::new("/proc")).unwrap_err();
    assert!(
        matches!(error, DataDirError::NotWritable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("/proc"));
}
