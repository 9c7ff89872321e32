//! What the tests share: the program under test and the world around it.

mod answer;
mod app;
mod binary;
mod collector;
mod embeddings;
mod events;
mod model;
mod server;
mod socket;
mod waiting;

pub(crate) use answer::Answer;
pub(crate) use app::let_app_in;
pub(crate) use binary::{Finished, binary, command, run, run_with_input, workspace};
pub(crate) use collector::Collector;
pub(crate) use embeddings::EmbeddingServer;
pub(crate) use events::{Broken, Event, EventStream, parse_events};
pub(crate) use model::{ModelServer, counted, vector};
pub(crate) use server::{Options, Refused, Server, WITHOUT_LIMITS};
pub(crate) use socket::Socket;
pub(crate) use waiting::{PATIENCE, eventually, within};

use std::io::Write as _;

use majordomo_testkit::postgres::PostgresCluster;

/// Says on standard error that a test does not run, and why.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Settings of a new database in PostgreSQL; `None`, and words about it, where PostgreSQL is not installed.
pub(crate) async fn on_postgresql() -> Option<String> {
    let cluster = PostgresCluster::shared()?;
    let url = cluster.database().await;
    Some(format!("[database]\nurl = \"{url}\"\n"))
}

/// A client that trusts nobody, goes through no proxy and follows no redirection.
pub(crate) fn http_client() -> reqwest::Client {
    // The client is built with TLS whether or not a test speaks it; a second installation is refused, and means nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_mins(1))
        .build()
        .unwrap()
}
