//! Which HTTP client a request goes through. A pooled connection belongs to the runtime that opened it, so a runtime of one
//! thread, such as a worker that does HTTP, has a client of its own there; all threads of a larger runtime share one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, redirect};
use rustls::ClientConfig;
use tokio::runtime::{Handle, Id, RuntimeFlavor};

/// Connections kept open for later requests, per client.
const MAX_IDLE_CONNECTIONS: usize = 256;
/// Below the 60 s after which common reverse proxies close idle connections.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

thread_local! {
    /// The clients of this thread's runtime by provider.
    static OWN: RefCell<HashMap<usize, (Id, Client)>> = RefCell::default();
}

/// How a client is made.
pub(super) struct Recipe {
    /// Trust and protocol versions.
    pub(super) tls: ClientConfig,
    /// Longest wait for a connection.
    pub(super) connect_timeout: Duration,
    /// Whether the environment's proxies are passed by.
    pub(super) direct: bool,
}

impl Recipe {
    fn make(&self) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .user_agent(concat!("majordomo/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .tls_backend_preconfigured(self.tls.clone());
        let builder = if self.direct {
            builder.no_proxy()
        } else {
            builder
        };
        builder.build()
    }
}

/// The clients of one provider.
pub(super) struct Clients {
    provider: usize,
    recipe: Recipe,
    shared: Client,
}

impl Clients {
    pub(super) fn new(recipe: Recipe) -> reqwest::Result<Self> {
        static PROVIDERS: AtomicUsize = AtomicUsize::new(0);
        let provider = PROVIDERS.fetch_add(1, Ordering::Relaxed);
        let shared = recipe.make()?;
        Ok(Self {
            provider,
            recipe,
            shared,
        })
    }

    /// The client for a request made here and now.
    pub(super) fn get(&self) -> Client {
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread => {
                self.own(runtime.id())
            }
            _ => self.shared.clone(),
        }
    }

    fn own(&self, runtime: Id) -> Client {
        OWN.with_borrow_mut(|own| {
            if let Some((home, client)) = own.get(&self.provider)
                && *home == runtime
            {
                return client.clone();
            }
            // The recipe has worked once; should it ever fail, the shared client works too, only less well.
            let client = self.recipe.make().unwrap_or_else(|_| self.shared.clone());
            own.insert(self.provider, (runtime, client.clone()));
            client
        })
    }
}
