//! The HTTP client of one provider: pooled connections without Nagle's algorithm, no redirects, a timeout on every wait,
//! typed errors. Keys travel in headers marked as sensitive and never in addresses.

mod clients;
mod connector;
mod guarded_body;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use majordomo_application::ports::ModelError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::config::{ProviderConfig, ProviderConfigError, ProviderKey};
use crate::failure::Failures;
use clients::{Clients, Recipe};
use connector::Proxy;

pub(crate) use guarded_body::GuardedBody;

/// How the server calls itself to providers.
const NAME: &str = concat!("majordomo/", env!("CARGO_PKG_VERSION"));
/// Largest answer that is read as a whole.
const MAX_WHOLE_BYTES: usize = 64 * 1024 * 1024;
/// As much of an error body as is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Longest wait for an error body once its status is known.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a protocol carries the key.
pub(crate) enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone under this name.
    Named(&'static str),
}

/// The client of one provider.
pub(crate) struct HttpClient {
    clients: Clients,
    base_url: Url,
    headers: HeaderMap,
    failures: Failures,
    connect_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
}

impl HttpClient {
    pub(crate) fn new(
        config: &ProviderConfig,
        key_header: &KeyHeader,
    ) -> Result<Self, ProviderConfigError> {
        let base_url = checked_base_url(config)?;
        let address = uri(&base_url).ok_or_else(|| wrong_base_url(config))?;
        // A proxy of the environment is used, but not to reach this very machine.
        let proxy = Proxy::of(&address).filter(|_| !is_loopback(&base_url));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &config.api_key {
            let (name, value) =
                key_header_of(key_header, key).ok_or_else(|| ProviderConfigError::ApiKey {
                    name: config.name.clone(),
                })?;
            headers.insert(name, value);
        }
        let secure = base_url.scheme() == "https";
        if let Some(credentials) = proxy.as_ref().and_then(Proxy::credentials)
            && !secure
        {
            headers.insert(PROXY_AUTHORIZATION, credentials);
        }
        let recipe = Recipe {
            tls: tls::client_config(
                config,
                secure || proxy.as_ref().is_some_and(Proxy::needs_tls),
            )?,
            connect_timeout: config.connect_timeout,
            proxy,
        };
        Ok(Self {
            clients: Clients::new(recipe),
            base_url,
            headers,
            failures: Failures::new(&config.name, config.api_key.clone()),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            total_timeout: config.total_timeout,
        })
    }

