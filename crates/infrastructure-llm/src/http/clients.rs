//! Which HTTP client a request goes through. A pooled connection belongs to the runtime that opened it, so a runtime of one
//! thread, such as a worker that does HTTP, has a client of its own there; all threads of a larger runtime share one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::runtime::{Handle, Id, RuntimeFlavor};

use super::connector::{Connector, Proxy};

/// Connections kept open for later requests, per client.
const MAX_IDLE_CONNECTIONS: usize = 256;
/// Below the 60 s after which common reverse proxies close idle connections.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// Speaks HTTP/1.1, follows no redirects and keeps no cookies.
pub(super) type Client = HyperClient<Connector, Full<Bytes>>;

thread_local! {
    /// The clients of this thread's runtime by provider.
    static OWN: RefCell<HashMap<usize, (Id, Arc<Client>)>> = RefCell::default();
}

/// How a client is made.
pub(super) struct Recipe {
    /// Trust and protocol versions.
    pub(super) tls: ClientConfig,
    /// Longest wait for a connection.
    pub(super) connect_timeout: Duration,
    /// Through which the provider is reached, where it is.
    pub(super) proxy: Option<Proxy>,
}

impl Recipe {
    fn make(&self) -> Arc<Client> {
        let connector = Connector::new(&self.tls, self.connect_timeout, self.proxy.clone());
        let client = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build(connector);
        Arc::new(client)
    }
}

/// The clients of one provider.
pub(super) struct Clients {
    provider: usize,
    recipe: Recipe,
    shared: Arc<Client>,
}

impl Clients {
    pub(super) fn new(recipe: Recipe) -> Self {
        static PROVIDERS: AtomicUsize = AtomicUsize::new(0);
        let provider = PROVIDERS.fetch_add(1, Ordering::Relaxed);
        let shared = recipe.make();
        Self {
            provider,
            recipe,
            shared,
        }
    }

    /// The client for a request made here and now.
    pub(super) fn get(&self) -> Arc<Client> {
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread => {
                self.own(runtime.id())
            }
            _ => self.shared.clone(),
        }
    }

    fn own(&self, runtime: Id) -> Arc<Client> {
        OWN.with_borrow_mut(|own| {
            if let Some((home, client)) = own.get(&self.provider)
                && *home == runtime
            {
                return client.clone();
            }
            let client = self.recipe.make();
            own.insert(self.provider, (runtime, client.clone()));
            client
        })
    }
}
