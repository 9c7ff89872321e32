//! `[server]`: where the server listens and what it accepts.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::catalogue::{choice, section};
use crate::error::SettingsError;
use crate::network::IpNetwork;
use crate::validate::{check_http_url, check_origin, check_range};

choice! {
    /// What the installation is for.
    pub enum Environment {
        /// On the machine of one person.
        Development = "development",
        /// For others.
        Production = "production",
    }
}

section! {
    /// Where the server listens and what it accepts.
    pub struct ServerSettings {
        /// Addresses to listen on, each `IP:PORT`. `--host` and `--port` replace the whole list by one address.
        listen: Vec<SocketAddr> = vec![SocketAddr::from(([127, 0, 0, 1], 8888))];
        /// Folder of the database, the access token and everything else that is kept; `--data-dir` wins.
        /// Not set: the platform's folder for application data.
        data_dir: Option<PathBuf> = None, example "\"/var/lib/majordomo\"";
        /// Address under which others reach the server, where it stands behind a reverse proxy.
        public_url: Option<String> = None, example "\"https://chat.example.org\"";
        /// Web origins besides the server's own whose pages may call it. There is no wildcard.
        allowed_origins: Vec<String> = Vec::new();
        /// Addresses or CIDR blocks of reverse proxies whose `X-Forwarded-*` headers are believed.
        trusted_proxies: Vec<IpNetwork> = Vec::new();
        /// Longest request body in bytes.
        max_body_bytes: usize = 10 * 1024 * 1024;
        /// Seconds that running requests get to finish when the server stops.
        shutdown_timeout_secs: u64 = 10;
        /// What the installation is for, as the system status reports it.
        environment: Environment = Environment::Development;
        /// Number of HTTP worker threads. Not set: one per processor.
        workers: Option<usize> = None, example "2";
    }
}

impl ServerSettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range("server.listen", self.listen.len(), 1..=16, " addresses")?;
        for (index, address) in self.listen.iter().enumerate() {
            let repeated = self
                .listen
                .iter()
                .take(index)
                .any(|earlier| earlier == address);
            if repeated && address.port() != 0 {
                let key = format!("server.listen[{index}]");
                return Err(SettingsError::invalid(
                    key,
                    format!("{address} is listed twice"),
                ));
            }
        }
        if self
            .data_dir
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
        {
            return Err(SettingsError::invalid(
                "server.data_dir",
                "must not be empty",
            ));
        }
        if let Some(url) = &self.public_url {
            check_http_url("server.public_url", url)?;
        }
        for (index, origin) in self.allowed_origins.iter().enumerate() {
            check_origin(&format!("server.allowed_origins[{index}]"), origin)?;
        }
        check_range(
            "server.max_body_bytes",
            self.max_body_bytes,
            1024..=1024 * 1024 * 1024,
            "",
        )?;
        check_range(
            "server.shutdown_timeout_secs",
            self.shutdown_timeout_secs,
            0..=3600,
            "",
        )?;
        match self.workers {
            Some(workers) => check_range("server.workers", workers, 1..=1024, ""),
            None => Ok(()),
        }
    }
}
