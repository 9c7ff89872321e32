//! How the connections to one provider are made: directly, or through the proxy that the environment names for it.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

/// Silence after which the system asks whether the other side is still there, and the pause between two such questions.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Questions without an answer after which a connection is dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was sent may stay unacknowledged before a connection is dead.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Boxed errors, as hyper passes them on.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A connection to a provider or its proxy, the latter with TLS where the proxy's address asks for it.
type Plain = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The proxy that the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) names for a provider.
#[derive(Clone)]
pub(super) struct Proxy(Intercept);

impl Proxy {
    /// `None` where the provider at `address` is reached directly.
    pub(super) fn of(address: &Uri) -> Option<Self> {
        Matcher::from_env().intercept(address).map(Self)
    }

    pub(super) fn needs_tls(&self) -> bool {
        self.0.uri().scheme_str() == Some("https")
    }

    /// What the proxy wants to be told with every request.
    pub(super) fn credentials(&self) -> Option<HeaderValue> {
        let mut credentials = self.0.basic_auth()?.clone();
        credentials.set_sensitive(true);
        Some(credentials)
    }
}

/// Makes connections, each within the same time.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<Route>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(tls: &ClientConfig, timeout: Duration, proxy: Option<Proxy>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_connect_timeout(Some(timeout));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let route = match proxy {
            None => Route::Direct(tcp),
            Some(proxy) => Route::Proxy(with_tls(tls, tcp), proxy),
        };
        Self {
            inner: with_tls(tls, route),
            timeout,
        }
    }
}

fn with_tls<C>(tls: &ClientConfig, inner: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(inner)
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Via>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, provider: Uri) -> Self::Future {
        let (connecting, timeout) = (self.inner.call(provider), self.timeout);
        Box::pin(async move {
            let connected = tokio::time::timeout(timeout, connecting).await;
            connected.unwrap_or_else(|_| Err(io::Error::from(ErrorKind::TimedOut).into()))
        })
    }
}

/// The way to a provider, below its TLS.
#[derive(Clone)]
enum Route {
    Direct(HttpConnector),
    /// The connector speaks TLS where the proxy's address asks for it.
    Proxy(HttpsConnector<HttpConnector>, Proxy),
}

impl Service<Uri> for Route {
    type Response = Via;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Via, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Proxy(connector, _) => connector.poll_ready(cx),
        }
    }

    fn call(&mut self, provider: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(provider);
                Box::pin(async move { Ok(Via::provider(Plain::Http(connecting.await?))) })
            }
            Self::Proxy(connector, proxy) if provider.scheme_str() == Some("https") => {
                let mut tunnel = Tunnel::new(proxy.0.uri().clone(), connector.clone());
                if let Some(credentials) = proxy.credentials() {
                    tunnel = tunnel.with_auth(credentials);
                }
                Box::pin(async move { Ok(Via::provider(tunnel.call(provider).await?)) })
            }
            Self::Proxy(connector, proxy) => {
                let connecting = connector.call(proxy.0.uri().clone());
                Box::pin(async move { connecting.await.map(Via::proxy) })
            }
        }
    }
}

/// A connection that knows who reads its requests: the provider, or a proxy that wants to be told the whole address.
pub(super) struct Via {
    stream: Plain,
    proxy: bool,
}

impl Via {
    const fn provider(stream: Plain) -> Self {
        let proxy = false;
        Self { stream, proxy }
    }

    const fn proxy(stream: Plain) -> Self {
        let proxy = true;
        Self { stream, proxy }
    }
}

impl Connection for Via {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxy)
    }
}

impl Read for Via {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Via {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}
