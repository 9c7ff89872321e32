//! A disk that is full: what cannot be stored is not acknowledged, and what was acknowledged is not lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Answer, Options, Server, eventually, skipped};

/// A small file system of its own; it goes with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount anything.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(folder.path());
        mount
            .output()
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last bytes.
    fn fill(&self) {
        let (mut size, mut number) = (1 << 20, 0);
        while size > 256 {
            match fs::write(self.path().join(format!("ballast-{number}")), vec![0; size]) {
                Ok(()) => number += 1,
                Err(_) => size /= 2,
            }
        }
    }

    /// Gives the room back.
    fn relieve(&self) {
        for entry in fs::read_dir(self.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("ballast-") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A lazy one succeeds while the server still dies.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

async fn say(server: &Server, number: usize) -> Answer {
    let text = format!("number {number} {}", "words ".repeat(200));
    server
        .post(
            "/v1/chat",
            &json!({ "message": text, "conversation_id": "s" }),
        )
        .await
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let Some(disk) = SmallDisk::mount() else {
        skipped("a full disk needs a file system of its own, and mounting one needs root");
        return;
    };
    let options = Options {
        data_dir: Some(disk.path().join("data")),
        ..Options::config("[security]\nrate_limit_enabled = false\n")
    };
    let mut server = Server::start(options).await;
    let mut acknowledged = Vec::new();
    for number in 0..3 {
        say(&server, number).await.ok();
        acknowledged.push(number);
    }
    disk.fill();
    let mut refused = 0;
    for number in 3..400 {
        let answer = say(&server, number).await;
        if answer.status == 200 {
            acknowledged.push(number);
        } else {
            assert_eq!(answer.status, 503, "{answer:?}");
            refused += 1;
        }
        if refused == 20 {
            break;
        }
    }
    assert!(refused > 0, "the disk is never full");
    server.get("/health").await.ok();
    assert_eq!(
        server.get("/api/v1/sessions").await.ok()["total"],
        1,
        "reading goes on"
    );

    disk.relieve();
    let recovered = async || (say(&server, 1000).await.status == 200).then_some(());
    eventually("it stores again", recovered).await;
    all_there(&server, &acknowledged).await;
    server.kill9().await;
    server.restart().await;
    all_there(&server, &acknowledged).await;
}

async fn all_there(server: &Server, numbers: &[usize]) {
    let exported: Value = server
        .get("/api/v1/sessions/s/export?format=json")
        .await
        .ok();
    let messages: Vec<&str> = exported["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["content"].as_str().unwrap())
        .collect();
    for number in numbers {
        let beginning = format!("number {number} ");
        let times = messages
            .iter()
            .filter(|text| text.starts_with(&beginning))
            .count();
        assert_eq!(times, 1, "message {number}");
    }
}
