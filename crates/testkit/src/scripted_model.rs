//! A model that says what the test wrote down.
//!
//! Each call of [`ChatModel::stream`] takes the next [`Script`]. A script is a list of steps: deltas, pauses, gates that the
//! test opens, an error, or silence for ever. The model records what it was asked and how its answers were taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use majordomo_application::ports::{
    ChatModel, FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelInfo, ModelRequest,
    ModelStream,
};
use majordomo_domain::Usage;
use tokio::sync::{Notify, watch};

/// Something the model waits for. Clones are the same gate; once open it stays open.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        // Never fails: `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// One step of an answer.
#[derive(Debug, Clone)]
enum Step {
    Refuse(ModelError),
    Delta(ModelDelta),
    Fail(ModelError),
    Pause(Duration),
    Wait(Gate),
    Hang,
}

/// What the model does when it is asked once.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Step>);

impl Script {
    /// A script without steps: an answer that ends at once, without `Finish`, as no real adapter may.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole answer: `text` in one piece, its usage, `Finish(Stop)`.
    pub fn answer(text: &str) -> Self {
        Self::new().text(text).finish()
    }

    /// A whole answer in these pieces.
    pub fn pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let script = pieces.into_iter().fold(Self::new(), Self::text);
        script.finish()
    }

    /// A whole answer that asks for one tool.
    pub fn tool_call(id: &str, name: &str, arguments: &str) -> Self {
        Self::tool_calls([(id, name, arguments)])
    }

    /// A whole answer that asks for tools, each an id, a name and JSON arguments.
    pub fn tool_calls<'a>(calls: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let mut script = Self::new();
        for (index, (id, name, arguments)) in calls.into_iter().enumerate() {
            script = script
                .delta(ModelDelta::ToolCallStarted {
                    index,
                    id: id.to_owned(),
                    name: name.to_owned(),
                })
                .delta(ModelDelta::ToolCallArguments {
                    index,
                    fragment: arguments.to_owned(),
                });
        }
        script.finish_with(FinishReason::ToolCalls)
    }

    /// An error before the first byte of an answer.
    pub fn refusal(error: ModelError) -> Self {
        Self(vec![Step::Refuse(error)])
    }

    /// Then a piece of text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.delta(ModelDelta::Text(text.to_owned()))
    }

    /// Then a piece of reasoning.
    #[must_use]
    pub fn reasoning(self, text: &str) -> Self {
        self.delta(ModelDelta::Reasoning(text.to_owned()))
    }

    /// Then this delta.
    #[must_use]
    pub fn delta(self, delta: ModelDelta) -> Self {
        self.then(Step::Delta(delta))
    }

    /// Then a pause (on tokio's clock, which a test may stop).
    #[must_use]
    pub fn pause(self, duration: Duration) -> Self {
        self.then(Step::Pause(duration))
    }

    /// Then a wait until the gate is open. As the first step it holds back the answer's first byte.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Then silence until the stream is dropped.
    #[must_use]
    pub fn hang(self) -> Self {
        self.then(Step::Hang)
    }

    /// Then an error, after which the stream ends.
    #[must_use]
    pub fn fail(self, error: ModelError) -> Self {
        self.then(Step::Fail(error))
    }

    /// Then usage (10 tokens in, 5 out) and `Finish(Stop)`.
    #[must_use]
    pub fn finish(self) -> Self {
        self.finish_with(FinishReason::Stop)
    }

    /// Then usage (10 tokens in, 5 out) and this finish.
    #[must_use]
    pub fn finish_with(self, reason: FinishReason) -> Self {
        let usage = Usage {
            input_tokens: 10,
            output_tokens: 5,
            cached_input_tokens: 0,
        };
        self.delta(ModelDelta::Usage(usage))
            .delta(ModelDelta::Finish(reason))
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

/// How the model's streams fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Streams handed out.
    pub opened: usize,
    /// Streams dropped before they ended: what cancels an upstream request.
    pub cancelled: usize,
    /// Streams read to their end.
    pub ended: usize,
}

#[derive(Default)]
struct Record {
    scripts: VecDeque<Script>,
    fallback: Option<Script>,
    requests: Vec<ModelRequest>,
    streams: StreamCounts,
}

#[derive(Default)]
struct Shared {
    record: Mutex<Record>,
    /// Told after every change of `record`.
    changed: Notify,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let result = change(&mut self.record());
        self.changed.notify_waiters();
        result
    }
}