    /// The same client with one more header on every request.
    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self
    }

    pub(crate) const fn failures(&self) -> &Failures {
        &self.failures
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The address below which the provider's protocol begins.
    pub(crate) const fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The address of `path` (without a leading slash) at this provider.
    pub(crate) fn uri(&self, path: &str) -> Option<Uri> {
        let base = self.base_url.as_str().trim_end_matches('/');
        format!("{base}/{path}").parse().ok()
    }

    pub(crate) const fn total_timeout(&self) -> Duration {
        self.total_timeout
    }

    /// The moment at which a whole answer begun now must be done.
    pub(crate) fn deadline(&self) -> Instant {
        after(self.total_timeout)
    }

    /// Posts `body` as JSON and waits for a successful status. A stream answers soon, so only silence is limited; the
    /// whole answer is limited by `deadline`.
    pub(crate) async fn post(
        &self,
        uri: &Uri,
        body: Bytes,
        awaiting_stream: bool,
        deadline: Instant,
    ) -> Result<Response<Incoming>, ModelError> {
        let (until, limit) = if awaiting_stream && self.idle_timeout < self.total_timeout {
            (after(self.idle_timeout), self.idle_timeout)
        } else {
            (deadline, self.total_timeout)
        };
        let request = self.request(Method::POST, uri, body);
        self.send(request, until, limit).await
    }

    /// Posts a request whose answer is a stream and returns the guarded body.
    pub(crate) async fn post_for_stream(
        &self,
        uri: &Uri,
        body: &impl Serialize,
    ) -> Result<GuardedBody, ModelError> {
        let body = self.encode(body)?;
        let deadline = self.deadline();
        let response = self.post(uri, body, true, deadline).await?;
        Ok(self.guard(response, deadline))
    }

    /// The body of `response`, piece by piece, guarded by the idle timeout and by `deadline`.
    pub(crate) fn guard(&self, response: Response<Incoming>, deadline: Instant) -> GuardedBody {
        GuardedBody::new(
            response.into_body(),
            self.failures.clone(),
            self.idle_timeout,
            deadline,
            self.total_timeout,
        )
    }

    /// The whole body of `response`, without a copy where it arrives in one piece. `limit` is the wait that ends at
    /// `deadline`.
    pub(crate) async fn whole(
        &self,
        response: Response<Incoming>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Bytes, ModelError> {
        timeout_at(deadline, read_up_to(response, MAX_WHOLE_BYTES))
            .await
            .map_err(|_| self.failures.timeout(limit))?
            .map_err(|unread| match unread {
                Unread::TooLong => self.failures.malformed("the answer is too large"),
                Unread::BrokeOff => self.failures.broke_off(),
            })
    }

    /// Fetches a small JSON document until `until`.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        uri: &Uri,
        until: Instant,
    ) -> Result<T, ModelError> {
        let request = self.request(Method::GET, uri, Bytes::new());
        self.fetch_json(request, until).await
    }

    /// Posts JSON and reads a small JSON document until `until`.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        uri: &Uri,
        body: &impl Serialize,
        until: Instant,
    ) -> Result<T, ModelError> {
        let request = self.request(Method::POST, uri, self.encode(body)?);
        self.fetch_json(request, until).await
    }

    /// Posts JSON and reads the whole answer within `limit`.
    pub(crate) async fn post_within(
        &self,
        uri: &Uri,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, ModelError> {
        let request = self.request(Method::POST, uri, body);
        self.fetch(request, after(limit), limit).await
    }

    async fn fetch_json<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        until: Instant,
    ) -> Result<T, ModelError> {
        let bytes = self.fetch(request, until, self.connect_timeout).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.failures.undecodable(&error))
    }

    /// The whole answer. `limit` is the wait that ends at `until`.
    async fn fetch(
        &self,
        request: Request<Full<Bytes>>,
        until: Instant,
        limit: Duration,
    ) -> Result<Bytes, ModelError> {
        let response = self.send(request, until, limit).await?;
        self.whole(response, until, limit).await
    }

    pub(crate) fn encode(&self, body: &impl Serialize) -> Result<Bytes, ModelError> {
        serde_json::to_vec(body).map(Bytes::from).map_err(|_| {
            self.failures
                .malformed("the request cannot be written as JSON")
        })
    }

    fn request(&self, method: Method, uri: &Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        request.headers_mut().clone_from(&self.headers);
        request
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        until: Instant,
        limit: Duration,
    ) -> Result<Response<Incoming>, ModelError> {
        let response = timeout_at(until, self.clients.get().request(request))
            .await
            .map_err(|_| self.failures.timeout(limit))?
            .map_err(|error| self.failures.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let until = after(ERROR_BODY_TIMEOUT).min(until);
        let body = timeout_at(until, read_up_to(response, MAX_ERROR_BYTES)).await;
        // An error body that is missing, slow or too long says nothing; the status still does.
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        Err(self.failures.refusal(status, &headers, &body))
    }
}

/// Now and `wait`, or a time that never comes where that cannot be expressed.
pub(crate) fn after(wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_hours(24 * 365 * 30);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + NEVER)
}

/// Why a body was not read.
enum Unread {
    TooLong,
    BrokeOff,
}

/// All of the body, without a copy where it arrives in one piece.
async fn read_up_to(response: Response<Incoming>, limit: usize) -> Result<Bytes, Unread> {
    let body = Limited::new(response.into_body(), limit).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Unread::TooLong
        } else {
            Unread::BrokeOff
        }
    })?;
    Ok(body.to_bytes())
}

/// The same address, as requests name it.
pub(crate) fn uri(url: &Url) -> Option<Uri> {
    url.as_str().parse().ok()
}

fn wrong_base_url(config: &ProviderConfig) -> ProviderConfigError {
    ProviderConfigError::BaseUrl {
        name: config.name.clone(),
    }
}

fn checked_base_url(config: &ProviderConfig) -> Result<Url, ProviderConfigError> {
    let wrong = || wrong_base_url(config);
    let url = Url::parse(config.base_url.trim()).map_err(|_| wrong())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ProviderConfigError::CredentialsInUrl {
            name: config.name.clone(),
        });
    }
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none();
    if usable { Ok(url) } else { Err(wrong()) }
}

fn key_header_of(header: &KeyHeader, key: &ProviderKey) -> Option<(HeaderName, HeaderValue)> {
    if key.expose().is_empty() {
        return None;
    }
    let (name, value) = match header {
        KeyHeader::Bearer => (
            AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {}", key.expose())),
        ),
        KeyHeader::Named(name) => (
            HeaderName::from_static(name),
            HeaderValue::from_str(key.expose()),
        ),
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}
