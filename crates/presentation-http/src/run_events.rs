//! A run's events as a stream of frames, and the place in them that a client wants to go on from.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt as _, stream};
use majordomo_application::runs::RunStream;
use majordomo_domain::{Run, RunEvent, RunId};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::core::Core;
use crate::error::{ApiError, ErrorClass, FieldIssue, Location};
use crate::openapi::collector::{Fragment, record_parameter};
use crate::session_id::ID_PATTERN;
use crate::sse::{EventId, Frame};

/// A place in a run's events. Clients write it `<run>.<after>`, the id of the last frame they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPosition {
    /// The run.
    pub run: RunId,
    /// The last event the client has; 0 for none.
    pub after: u64,
}

impl RunPosition {
    /// Reads `<run>.<after>`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (run, after) = text.trim().rsplit_once('.')?;
        Some(Self {
            run: RunId::parse(run).ok()?,
            after: after.parse().ok()?,
        })
    }
}

/// Where a stream is to go on: `Last-Event-ID: <run>.<after>`, which browsers send by themselves when they reconnect, or
/// `run` and `after` in the query. An extractor; `None` when the client names no place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResumeFrom(pub Option<RunPosition>);

/// The header of a reconnecting `EventSource`.
const LAST_EVENT_ID: &str = "Last-Event-ID";

impl ResumeFrom {
    /// Reads the place from the request; the header goes first.
    ///
    /// # Errors
    /// A place that is named and cannot be read: a client that resumes must not say its message twice.
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let header = request
            .headers()
            .get(LAST_EVENT_ID)
            .filter(|value| !value.is_empty());
        let Some(header) = header else {
            return in_query(request.query_string()).map(Self);
        };
        let position = header.to_str().ok().and_then(RunPosition::parse);
        position
            .map(|position| Self(Some(position)))
            .ok_or_else(|| unreadable(Location::Header, LAST_EVENT_ID, "names no place in a run"))
    }
}

fn unreadable(location: Location, field: &str, error: &str) -> ApiError {
    let issue = FieldIssue::new(location, field, "invalid_value", error);
    ApiError::invalid(ErrorClass::Invalid, vec![issue])
}

fn in_query(query: &str) -> Result<Option<RunPosition>, ApiError> {
    if query.is_empty() {
        return Ok(None);
    }
    let value = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value)
    };
    let after = match value("after") {
        None => 0,
        Some(after) => after
            .trim()
            .parse::<i64>()
            .ok()
            .and_then(|after| u64::try_from(after).ok())
            .ok_or_else(|| unreadable(Location::Query, "after", "is not the number of an event"))?,
    };
    let Some(run) = value("run") else {
        return Ok(None);
    };
    let run = RunId::parse(run.trim())
        .map_err(|error| unreadable(Location::Query, "run", &error.to_string()))?;
    Ok(Some(RunPosition { run, after }))
}

impl FromRequest for ResumeFrom {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl Apiv2Schema for ResumeFrom {}

impl OperationModifier for ResumeFrom {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |_| parameters(false));
    }
}

/// As [`ResumeFrom`] where the client must name a place. The document asks for `run`, which an `EventSource` keeps in its
/// address when it reconnects; the header alone is enough, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeAt(pub RunPosition);

impl FromRequest for ResumeAt {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(ResumeFrom::of(request).and_then(|from| {
            let missing = FieldIssue::new(Location::Query, "run", "missing", "is required");
            from.0
                .map(Self)
                .ok_or_else(|| ApiError::invalid(ErrorClass::Invalid, vec![missing]))
        }))
    }
}

impl Apiv2Schema for ResumeAt {}

impl OperationModifier for ResumeAt {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |_| parameters(true));
    }
}

/// The parameters that name a place.
fn parameters(required: bool) -> Fragment {
    let parameter = |place: &str, name: &str, required: bool, about: &str, schema: Value| json!({ "in": place, "name": name, "required": required, "description": about, "schema": schema });
    let run = json!({ "type": "string", "pattern": ID_PATTERN });
    let place =
        json!({ "type": "string", "pattern": r"^([A-Za-z0-9._:@-]{1,128}\.[0-9]{1,18})?$" });
    let after = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    Fragment::Parameters(vec![
        parameter(
            "header",
            LAST_EVENT_ID,
            false,
            "The id of the last event received; the stream of its run goes on after it.",
            place,
        ),
        parameter(
            "query",
            "run",
            required,
            "The run to go on with, for clients that cannot set headers.",
            run,
        ),
        parameter(
            "query",
            "after",
            false,
            "The number of the last event received; 0 for all.",
            after,
        ),
    ])
}

/// The frames of a turn just accepted. Its events are in memory, so they are read right where the request is served.
/// `render` is a pure function: what it makes of an event is the same in every replay. The frames get the event's id.
pub fn live_frames<R, F>(events: RunStream, render: R) -> impl Stream<Item = Frame>
where
    R: FnMut(&Run, &RunEvent) -> F + 'static,
    F: IntoIterator<Item = Frame> + 'static,
    F::IntoIter: 'static,
{
    let run = events.run().clone();
    let until_failure = events.into_stream().scan((), |(), event| {
        let event = event.inspect_err(|error| {
            tracing::warn!(cause = %error, "a stream ends early");
        });
        ready(event.ok())
    });
    frames(run, until_failure, render)
}

/// As [`live_frames`] for a run that may have begun, or ended, before: what is stored is read on the core.
pub fn replayed_frames<R, F>(
    core: &Core,
    events: RunStream,
    render: R,
) -> impl Stream<Item = Frame> + use<R, F>
where
    R: FnMut(&Run, &RunEvent) -> F + 'static,
    F: IntoIterator<Item = Frame> + 'static,
    F::IntoIter: 'static,
{
    let run = events.run().clone();
    let batches = stream::unfold(batches(core, events), |mut receiver| async move {
        let batch = receiver.recv().await?;
        Some((batch, receiver))
    });
    frames(run, batches.flat_map(stream::iter), render)
}

/// The events of a run as they come, read on the core. One batch is read ahead: a reader that is slow costs no more, and
/// dropping the receiver ends the reading. The channel closes after the last event, or early when the events cannot be
/// read.
pub fn batches(core: &Core, mut events: RunStream) -> mpsc::Receiver<Vec<Arc<RunEvent>>> {
    let (sender, receiver) = mpsc::channel::<Vec<Arc<RunEvent>>>(1);
    core.spawn(async move {
        loop {
            let batch = tokio::select! {
                batch = events.next_batch() => batch,
                () = sender.closed() => return,
            };
            match batch {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => {
                    if sender.send(batch).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(cause = %error, "a stream ends early");
                    return;
                }
            }
        }
    });
    receiver
}

fn frames<R, F>(
    run: Run,
    events: impl Stream<Item = Arc<RunEvent>>,
    mut render: R,
) -> impl Stream<Item = Frame>
where
    R: FnMut(&Run, &RunEvent) -> F + 'static,
    F: IntoIterator<Item = Frame> + 'static,
{
    let name: Arc<str> = run.id.as_str().into();
    events.flat_map(move |event| {
        let id = EventId::of_run(Arc::clone(&name), event.seq);
        let frames: Vec<Frame> = render(&run, &event)
            .into_iter()
            .map(|frame| Frame {
                id: Some(id.clone()),
                ..frame
            })
            .collect();
        stream::iter(frames)
    })
}
