//! What of this machine is in use, and the checks of the data folder, on Linux.
#![cfg(target_os = "linux")]

use majordomo_application::ports::{CheckState, HealthCheck as _, MachineMeter as _, Severity};
use majordomo_infrastructure_system::{DataFolderCheck, DiskSpaceCheck, Machine};
use tempfile::tempdir;

use crate::set_mode;

#[test]
fn the_machine_tells_what_is_in_use() {
    let folder = tempdir().unwrap();
    let machine = Machine::storing_in(folder.path());
    assert_eq!(machine.os(), "Linux");
    let usage = machine.read().unwrap();
    let parallelism = std::thread::available_parallelism().unwrap().get();
    assert!(usize::try_from(usage.cores).unwrap() >= parallelism);
    assert!(usage.processors.busy < usage.processors.total);
    assert!(usage.uptime.as_secs() > 0);
    for capacity in [usage.memory, usage.disk] {
        assert!(capacity.used_bytes > 0, "{capacity:?}");
        assert!(capacity.used_bytes <= capacity.total_bytes, "{capacity:?}");
    }
    // No processor has more time than went by, 1 % of rounding aside.
    let all = usage.uptime * usage.cores;
    assert!(usage.processors.total.as_secs_f64() <= all.as_secs_f64() * 1.01 + 1.0);
}

#[test]
fn a_folder_that_does_not_exist_has_no_disk() {
    assert!(Machine::storing_in("/does/not/exist").read().is_none());
}

#[tokio::test]
async fn a_data_folder_of_ones_own_is_well() {
    let folder = tempdir().unwrap();
    set_mode(folder.path(), 0o700);
    let check = DataFolderCheck::new(folder.path());
    assert_eq!(check.run().await, CheckState::Healthy);
    set_mode(folder.path(), 0o755);
    let words = "other users can look into the data folder (mode 0755)".to_owned();
    assert_eq!(
        check.run().await,
        CheckState::Issue(Severity::Warning, words)
    );
    let missing = DataFolderCheck::new(folder.path().join("missing"));
    let CheckState::Issue(Severity::Critical, _) = missing.run().await else {
        panic!("a folder that is not there is no good")
    };
}

#[tokio::test]
async fn a_disk_without_space_is_an_issue() {
    let folder = tempdir().unwrap();
    let plenty = DiskSpaceCheck::new(folder.path()).run().await;
    let usage = Machine::storing_in(folder.path()).read().unwrap().disk;
    let free = usage.total_bytes - usage.used_bytes;
    assert_eq!(plenty == CheckState::Healthy, free >= 1 << 30);
    let unknown = DiskSpaceCheck::new("/does/not/exist").run().await;
    assert_eq!(
        unknown,
        CheckState::Issue(Severity::Warning, "the system does not tell".to_owned())
    );
    // The kernel's tables take no space and have none.
    let none = DiskSpaceCheck::new("/proc").run().await;
    let words = "0 MiB are left".to_owned();
    assert_eq!(none, CheckState::Issue(Severity::Critical, words));
}
