//! The HTTP server from settings and services.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use majordomo_application::audit::Refusals;
use majordomo_infrastructure_system::SystemClock;
use majordomo_presentation_http::address::{self, TrustedProxies};
use majordomo_presentation_http::auth::{LocalBypass, LocalBypassConfig};
use majordomo_presentation_http::base_path::BasePath;
use majordomo_presentation_http::origin::AllowedOrigins;
use majordomo_presentation_http::rate_limit::{Rate, RateLimitConfig};
use majordomo_presentation_http::{
    Core, Kernel, KernelLayer, KernelParts, LimitClass, Mounts, Services,
};
use majordomo_presentation_openai as openai;
use majordomo_presentation_pisovereign as pisovereign;
use majordomo_presentation_pixcode as pixcode;
use majordomo_presentation_pocketpaw as pocketpaw;
use majordomo_settings::{ForwardedHeader, Settings};
use paperclip::actix::OpenApiExt as _;
use paperclip::actix::web::ServiceConfig;
use serde_json::Value;
use tokio::sync::oneshot;

use super::shared_paths::tell_dialects_apart;
use crate::startup::StartError;

/// Connections that wait to be accepted, per address.
const BACKLOG: u32 = 1024;

/// Bytes of a connection that wait in the system to be sent, beyond those on their way.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

/// The OpenAPI document of a dialect.
pub(crate) fn document(dialect: &str) -> Option<Value> {
    match dialect {
        "openai" => Some(openai::document()),
        "pisovereign" => Some(pisovereign::document()),
        "pixcode" => Some(pixcode::document()),
        "pocketpaw" => Some(pocketpaw::document()),
        _ => None,
    }
}

/// Every route. Scopes do not fall through, so `/api/v1` stands before `/api`, which two dialects share.
fn routes(config: &mut ServiceConfig) {
    use paperclip::actix::web::scope;
    config.service(scope("/api/v1").configure(pocketpaw::configure_v1));
    config.service(
        scope("/api")
            .wrap(from_fn(tell_dialects_apart))
            .configure(pixcode::configure)
            .configure(pocketpaw::configure_legacy),
    );
    pocketpaw::configure_root(config);
    openai::configure(config);
    pisovereign::configure(config);
}

/// Which dialect tells a path's errors, and which limit it has. Within `/v1` OpenAI's paths are the longer ones.
fn mounts() -> Mounts {
    let mounts = Mounts::new(&pocketpaw::DIALECT, LimitClass::Api);
    let mounts = pixcode::mount(pisovereign::mount(pocketpaw::mount(mounts)));
    ["/v1/chat/completions", "/v1/embeddings", "/v1/models"]
        .into_iter()
        .fold(mounts, |mounts, path| {
            mounts.at(path, openai::DIALECT, LimitClass::PerMinute)
        })
}

/// A server that is ready to listen.
pub(crate) struct Http {
    kernel: Arc<Kernel>,
    services: Services,
    listen: Vec<SocketAddr>,
    workers: Option<usize>,
}

/// A server that listens.
pub(crate) struct Listening {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) server: ServerHandle,
}

/// Puts the kernel and the dialects together.
pub(crate) fn http(settings: &Settings, services: Services) -> Http {
    let server = &settings.server;
    let networks = server.trusted_proxies.iter().map(|network| network.get());
    let trusted_proxies =
        TrustedProxies::new(networks.collect()).writing(match server.forwarded_header {
            ForwardedHeader::XForwardedFor => address::ForwardedHeader::XForwarded,
            ForwardedHeader::Forwarded => address::ForwardedHeader::Forwarded,
        });
    let bypass = LocalBypass::new(LocalBypassConfig {
        enabled: settings.security.localhost_auth_bypass,
        listeners: &server.listen,
        has_public_url: server.public_url.is_some(),
        has_trusted_proxies: !server.trusted_proxies.is_empty(),
    });
    let kernel = Kernel::new(KernelParts {
        core: Core::new(tokio::runtime::Handle::current()),
        access: services.access.clone(),
        clock: Arc::new(SystemClock),
        mounts: mounts().under(BasePath::new(server.base_path())),
        rate_limits: rate_limits(settings),
        bypass,
        trusted_proxies,
        allowed_origins: AllowedOrigins::new(server.allowed_origins.clone())
            .with_own(server.public_origin().map(str::to_owned)),
        public_https: server
            .public_url
            .as_ref()
            .is_some_and(|url| url.starts_with("https:")),
        body_limit: server.max_body_bytes,
    });
    Http {
        kernel,
        services,
        listen: server.listen.clone(),
        workers: server.workers,
    }
}

fn rate_limits(settings: &Settings) -> RateLimitConfig {
    let security = &settings.security;
    RateLimitConfig {
        enabled: security.rate_limit_enabled,
        per_minute: Rate::per_minute(security.rate_limit_rpm),
        api: Rate::per_second(
            security.rate_limit_api_per_sec,
            security.rate_limit_api_burst,
        ),
        login: Rate::per_second(
            security.rate_limit_login_per_sec,
            security.rate_limit_login_burst,
        ),
        websocket: Rate::per_second(security.rate_limit_ws_per_sec, security.rate_limit_ws_burst),
        api_key: Rate::per_minute(security.rate_limit_key_rpm),
    }
}

/// Lets the system hold little of what a connection is to send: it would keep megabytes for each client that does not
/// read its stream. Where that cannot be set it only costs memory, so failures are passed over.
fn hold_little(connection: &dyn std::any::Any) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}

impl Http {
    /// What is refused and is to be recorded.
    pub(crate) fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(self.kernel.refusals())
    }

    /// Listens, and serves until told to stop. The receiver gets the failure of a server that breaks.
    pub(crate) fn run(self) -> Result<(Listening, oneshot::Receiver<io::Result<()>>), StartError> {
        let Self {
            kernel,
            services,
            listen,
            workers,
        } = self;
        let (kernel_data, services_data) =
            (web::Data::from(kernel.clone()), web::Data::new(services));
        let factory = move || {
            App::new()
                .app_data(kernel_data.clone())
                .app_data(services_data.clone())
                .wrap(KernelLayer::new(kernel.clone()))
                .configure(pocketpaw::ws::configure)
                .wrap_api()
                .configure(routes)
                .build()
        };
        let mut server = HttpServer::new(factory)
            .backlog(BACKLOG)
            .disable_signals()
            // Small pieces of a stream must not wait for the acknowledgement of the one before.
            .tcp_nodelay(true)
            // A client that leaves while a model is silent would not be missed before something is written to it. Clients
            // that close their half of a connection and wait for the answer get none; proxies and browsers do not.
            .h1_allow_half_closed(false)
            .on_connect(|connection, _| hold_little(connection));
        if let Some(workers) = workers {
            server = server.workers(workers);
        }
        for address in listen {
            server = server
                .bind(address)
                .map_err(|source| StartError::Listen { address, source })?;
        }
        let addresses = server.addrs();
        let server = server.run();
        let handle = server.handle();
        let (failed, failure) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody waits for it when the server was told to stop.
            let _ = failed.send(server.await);
        });
        Ok((
            Listening {
                addresses,
                server: handle,
            },
            failure,
        ))
    }
}
