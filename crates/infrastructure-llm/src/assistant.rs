//! The built-in assistant: what answers when no model is configured. It is no language model and says so; it knows the
//! time, a little arithmetic, and how to configure a model. It uses no network.

mod arithmetic;
mod reply;
mod time_zone;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use majordomo_application::ports::{
    ChatModel, Clock, FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelInfo,
    ModelMessage, ModelRequest, ModelStream, ResponseFormat,
};
use majordomo_domain::Usage;

/// Answers without a model.
pub struct BuiltinAssistant {
    clock: Arc<dyn Clock>,
}

impl BuiltinAssistant {
    /// The provider's name: the assistant is `builtin/assistant`.
    pub const PROVIDER: &'static str = "builtin";
    /// The model's name at this provider.
    pub const MODEL: &'static str = "assistant";

    /// An assistant that tells the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn answer(&self, messages: &[ModelMessage]) -> String {
        match messages.last() {
            Some(ModelMessage::Tool { content, .. }) => content.clone(),
            Some(ModelMessage::User { text, images }) if text.trim().is_empty() => {
                if images.is_empty() {
                    reply::greeting()
                } else {
                    reply::cannot_see()
                }
            }
            Some(ModelMessage::User { text, .. }) => reply::reply(text, self.clock.now()),
            _ => reply::greeting(),
        }
    }
}

fn refused(what: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Invalid, format!("builtin: {what}"))
}

#[async_trait]
impl ChatModel for BuiltinAssistant {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        if request.model != Self::MODEL {
            return Err(refused("the only model is `assistant`"));
        }
        if request.response_format != ResponseFormat::Text {
            return Err(refused("the built-in assistant writes plain text only"));
        }
        let mut answer = self.answer(&request.messages);
        let stops = request.stop.iter().filter(|stop| !stop.is_empty());
        if let Some(end) = stops.filter_map(|stop| answer.find(stop)).min() {
            answer.truncate(end);
        }
        // A word stands for a token.
        let limit = request
            .max_tokens
            .map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let mut words = answer.split_inclusive(char::is_whitespace);
        let mut deltas: Vec<ModelDelta> = words
            .by_ref()
            .take(limit)
            .map(|word| ModelDelta::Text(word.to_owned()))
            .collect();
        deltas.push(ModelDelta::Usage(Usage::default()));
        deltas.push(ModelDelta::Finish(if words.next().is_some() {
            FinishReason::Length
        } else {
            FinishReason::Stop
        }));
        Ok(stream::iter(deltas).map(Ok).boxed())
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        Ok(vec![ModelInfo {
            id: Self::MODEL.to_owned(),
            ..ModelInfo::default()
        }])
    }
}
