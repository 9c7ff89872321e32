//! Opens connections: TLS as the address asks for it, and the settings of a session.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};

use crate::store::{PostgresConfig, StoreError};
use crate::tls::Tls;

/// Knows how to open a connection.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Option<Tls>,
    settings: String,
    timeout: Duration,
}

impl Connector {
    /// Reads the address. TLS is used with `sslmode=require`, and by default where the server is on another machine
    /// and offers it; the server's certificate is always verified.
    pub(crate) fn new(config: &PostgresConfig) -> Result<Self, StoreError> {
        let mut address: Config =
            config
                .url
                .parse()
                .map_err(|error: tokio_postgres::Error| StoreError::Address {
                    reason: error.to_string(),
                })?;
        address
            .connect_timeout(config.connect_timeout)
            .application_name("majordomo")
            .keepalives_idle(Duration::from_mins(1));
        let tls = match address.get_ssl_mode() {
            SslMode::Disable => None,
            SslMode::Prefer if address.get_hosts().iter().all(is_local) => None,
            _ => Some(Tls::new().map_err(|error| StoreError::Connect {
                reason: format!("TLS cannot be set up: {error}"),
            })?),
        };
        if tls.is_none() {
            address.ssl_mode(SslMode::Disable);
        }
        Ok(Self {
            config: address,
            tls,
            settings: format!(
                "SET synchronous_commit TO ON; SET statement_timeout TO {}; SET client_min_messages TO warning",
                config.statement_timeout.as_millis()
            ),
            timeout: config.connect_timeout,
        })
    }

    /// Opens a connection within the connect timeout.
    pub(crate) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        match tokio::time::timeout(self.timeout, self.open()).await {
            Ok(connection) => connection,
            Err(_) => Err(ConnectionError::BadConnection(
                "the server does not answer in time".to_owned(),
            )),
        }
    }

    async fn open(&self) -> ConnectionResult<AsyncPgConnection> {
        let bad = |error: tokio_postgres::Error| ConnectionError::BadConnection(chain(&error));
        let mut connection = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(bad)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await?
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(bad)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await?
            }
        };
        connection
            .batch_execute(&self.settings)
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

/// An error with its causes. None of them holds the address or the password.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
