//! How the command line finds the server that runs on a data directory: a file with its address, for as long as it runs.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the file in the data directory.
const FILE: &str = "server.json";

/// Where a running server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its process.
    pub(crate) pid: u32,
    /// One of its addresses, reachable from this machine.
    pub(crate) address: SocketAddr,
}

impl Instance {
    /// The server that wrote the file last, if any. It may have died since.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        let text = std::fs::read(data_dir.join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// The file, removed when this is dropped.
pub(crate) struct Announcement(PathBuf);

impl Announcement {
    /// Tells where this process answers.
    pub(crate) fn write(data_dir: &Path, address: SocketAddr) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let instance = Instance {
            pid: std::process::id(),
            address: reachable(address),
        };
        let temporary = path.with_extension("json.new");
        std::fs::write(&temporary, serde_json::to_vec(&instance)?)?;
        std::fs::rename(&temporary, &path)?;
        Ok(Self(path))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An address that listens everywhere is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let ip = if address.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(ip, address.port())
}
