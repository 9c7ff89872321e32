//! `majordomo chat`.

use std::pin::pin;

use clap::Args;
use futures_util::StreamExt as _;
use majordomo_application::ports::IdGenerator as _;
use majordomo_infrastructure_system::RandomIds;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::context::{CliError, Context};
use super::output::{Output, field, printable};
use super::sessions::percent_encode;
use super::sse;
use crate::client::{Client, ClientError};
use crate::startup::StartError;

/// What is asked.
#[derive(Args)]
pub(super) struct ChatArgs {
    /// What to say; `/help` lists commands
    text: String,
    /// Go on in this session, or begin it under this id
    #[arg(long, short, value_name = "ID")]
    session: Option<String>,
    /// Ask this model instead of the configured one
    #[arg(long, short, value_name = "PROVIDER/MODEL")]
    model: Option<String>,
}

/// Says it and prints the answer. The first SIGINT stops the answer, wherever it is written; a second one waits for nothing.
pub(super) async fn run(context: Context, args: ChatArgs, output: &Output) -> Result<(), CliError> {
    let interrupts = || signal(SignalKind::interrupt()).map_err(CliError::Runtime);
    let (mut interrupt, mut again) = (interrupts()?, interrupts()?);
    // Named here, so that it can be stopped before the server has said anything.
    let ids = RandomIds::new().map_err(StartError::from)?;
    let session = args.session.clone();
    let session = session.unwrap_or_else(|| ids.session_id().to_string());
    let work = context.with_server(async |client| {
        tokio::select! {
            result = converse(&client, &session, &args, output) => result,
            _ = interrupt.recv() => {
                stop(&client, &session).await;
                Err(CliError::Interrupted)
            }
        }
    });
    tokio::select! {
        result = work => result,
        () = async { again.recv().await; again.recv().await; } => Err(CliError::Interrupted),
    }
}

/// Stops what runs in the session. Where nothing does, or the server is gone, there is nothing to stop.
async fn stop(client: &Client, session: &str) {
    let path = format!("/api/v1/chat/stop?session_id={}", percent_encode(session));
    let _ = client.json(Method::POST, &path, None).await;
}

async fn converse(
    client: &Client,
    session: &str,
    args: &ChatArgs,
    output: &Output,
) -> Result<(), CliError> {
    let body = json!({ "message": args.text, "conversation_id": session, "model": args.model });
    let response = client
        .send(Method::POST, "/v1/chat/stream", Some(&body))
        .await?;
    let mut events = pin!(sse::events(response));
    let mut text = String::new();
    while let Some(event) = events.next().await {
        let event = event?;
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        match event.name.as_str() {
            "message" => {
                let delta = field(&data, "delta");
                text.push_str(delta);
                if !output.is_json() {
                    output.text(&printable(delta))?;
                }
            }
            "error" => {
                if !text.is_empty() && !output.is_json() {
                    output.text("\n")?;
                }
                return Err(CliError::Other(field(&data, "message").to_owned()));
            }
            "done" => return finish(&text, &data, args, output),
            _ => {}
        }
    }
    Err(CliError::Client(ClientError::Answer(
        "the answer broke off".to_owned(),
    )))
}

fn finish(text: &str, done: &Value, args: &ChatArgs, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        let mut answer = done.clone();
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("content".to_owned(), json!(text));
        }
        return output.data(&answer, |_| String::new());
    }
    output.text("\n")?;
    let session = field(done, "conversation_id");
    if !session.is_empty() && args.session.as_deref() != Some(session) {
        output.note(&format!(
            "(go on with: majordomo chat --session {session} \"...\")"
        ));
    }
    Ok(())
}