/// A [`ChatModel`] that plays scripts. Clones share scripts and records, so a test keeps one and gives one away.
#[derive(Clone)]
pub struct ScriptedModel {
    shared: Arc<Shared>,
    models: Arc<Mutex<Result<Vec<ModelInfo>, ModelError>>>,
}

impl Default for ScriptedModel {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedModel {
    /// A model without scripts, which offers the model `scripted`. Asked without a script it fails as `Invalid`.
    pub fn new() -> Self {
        let offered = vec![ModelInfo {
            id: "scripted".to_owned(),
            ..ModelInfo::default()
        }];
        Self {
            shared: Arc::default(),
            models: Arc::new(Mutex::new(Ok(offered))),
        }
    }

    /// A model that plays these scripts, one for each call.
    pub fn playing(scripts: impl IntoIterator<Item = Script>) -> Self {
        let model = Self::new();
        for script in scripts {
            model.push(script);
        }
        model
    }

    /// A model that plays the same script for ever.
    pub fn repeating(script: Script) -> Self {
        let model = Self::new();
        model.shared.change(|r| r.fallback = Some(script));
        model
    }

    /// Adds a script after those that wait.
    pub fn push(&self, script: Script) {
        self.shared.change(|r| r.scripts.push_back(script));
    }

    /// Sets what [`ChatModel::models`] answers.
    pub fn offer(&self, models: Result<Vec<ModelInfo>, ModelError>) {
        *self.models.lock().unwrap_or_else(PoisonError::into_inner) = models;
    }

    /// What the model was asked, oldest first.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.shared.record().requests.clone()
    }

    /// How its streams fared.
    pub fn streams(&self) -> StreamCounts {
        self.shared.record().streams
    }

    /// Scripts that wait to be played.
    pub fn scripts_left(&self) -> usize {
        self.shared.record().scripts.len()
    }

    /// Waits until the model has been asked `count` times. A test bounds the wait with its own timeout.
    pub async fn asked(&self, count: usize) {
        self.until(|r| r.requests.len() >= count).await;
    }

    /// Waits until `count` streams have been dropped before their end.
    pub async fn cancelled(&self, count: usize) {
        self.until(|r| r.streams.cancelled >= count).await;
    }

    async fn until(&self, condition: impl Fn(&Record) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition(&self.shared.record()) {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let script = self.shared.change(|record| {
            record.requests.push(request);
            let next = record.scripts.pop_front();
            next.or_else(|| record.fallback.clone())
        });
        let Some(Script(steps)) = script else {
            let kind = ModelErrorKind::Invalid;
            return Err(ModelError::new(kind, "no script is left for this call"));
        };
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Refuse(error) => return Err(error),
                Step::Pause(duration) => tokio::time::sleep(duration).await,
                Step::Wait(gate) => gate.passed().await,
                later => {
                    steps.push_front(later);
                    break;
                }
            }
        }
        self.shared.change(|record| record.streams.opened += 1);
        Ok(play(steps, Watch::new(self.shared.clone())))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.clone()
    }
}

/// Notes how a stream ended, when it is dropped.
struct Watch {
    shared: Arc<Shared>,
    ended: bool,
}

impl Watch {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ended: false,
        }
    }

    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ended = self.ended;
        self.shared.change(|record| {
            let counts = &mut record.streams;
            if ended {
                counts.ended += 1;
            } else {
                counts.cancelled += 1;
            }
        });
    }
}

/// Plays the steps after the answer's first byte. A stream counts as ended once its last item has been taken: many readers
/// stop at `Finish` or an error and do not ask for the `None` behind it.
fn play(steps: VecDeque<Step>, watch: Watch) -> BoxStream<'static, Result<ModelDelta, ModelError>> {
    stream::unfold((steps, watch), |(mut steps, mut watch)| async move {
        loop {
            let Some(step) = steps.pop_front() else {
                watch.end();
                return None;
            };
            match step {
                Step::Delta(delta) => {
                    if matches!(delta, ModelDelta::Finish(_)) {
                        watch.end();
                    }
                    return Some((Ok(delta), (steps, watch)));
                }
                Step::Refuse(error) | Step::Fail(error) => {
                    steps.clear();
                    watch.end();
                    return Some((Err(error), (steps, watch)));
                }
                Step::Pause(duration) => tokio::time::sleep(duration).await,
                Step::Wait(gate) => gate.passed().await,
                Step::Hang => std::future::pending().await,
            }
        }
    })
    .boxed()
}
