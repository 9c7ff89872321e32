//! The HTTP client of one provider: pooled connections without Nagle's algorithm, no redirects, a timeout on every wait,
//! typed errors. Keys travel in headers marked as sensitive and never in addresses.

mod clients;
mod guarded_body;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use majordomo_application::ports::ModelError;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::config::{ProviderConfig, ProviderConfigError, ProviderKey};
use crate::failure::Failures;
use clients::{Clients, Recipe};

pub(crate) use guarded_body::GuardedBody;

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
    base_url: String,
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
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &config.api_key {
            let (name, value) =
                key_header_of(key_header, key).ok_or_else(|| ProviderConfigError::ApiKey {
                    name: config.name.clone(),
                })?;
            headers.insert(name, value);
        }
        let recipe = Recipe {
            tls: tls::client_config(config, base_url.scheme() == "https")?,
            connect_timeout: config.connect_timeout,
            // A proxy of the environment (HTTPS_PROXY ...) is used, but not to reach this very machine.
            direct: is_loopback(&base_url),
        };
        let clients = Clients::new(recipe).map_err(|_| ProviderConfigError::Client {
            name: config.name.clone(),
        })?;
        Ok(Self {
            clients,
            base_url: base_url.as_str().trim_end_matches('/').to_owned(),
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

    /// The address of `path` (without a leading slash) at this provider.
    pub(crate) fn url(&self, path: &str) -> Option<Url> {
        Url::parse(&format!("{}/{path}", self.base_url)).ok()
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
        url: &Url,
        body: Bytes,
        awaiting_stream: bool,
        deadline: Instant,
    ) -> Result<Response, ModelError> {
        let (until, limit) = if awaiting_stream && self.idle_timeout < self.total_timeout {
            (after(self.idle_timeout), self.idle_timeout)
        } else {
            (deadline, self.total_timeout)
        };
        let mut request = Request::new(Method::POST, url.clone());
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = Some(body.into());
        self.send(request, until, limit).await
    }

    /// Posts a request whose answer is a stream and returns the guarded body.
    pub(crate) async fn post_for_stream(
        &self,
        url: &Url,
        body: &impl Serialize,
    ) -> Result<GuardedBody, ModelError> {
        let body = self.encode(body)?;
        let deadline = self.deadline();
        let response = self.post(url, body, true, deadline).await?;
        Ok(self.guard(response, deadline))
    }

    /// The body of `response`, piece by piece, guarded by the idle timeout and by `deadline`.
    pub(crate) fn guard(&self, response: Response, deadline: Instant) -> GuardedBody {
        GuardedBody::new(
            response,
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
        response: Response,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Bytes, ModelError> {
        timeout_at(deadline, read_up_to(response, MAX_WHOLE_BYTES))
            .await
            .map_err(|_| self.failures.timeout(limit))?
            .map_err(|_| self.failures.broke_off())?
            .ok_or_else(|| self.failures.malformed("the answer is too large"))
    }

    /// Fetches a small JSON document until `until`.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        until: Instant,
    ) -> Result<T, ModelError> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().clone_from(&self.headers);
        self.fetch_json(request, until).await
    }

    /// Posts JSON and reads a small JSON document until `until`.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        body: &impl Serialize,
        until: Instant,
    ) -> Result<T, ModelError> {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = Some(self.encode(body)?.into());
        self.fetch_json(request, until).await
    }

    /// Posts JSON and reads the whole answer within `limit`.
    pub(crate) async fn post_within(
        &self,
        url: &Url,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, ModelError> {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = Some(body.into());
        self.fetch(request, after(limit), limit).await
    }

    async fn fetch_json<T: DeserializeOwned>(
        &self,
        request: Request,
        until: Instant,
    ) -> Result<T, ModelError> {
        let bytes = self.fetch(request, until, self.connect_timeout).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.failures.undecodable(&error))
    }

    /// The whole answer. `limit` is the wait that ends at `until`.
    async fn fetch(
        &self,
        request: Request,
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

    async fn send(
        &self,
        request: Request,
        until: Instant,
        limit: Duration,
    ) -> Result<Response, ModelError> {
        let response = timeout_at(until, self.clients.get().execute(request))
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
        let body = body.ok().and_then(Result::ok).flatten().unwrap_or_default();
        Err(self.failures.refusal(status, &headers, &body))
    }
}

/// Now and `wait`, or a time that never comes where that cannot be expressed.
pub(crate) fn after(wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_hours(24 * 365 * 30);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + NEVER)
}

/// All of the body, or `None` when it is longer than `limit`.
async fn read_up_to(mut response: Response, limit: usize) -> reqwest::Result<Option<Bytes>> {
    let Some(first) = response.chunk().await? else {
        return Ok(Some(Bytes::new()));
    };
    let Some(second) = response.chunk().await? else {
        return Ok((first.len() <= limit).then_some(first));
    };
    let mut whole = BytesMut::with_capacity((first.len() + second.len()).min(limit));
    let mut next = Some(second);
    whole.extend_from_slice(&first);
    while let Some(piece) = next {
        if whole.len() + piece.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&piece);
        next = response.chunk().await?;
    }
    Ok(Some(whole.freeze()))
}

fn checked_base_url(config: &ProviderConfig) -> Result<Url, ProviderConfigError> {
    let wrong = || ProviderConfigError::BaseUrl {
        name: config.name.clone(),
    };
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
