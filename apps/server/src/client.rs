//! A client of a running Majordomo: what every subcommand that needs the server talks through.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

/// Longest wait for a connection to a server on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before a refused request is sent again, and how often it is sent.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_mins(1);
const ATTEMPTS: u32 = 20;
/// Longest wait for an answer that is no stream.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// Why the server gave no answer of use.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// It does not answer.
    #[error("the server at {base} does not answer: {source}")]
    Unreachable {
        base: String,
        #[source]
        source: reqwest::Error,
    },
    /// It refuses.
    #[error("{message}")]
    Refused {
        status: StatusCode,
        message: String,
        /// When it may be asked again, where it says so.
        retry_after: Option<Duration>,
    },
    /// It answers in a way this program does not understand.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
}

/// A server's address and a credential for it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// A client that shows `token`.
    pub(crate) fn new(base: String, token: String) -> Result<Self, ClientError> {
        // The client wants a TLS provider even for plain HTTP; that one is installed already is no failure.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build();
        let http = http.map_err(|source| ClientError::Unreachable {
            base: base.clone(),
            source,
        })?;
        Ok(Self { http, base, token })
    }

    /// The server's address: `http://127.0.0.1:8888`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request; any status but success is an error with the server's own words.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, ClientError> {
        let mut request: RequestBuilder = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .map_err(|source| ClientError::Unreachable {
                base: self.base.clone(),
                source: source.without_url(),
            })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response).await)
        }
    }

    /// Sends a request and reads the JSON it is answered with.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            response
                .json()
                .await
                .map_err(|error| ClientError::Answer(error.without_url().to_string()))
        };
        tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| Err(ClientError::Answer("no answer in time".to_owned())))
    }

    /// As [`json`](Self::json), for one of many requests: see [`send_in_turn`](Self::send_in_turn).
    pub(crate) async fn json_in_turn(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let response = self.send_in_turn(method, path, body).await?;
        let answer = response.json();
        tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .map_err(|_| ClientError::Answer("no answer in time".to_owned()))?
            .map_err(|error| ClientError::Answer(error.without_url().to_string()))
    }

    /// As [`send`](Self::send), for one of many requests: where the server wants them slower, this one is sent again when
    /// the server allows it.
    pub(crate) async fn send_in_turn(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, ClientError> {
        let mut attempt = 1;
        loop {
            let response = self.send(method.clone(), path, body);
            let response = tokio::time::timeout(ANSWER_TIMEOUT, response)
                .await
                .unwrap_or_else(|_| Err(ClientError::Answer("no answer in time".to_owned())));
            match response {
                Err(ClientError::Refused {
                    status: StatusCode::TOO_MANY_REQUESTS,
                    retry_after,
                    ..
                }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    let pause = retry_after.unwrap_or_default();
                    tokio::time::sleep(pause.clamp(MIN_PAUSE, MAX_PAUSE)).await;
                }
                response => return response,
            }
        }
    }
}

/// The words of an error in any of the dialects.
async fn refusal(response: Response) -> ClientError {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let body = response.json::<Value>().await.unwrap_or_default();
    ClientError::Refused {
        status,
        message: words(&body).unwrap_or_else(|| format!("the server answered {status}")),
        retry_after,
    }
}

/// What an error body says: which fields are wrong and why, where it tells, else its message.
fn words(body: &Value) -> Option<String> {
    let places = ["/detail", "/error/message", "/error"];
    let message = || {
        places
            .iter()
            .find_map(|place| body.pointer(place)?.as_str())
    };
    wrong_fields(body).or_else(|| message().map(str::to_owned))
}

/// The fields of PiSovereign's `error.details.fields` or PocketPaw's `detail`: `name: must not be empty; ...`.
fn wrong_fields(body: &Value) -> Option<String> {
    let fields = body.pointer("/error/details/fields");
    let fields = fields.or_else(|| body.get("detail"))?.as_array()?;
    let told = fields.iter().filter_map(|field| {
        let name = field
            .get("field")
            .or_else(|| field.get("loc")?.as_array()?.last());
        let reason = field.get("error").or_else(|| field.get("msg"))?.as_str()?;
        Some(match name.and_then(Value::as_str) {
            Some(name) => format!("{name}: {reason}"),
            None => reason.to_owned(),
        })
    });
    let told = told.collect::<Vec<_>>().join("; ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_every_dialect_are_put_into_words() {
        for (body, expected) in [
            (
                json!({ "detail": "Session not found" }),
                Some("Session not found"),
            ),
            (json!({ "error": "gone" }), Some("gone")),
            (
                json!({ "error": { "message": "Slow down" } }),
                Some("Slow down"),
            ),
            (
                json!({ "detail": [{ "loc": ["body", "name"], "msg": "is too short" }, { "msg": "is wrong" }] }),
                Some("name: is too short; is wrong"),
            ),
            (
                json!({ "error": {
                    "message": "Request validation failed",
                    "details": { "fields": [{ "field": "model", "error": "does not exist" }] },
                } }),
                Some("model: does not exist"),
            ),
            (
                json!({ "error": { "message": "Slow down", "details": { "fields": [] } } }),
                Some("Slow down"),
            ),
            (json!("<html>"), None),
        ] {
            assert_eq!(words(&body).as_deref(), expected, "{body}");
        }
    }
}
