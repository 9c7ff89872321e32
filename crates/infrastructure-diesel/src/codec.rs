//! The JSON that columns hold: batches of run events, run options, images. The domain's types know no JSON, so each
//! has its stored form here.

use majordomo_domain::{
    Hop, Image, ImageSource, MemoryId, MessageId, Outcome, RunEvent, RunEventKind, RunOptions,
    RunStatus, Timestamp, ToolCall, ToolOutput, Usage,
};
use serde::{Deserialize, Serialize};

/// One event of a batch: `[microseconds, kind]`. Its position is its place in the batch.
#[derive(Serialize, Deserialize)]
struct StoredEvent(i64, StoredKind);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKind {
    Started,
    Hop {
        model: String,
        code: String,
        message: String,
    },
    Recalled(Vec<String>),
    Text(String),
    Reasoning(String),
    ToolCalled {
        id: String,
        name: String,
        arguments: String,
    },
    ToolReturned {
        call_id: String,
        name: String,
        content: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    Finished {
        status: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Input, output and cached input tokens.
        usage: (u64, u64, u64),
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Encodes a batch of events without their positions.
pub(super) fn encode_events(events: &[RunEvent]) -> serde_json::Result<String> {
    let stored: Vec<StoredEvent> = events
        .iter()
        .map(|event| StoredEvent(event.at.as_micros(), StoredKind::from(&event.kind)))
        .collect();
    serde_json::to_string(&stored)
}

/// Decodes a batch whose first event has the position `first_seq`; `None` when it is no such batch.
pub(super) fn decode_events(first_seq: u64, payload: &str) -> Option<Vec<RunEvent>> {
    let stored: Vec<StoredEvent> = serde_json::from_str(payload).ok()?;
    (first_seq..)
        .zip(stored)
        .map(|(seq, StoredEvent(at, kind))| {
            Some(RunEvent {
                seq,
                at: Timestamp::from_micros(at),
                kind: kind.into_domain()?,
            })
        })
        .collect()
}

impl From<&RunEventKind> for StoredKind {
    fn from(kind: &RunEventKind) -> Self {
        match kind.clone() {
            RunEventKind::Started => Self::Started,
            RunEventKind::Hop(Hop {
                model,
                code,
                message,
            }) => Self::Hop {
                model,
                code,
                message,
            },
            RunEventKind::Recalled(ids) => {
                Self::Recalled(ids.into_iter().map(MemoryId::into_string).collect())
            }
            RunEventKind::Text(text) => Self::Text(text),
            RunEventKind::Reasoning(text) => Self::Reasoning(text),
            RunEventKind::ToolCalled(ToolCall {
                id,
                name,
                arguments,
            }) => Self::ToolCalled {
                id,
                name,
                arguments,
            },
            RunEventKind::ToolReturned(ToolOutput {
                call_id,
                name,
                content,
                is_error,
            }) => Self::ToolReturned {
                call_id,
                name,
                content,
                is_error,
            },
            RunEventKind::Finished(outcome) => Self::Finished {
                status: outcome.status.as_str().to_owned(),
                message: outcome.message.map(MessageId::into_string),
                model: outcome.model,
                usage: (
                    outcome.usage.input_tokens,
                    outcome.usage.output_tokens,
                    outcome.usage.cached_input_tokens,
                ),
                reason: outcome.reason,
                error: outcome.error,
            },
        }
    }
}

impl StoredKind {
    fn into_domain(self) -> Option<RunEventKind> {
        Some(match self {
            Self::Started => RunEventKind::Started,
            Self::Hop {
                model,
                code,
                message,
            } => RunEventKind::Hop(Hop {
                model,
                code,
                message,
            }),
            Self::Recalled(ids) => {
                let ids: Result<_, _> = ids.into_iter().map(MemoryId::parse).collect();
                RunEventKind::Recalled(ids.ok()?)
            }
            Self::Text(text) => RunEventKind::Text(text),
            Self::Reasoning(text) => RunEventKind::Reasoning(text),
            Self::ToolCalled {
                id,
                name,
                arguments,
            } => RunEventKind::ToolCalled(ToolCall {
                id,
                name,
                arguments,
            }),
            Self::ToolReturned {
                call_id,
                name,
                content,
                is_error,
            } => RunEventKind::ToolReturned(ToolOutput {
                call_id,
                name,
                content,
                is_error,
            }),
            Self::Finished {
                status,
                message,
                model,
                usage: (input_tokens, output_tokens, cached_input_tokens),
                reason,
                error,
            } => RunEventKind::Finished(Outcome {
                status: RunStatus::parse(&status)?,
                message: message.map(MessageId::parse).transpose().ok()?,
                model,
                usage: Usage {
                    input_tokens,
                    output_tokens,
                    cached_input_tokens,
                },
                reason,
                error,
            }),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
}

/// Encodes options; `None` when nothing was asked for, as in most runs.
pub(super) fn encode_options(options: &RunOptions) -> serde_json::Result<Option<String>> {
    if *options == RunOptions::default() {
        return Ok(None);
    }
    let stored = StoredOptions {
        model: options.model.clone(),
        system_prompt: options.system_prompt.clone(),
        temperature: options.temperature,
        max_tokens: options.max_tokens,
    };
    serde_json::to_string(&stored).map(Some)
}

/// The inverse of [`encode_options`].
pub(super) fn decode_options(stored: Option<&str>) -> serde_json::Result<RunOptions> {
    let Some(stored) = stored else {
        return Ok(RunOptions::default());
    };
    let stored: StoredOptions = serde_json::from_str(stored)?;
    Ok(RunOptions {
        model: stored.model,
        system_prompt: stored.system_prompt,
        temperature: stored.temperature,
        max_tokens: stored.max_tokens,
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredImage {
    Url(String),
    Base64 { media_type: String, data: String },
}

/// Encodes a message's pictures; `None` when it has none.
pub(super) fn encode_images(images: &[Image]) -> serde_json::Result<Option<String>> {
    if images.is_empty() {
        return Ok(None);
    }
    let stored: Vec<StoredImage> = images
        .iter()
        .map(|image| match image.source.clone() {
            ImageSource::Url(url) => StoredImage::Url(url),
            ImageSource::Base64 { media_type, data } => StoredImage::Base64 { media_type, data },
        })
        .collect();
    serde_json::to_string(&stored).map(Some)
}

/// The inverse of [`encode_images`].
pub(super) fn decode_images(stored: Option<&str>) -> serde_json::Result<Vec<Image>> {
    let Some(stored) = stored else {
        return Ok(Vec::new());
    };
    let stored: Vec<StoredImage> = serde_json::from_str(stored)?;
    let images = stored.into_iter().map(|image| Image {
        source: match image {
            StoredImage::Url(url) => ImageSource::Url(url),
            StoredImage::Base64 { media_type, data } => ImageSource::Base64 { media_type, data },
        },
    });
    Ok(images.collect())
}
