//! Sends the spans of the agent's work to an OpenTelemetry collector, over OTLP/HTTP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/>).

mod collect;
mod message;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use message::{FinishedSpan, message};

/// What the thread that sends is told.
enum Work {
    /// A span has ended.
    Span(Box<FinishedSpan>),
    /// The server stops.
    End,
}

/// Spans that wait to be sent at most; more are dropped.
const QUEUE: usize = 2048;
/// Spans sent at once at most.
const BATCH: usize = 512;
/// How long a span waits for others to go with it.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for the collector.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The way to a collector. Dropping it sends what waits.
pub(crate) struct Exporter {
    work: SyncSender<Work>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Sends spans to the collector at `endpoint`, such as `http://localhost:4318`, from a thread of its own.
    pub(super) fn start(endpoint: &str) -> io::Result<Self> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // The client wants a TLS provider even for plain HTTP; that one is installed already is no failure.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(io::Error::other)?;
        let (work, queue) = sync_channel(QUEUE);
        let send = move || {
            let (mut refused, mut more) = (false, true);
            while more {
                let batch;
                (batch, more) = next_batch(&queue);
                if !batch.is_empty() {
                    let sent = runtime.block_on(send(&client, &url, &batch));
                    tell(&mut refused, sent);
                }
            }
        };
        let thread = thread::Builder::new().name("otlp".to_owned()).spawn(send)?;
        Ok(Self {
            work,
            thread: Some(thread),
        })
    }

    /// The layer that hands spans over.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        collect::layer(self.work.clone())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if self.work.send(Work::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It takes no longer than the collector may take to answer.
            let _ = thread.join();
        }
    }
}

/// The spans to be sent next, and whether more may come.
fn next_batch(queue: &Receiver<Work>) -> (Vec<FinishedSpan>, bool) {
    let mut batch = Vec::new();
    let mut next = queue.recv().map_err(|_| RecvTimeoutError::Disconnected);
    let deadline = Instant::now() + PAUSE;
    loop {
        match next {
            Ok(Work::Span(span)) => batch.push(*span),
            Err(RecvTimeoutError::Timeout) => return (batch, true),
            Ok(Work::End) | Err(RecvTimeoutError::Disconnected) => return (batch, false),
        }
        if batch.len() >= BATCH {
            return (batch, true);
        }
        next = queue.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

async fn send(client: &reqwest::Client, url: &str, batch: &[FinishedSpan]) -> reqwest::Result<()> {
    let request = client.post(url).json(&message(batch));
    request.send().await?.error_for_status().map(drop)
}

/// Spans that were not taken are lost: they must not pile up here. That is said once until it works again.
fn tell(refused: &mut bool, sent: reqwest::Result<()>) {
    match sent {
        Ok(()) => *refused = false,
        Err(error) if !*refused => {
            *refused = true;
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the OpenTelemetry collector takes no spans");
        }
        Err(_) => {}
    }
}
