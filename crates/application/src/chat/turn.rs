//! One turn: the agent loop between a question and its answer.

use std::sync::Arc;

use futures_util::future::join_all;
use majordomo_domain::{
    Hop, Message, MessageStatus, ModelRef, Outcome, Role, RunEventKind, RunId, RunStatus, ToolCall,
    ToolOutput,
};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::context;
use super::draft::{Draft, OpenCall};
use super::end::End;
use super::loop_breaker::LoopBreaker;
use super::queue::PendingTurn;
use super::service::ChatService;
use super::step::{Step, push_text, read_step};
use super::traces;
use crate::memory::{AnsweredTurn, Embedding};
use crate::models::{ModelsError, estimate_prompt_tokens};
use crate::ports::{
    Answer, Durability, FinishReason, MessageWindow, ModelError, ModelMessage, ModelRequest,
    RememberedId, RepositoryError, ToolContext,
};
use crate::runs::JournalWriter;
use crate::usage::{Ending, Payer, PlannedCall};

/// Largest part of the context window kept free for the answer when no maximum is asked for: one quarter.
const ANSWER_SHARE: u64 = 4;

impl ChatService {
    /// Runs a turn to its end. `Err` names the reason when the end could not be stored. At shutdown a turn that has shown
    /// nothing is left as it is: the next process runs it.
    pub(super) async fn run_turn(&self, mut turn: PendingTurn) -> Result<(), &'static str> {
        let (journal, clock, log) = (self.journal.clone(), self.clock.clone(), turn.log.clone());
        let mut writer = match turn.unstored.take() {
            Some(unstored) => JournalWriter::storing(journal, clock, log, unstored),
            None => JournalWriter::new(journal, clock, log, turn.last_seq),
        };
        let mut draft = Draft::default();
        let deadline = Instant::now() + self.config().turn_timeout;
        let trace = traces::turn(&turn.run);
        let end = tokio::select! {
            biased;
            () = turn.stop.cancelled() => End::cut(RunStatus::Stopped, "stopped"),
            () = self.shutdown.cancelled() => End::cut(RunStatus::Interrupted, "interrupted"),
            end = timeout_at(deadline, self.converse(&turn, &mut writer, &mut draft).instrument(trace.clone())) => {
                end.unwrap_or_else(|_| End::failed("timeout", "The turn took too long"))
            }
        };
        draft.close(Ending::GivenUp, self.clock.now());
        let failure = (end.status != RunStatus::Completed).then_some(end.reason.as_str());
        traces::turn_ended(&trace, draft.usage, failure);
        if end.status == RunStatus::Interrupted && !writer.has_shown() {
            self.accounting.keep(draft.calls);
            return writer
                .keep()
                .await
                .map_err(|error| cannot_be_stored(&turn.run.id, &error));
        }
        writer.settle_storing().await;
        if writer.is_refused() {
            self.accounting.keep(draft.calls);
            return Err("storage");
        }
        self.finish_turn(turn, &mut writer, draft, end).await
    }

    async fn finish_turn(
        &self,
        turn: PendingTurn,
        writer: &mut JournalWriter,
        draft: Draft,
        end: End,
    ) -> Result<(), &'static str> {
        let status = match end.status {
            RunStatus::Completed => MessageStatus::Complete,
            RunStatus::Stopped => MessageStatus::Stopped,
            _ => MessageStatus::Interrupted,
        };
        let model = draft.model.as_ref().map(ToString::to_string);
        let learnt = self.to_learn_from(&turn, &draft, end.status);
        let silent = draft.text.is_empty() && end.status != RunStatus::Completed;
        let said = self.embedding().map(|embedding| {
            let (owner, question) = (turn.run.owner.clone(), turn.message.id.clone());
            (embedding, owner, question)
        });
        let message = (!silent).then(|| Message {
            id: self.ids.message_id(),
            owner: turn.run.owner,
            session: turn.run.session,
            seq: 0,
            role: Role::Assistant,
            text: draft.text,
            images: Vec::new(),
            status,
            created_at: self.clock.now(),
            run: Some(turn.run.id.clone()),
            model: model.clone(),
            usage: Some(draft.usage),
        });
        let outcome = Outcome {
            status: end.status,
            message: message.as_ref().map(|message| message.id.clone()),
            model,
            usage: draft.usage,
            reason: end.reason,
            error: end.error,
        };
        let answer = Answer {
            run: turn.run.id,
            status: end.status,
            finished_at: self.clock.now(),
            events: Vec::new(),
            message,
            calls: draft.calls,
        };
        let (run, told) = (answer.run.clone(), outcome.message.clone());
        if let Some(error) = &outcome.error {
            log_end(outcome.status, &outcome.reason, error);
            if outcome.status == RunStatus::Failed {
                self.note_failure(turn.log.run().clone(), error.clone());
            }
        }
        // Those of a turn that is stored already are lost with its end; this one would leave nothing at all.
        let unstored = writer.is_unstored().then(|| answer.calls.clone());
        let finished = writer.finish(answer, RunEventKind::Finished(outcome)).await;
        if finished.is_err() {
            self.accounting.keep(unstored.into_iter().flatten());
        }
        if let Some((embedding, owner, question)) = said {
            let messages = [Some(question), told].into_iter().flatten();
            embedding.tell(&owner, messages.map(RememberedId::Turn));
        }
        finished.map_err(|error| cannot_be_stored(&run, &error))?;
        if let (Some(extraction), Some(turn)) = (self.extraction.get(), learnt) {
            extraction.note(turn);
        }
        Ok(())
    }

    /// What facts are extracted from, where they are.
    fn to_learn_from(
        &self,
        turn: &PendingTurn,
        draft: &Draft,
        status: RunStatus,
    ) -> Option<AnsweredTurn> {
        self.extraction.get()?;
        (status == RunStatus::Completed).then(|| AnsweredTurn {
            caller: turn.caller.clone(),
            session: turn.run.session.clone(),
            message: turn.message.id.clone(),
            run: turn.run.id.clone(),
            said: turn.message.text.clone(),
            answered: draft.text.clone(),
            recalled: draft.recalled.clone(),
            told: draft.told.clone(),
        })
    }

    /// What embeds that which is said, where there is an embedding model.
    pub(super) fn embedding(&self) -> Option<&Embedding> {
        self.memory.get()?.embedding().map(Arc::as_ref)
    }

    async fn converse(
        &self,
        turn: &PendingTurn,
        writer: &mut JournalWriter,
        draft: &mut Draft,
    ) -> End {
        match self.try_converse(turn, writer, draft).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn try_converse(
        &self,
        turn: &PendingTurn,
        writer: &mut JournalWriter,
        draft: &mut Draft,
    ) -> Result<End, End> {
        writer.begin_storing()?;
        let _permit = writer.beside(self.permits.acquire(&turn.run.owner)).await?;
        if !writer.has_begun() {
            writer.start().await?;
        }
        let name = turn
            .run
            .options
            .model
            .as_deref()
            .or(turn.session_model.as_deref());
        let model = match self.models.resolve_for(&turn.caller, name) {
            Ok(model) => model,
            Err(error) => return Err(Self::no_answer(error, writer)),
        };
        let mut messages = self.context(turn, &model, writer, draft).await?;
        let mut breaker = LoopBreaker::default();
        let config = self.config();
        for _ in 0..config.max_steps {
            let (step, reason) = self
                .ask_model(turn, &model, &messages, writer, draft)
                .await?;
            if step.calls.is_empty() {
                return Ok(End::completed(reason.as_str()));
            }
            // The last call is stored with the end of the run, which may be far away.
            self.accounting.keep(draft.calls.drain(..));
            let outputs = self.call_tools(turn, &step.calls, writer).await?;
            draft.note_told(&self.tools, &outputs);
            if breaker.note(&step.calls, &outputs) && config.loop_breaker {
                return Err(End::failed(
                    "loop",
                    "The agent kept making the same tool calls and was stopped",
                ));
            }
            messages.push(ModelMessage::Assistant {
                text: step.text,
                tool_calls: step.calls,
            });
            messages.extend(outputs.into_iter().map(|output| ModelMessage::Tool {
                call_id: output.call_id,
                name: output.name,
                content: output.content,
                is_error: output.is_error,
            }));
        }
        if draft.text.is_empty() {
            let words = format!(
                "I stopped after {} steps without an answer.",
                config.max_steps
            );
            push_text(writer, draft, words);
        }
        Ok(End::completed("max_steps"))
    }

    async fn context(
        &self,
        turn: &PendingTurn,
        model: &ModelRef,
        writer: &mut JournalWriter,
        draft: &mut Draft,
    ) -> Result<Vec<ModelMessage>, End> {
        let (options, config) = (&turn.run.options, self.config());
        let mut prompt = options
            .system_prompt
            .clone()
            .unwrap_or_else(|| self.system_prompt(&turn.run.owner));
        let window = self
            .models
            .context_tokens(model)
            .unwrap_or(config.context_tokens);
        let asked = options.max_tokens.or(config.max_tokens).map(u64::from);
        let reserve = asked.unwrap_or(window / ANSWER_SHARE).min(window / 2);
        let budget = window - reserve;
        if let Some(memory) = self.memory.get()
            && let Some(recalled) = writer
                .beside(memory.recall(&turn.caller, &turn.message.text, budget))
                .await?
        {
            draft.recalled.clone_from(&recalled.memories);
            writer.push(RunEventKind::Recalled(recalled.memories));
            prompt.push_str(&recalled.text);
        }
        let history = self.history(turn, budget).await?;
        Ok(context::build(&prompt, &history, &turn.message, budget))
    }

    /// The newest messages of the turn's session, oldest first: as many as may fit `budget` tokens. A long history is
    /// not read to be thrown away.
    async fn history(&self, turn: &PendingTurn, budget: u64) -> Result<Vec<Message>, End> {
        let mut history = Vec::new();
        if turn.message.seq == 1 {
            return Ok(history);
        }
        let mut window = MessageWindow::newest(context::FIRST_READ);
        let mut tokens: u64 = 0;
        loop {
            let (owner, session) = (&turn.run.owner, &turn.run.session);
            let mut older = self.sessions.messages(owner, session, window).await?;
            let read = u32::try_from(older.len()).unwrap_or(u32::MAX);
            let shown = older
                .iter()
                .filter(|message| context::may_be_shown(message, &turn.message));
            tokens = shown.map(context::tokens).fold(tokens, u64::saturating_add);
            window.before = older.first().map(|message| message.seq);
            older.append(&mut history);
            history = older;
            let whole = read < window.limit || window.before.is_none();
            let total = u32::try_from(history.len()).unwrap_or(u32::MAX);
            // Each read is as long as all before it together.
            window.limit = total.min(context::HISTORY_LIMIT.saturating_sub(total));
            if whole || tokens > budget || window.limit == 0 {
                return Ok(history);
            }
        }
    }

    /// Asks the model once, under a span of its own.
    async fn ask_model(
        &self,
        turn: &PendingTurn,
        model: &ModelRef,
        messages: &[ModelMessage],
        writer: &mut JournalWriter,
        draft: &mut Draft,
    ) -> Result<(Step, FinishReason), End> {
        let (span, before) = (traces::model_call(&turn.run, model), draft.usage);
        let step = self.step(turn, model, messages, writer, draft);
        let result = step.instrument(span.clone()).await;
        let answer = result.as_ref().map(|(_, reason)| *reason);
        let answer = answer.map_err(|end| end.reason.as_str());
        traces::model_answered(
            &span,
            draft.model.as_ref(),
            draft.usage.minus(before),
            answer,
        );
        result
    }

    /// Asks the model once and passes its answer on as it comes.
    async fn step(
        &self,
        turn: &PendingTurn,
        model: &ModelRef,
        messages: &[ModelMessage],
        writer: &mut JournalWriter,
        draft: &mut Draft,
    ) -> Result<(Step, FinishReason), End> {
        let (options, config) = (&turn.run.options, self.config());
        let beginning = self.begin_call(turn, model, messages, draft);
        let max_tokens = writer.beside(beginning).await??;
        let opened = self.models.open(&turn.caller, model, |model| ModelRequest {
            tools: self.tools.specs().clone(),
            temperature: options.temperature.or(config.temperature),
            max_tokens,
            ..ModelRequest::new(&model.model, messages.to_vec())
        });
        let opened = match writer.beside(opened).await? {
            Ok(opened) => opened,
            Err(error) => {
                draft.close(Ending::Failed, self.clock.now());
                return Err(Self::no_answer(error, writer));
            }
        };
        push_hops(writer, opened.hops);
        if let Some(open) = &mut draft.open {
            open.call.answered_by(&opened.model);
        }
        draft.model = Some(opened.model.clone());
        let broke = |error: &ModelError| self.models.note(&opened.model, Err(error));
        let result = read_step(opened.stream, writer, draft, broke).await;
        let ending = match result {
            Ok(_) => Ending::Succeeded,
            Err(_) => Ending::Failed,
        };
        draft.close(ending, self.clock.now());
        result
    }

    /// Sets aside what the next call may cost; gives the most tokens of its answer.
    async fn begin_call(
        &self,
        turn: &PendingTurn,
        model: &ModelRef,
        messages: &[ModelMessage],
        draft: &mut Draft,
    ) -> Result<Option<u32>, End> {
        let max_tokens = turn.run.options.max_tokens.or(self.config().max_tokens);
        let prompt = self.tool_tokens + estimate_prompt_tokens(messages);
        let payer = Payer::of(&turn.caller)
            .in_session(&turn.run.session)
            .in_run(&turn.run.id);
        let mut planned = PlannedCall::new(payer, model.clone(), prompt);
        planned.max_output_tokens = max_tokens.map(u64::from);
        if self.accounting.limits_anything() {
            planned.fallback = self.models.fallback_for(&turn.caller, model);
        }
        let call = self.accounting.begin(planned).await?;
        let most = call.max_output_tokens();
        draft.open = Some(OpenCall {
            call,
            usage: draft.usage,
            written: draft.written,
        });
        Ok(most.map(|most| u32::try_from(most).unwrap_or(u32::MAX)))
    }

    fn no_answer(error: ModelsError, writer: &mut JournalWriter) -> End {
        match error {
            ModelsError::UnknownModel(name) => {
                End::failed("invalid", format!("The model `{name}` does not exist"))
            }
            ModelsError::NoAnswer { hops, last } => {
                push_hops(writer, hops);
                End::from(last)
            }
        }
    }

    /// Calls the tools of one step. The journal knows of every call before it is made and of every result before the
    /// model does.
    async fn call_tools(
        &self,
        turn: &PendingTurn,
        calls: &[ToolCall],
        writer: &mut JournalWriter,
    ) -> Result<Vec<ToolOutput>, End> {
        let tools = || calls.iter().map(|call| self.tools.find(&call.name));
        let repeatable = tools().flatten().all(|tool| tool.is_idempotent());
        let durability = if repeatable {
            Durability::Written
        } else {
            Durability::Flushed
        };
        for call in calls {
            writer.push(RunEventKind::ToolCalled(call.clone()));
        }
        writer.flush(durability).await?;
        let context = ToolContext {
            caller: turn.caller.clone(),
            session: turn.run.session.clone(),
            message: turn.message.id.clone(),
            run: turn.run.id.clone(),
        };
        let outputs = if tools().flatten().all(|tool| tool.is_parallel()) {
            join_all(calls.iter().map(|call| self.call_tool(&context, call))).await
        } else {
            let mut outputs = Vec::with_capacity(calls.len());
            for call in calls {
                outputs.push(self.call_tool(&context, call).await);
            }
            outputs
        };
        for output in &outputs {
            writer.push(RunEventKind::ToolReturned(output.clone()));
        }
        writer.flush(durability).await?;
        Ok(outputs)
    }

    async fn call_tool(&self, context: &ToolContext, call: &ToolCall) -> ToolOutput {
        let span = traces::tool_call(call);
        let output = self
            .tools
            .call(context, call)
            .instrument(span.clone())
            .await;
        traces::tool_returned(&span, &output);
        output
    }
}

fn cannot_be_stored(run: &RunId, error: &RepositoryError) -> &'static str {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, %run, "the end of a run cannot be stored");
    "storage"
}

/// Being stopped is what the user wanted; everything else is for the operator to know.
fn log_end(status: RunStatus, reason: &str, error: &str) {
    if status == RunStatus::Failed {
        tracing::warn!(reason, cause = error, "a turn failed");
    } else {
        tracing::debug!(reason, status = status.as_str(), "a turn was cut short");
    }
}

fn push_hops(writer: &mut JournalWriter, hops: Vec<Hop>) {
    for hop in hops {
        writer.push(RunEventKind::Hop(hop));
    }
}
