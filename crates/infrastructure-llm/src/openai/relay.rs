//! Passes chat-completions requests on without reading them.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use majordomo_application::ports::{CompletionRelay, ModelError, RelayBody, RelayResponse};

use super::OpenAiChatModel;
use super::request::is_reasoning_model;

#[async_trait]
impl CompletionRelay for OpenAiChatModel {
    async fn relay(&self, body: Bytes, stream: bool) -> Result<RelayResponse, ModelError> {
        let deadline = self.http.deadline();
        let response = self
            .http
            .post(&self.completions, body, stream, deadline)
            .await?;
        let content_type = content_type(&response, stream);
        let body = if stream {
            RelayBody::Stream(self.http.guard(response, deadline).boxed())
        } else {
            let limit = self.http.total_timeout();
            RelayBody::Whole(self.http.whole(response, deadline, limit).await?)
        };
        Ok(RelayResponse { content_type, body })
    }

    fn output_limit_name(&self, model: &str) -> &'static str {
        if is_reasoning_model(model) {
            "max_completion_tokens"
        } else {
            "max_tokens"
        }
    }
}

fn content_type(response: &Response<Incoming>, stream: bool) -> String {
    let told = response.headers().get(CONTENT_TYPE);
    let default = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    told.and_then(|value| value.to_str().ok())
        .unwrap_or(default)
        .to_owned()
}
