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

choice! {
    /// Where reverse proxies write whom they speak for.
    pub enum ForwardedHeader {
        /// `X-Forwarded-For` and `X-Forwarded-Proto`.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
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
        /// Address under which others reach the server, where it stands behind a reverse proxy. With a path, the
        /// server is shown under that path, whether or not the proxy takes it off.
        public_url: Option<String> = None, example "\"https://chat.example.org\"";
        /// Web origins besides the server's own whose pages may call it. There is no wildcard.
        allowed_origins: Vec<String> = Vec::new();
        /// Addresses or CIDR blocks of reverse proxies that are believed about whom they speak for.
        trusted_proxies: Vec<IpNetwork> = Vec::new();
        /// Where they write it. Only this header is read: what a client writes into the other one may pass them.
        forwarded_header: ForwardedHeader = ForwardedHeader::XForwardedFor;
        /// Longest request body in bytes.
        max_body_bytes: usize = 10 * 1024 * 1024;
        /// Seconds that stopping may take, all in all. Answers passed on from a model have half of them to end; every
        /// other stream is told of the end at once.
        shutdown_timeout_secs: u64 = 10;
        /// What the installation is for, as the system status reports it.
        environment: Environment = Environment::Development;
        /// Number of HTTP worker threads. Not set: one per processor.
        workers: Option<usize> = None, example "2";
    }
}

impl ServerSettings {
    /// Scheme and authority of the public address.
    pub fn public_origin(&self) -> Option<&str> {
        self.public_url
            .as_deref()
            .and_then(|url| url.get(..end_of_origin(url)))
    }

    /// Path of the public address; empty without one.
    pub fn base_path(&self) -> &str {
        self.public_url
            .as_deref()
            .and_then(|url| url.get(end_of_origin(url)..))
            .unwrap_or_default()
            .trim_end_matches('/')
    }

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
            if url.contains(['?', '#']) {
                return Err(SettingsError::invalid(
                    "server.public_url",
                    "must not have a query or a fragment",
                ));
            }
            check_base_path(self.base_path())?;
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

/// Where the path of an address begins.
fn end_of_origin(url: &str) -> usize {
    let authority = url.find("://").map_or(0, |scheme| scheme + "://".len());
    url.get(authority..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |length| authority + length)
}

/// What the server's own paths begin with: below a path of that name, nobody could tell whether a proxy has taken it off.
const OWN_PATHS: [&str; 10] = [
    ".well-known",
    "api",
    "api-docs",
    "health",
    "metrics",
    "ready",
    "redoc",
    "swagger-ui",
    "v1",
    "ws",
];

/// Refuses a path that would have to be escaped, and one of the server's own.
fn check_base_path(path: &str) -> Result<(), SettingsError> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
    };
    let mut segments = path.split('/').skip(1);
    if !segments.clone().all(plain) {
        return Err(SettingsError::invalid(
            "server.public_url",
            "its path may only hold letters, digits and - . _ ~",
        ));
    }
    match segments.next() {
        Some(first) if OWN_PATHS.contains(&first) => Err(SettingsError::invalid(
            "server.public_url",
            format!("its path may not begin with /{first}, which is a path of the server itself"),
        )),
        _ => Ok(()),
    }
}
