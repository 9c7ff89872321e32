//! The one place that every model call passes, before and after.

use std::sync::Arc;

use majordomo_domain::{
    ApiKeyId, CredentialKind, MicroUsd, ModelRef, RunId, SessionId, Spend, Timestamp, Usage,
    UsageRecord, UserId,
};
use tokio::time::Instant;

use super::budgets::{Budgets, Hold};
use super::error::BudgetError;
use super::prices::PriceTable;
use super::spool::UsageSpool;
use crate::caller::Caller;
use crate::models::InferenceMetrics;
use crate::ports::{Clock, EndedCall};

/// Who pays for a call, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The user.
    pub user: UserId,
    /// The API key that was shown, where there was one.
    pub key: Option<ApiKeyId>,
    /// The session the call belongs to, where there is one.
    pub session: Option<SessionId>,
    /// The run the call belongs to, where there is one.
    pub run: Option<RunId>,
}

impl Payer {
    /// The caller, for a call that belongs to nothing else.
    pub fn of(caller: &Caller) -> Self {
        Self {
            user: caller.user.clone(),
            key: match &caller.credential {
                CredentialKind::ApiKey(key) => Some(key.clone()),
                _ => None,
            },
            session: None,
            run: None,
        }
    }

    /// The same for a call in a session.
    #[must_use]
    pub fn in_session(mut self, session: &SessionId) -> Self {
        self.session = Some(session.clone());
        self
    }

    /// The same for a call of a run.
    #[must_use]
    pub fn in_run(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }
}

/// A call that is about to be made, as far as it is known before.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// Who pays.
    pub payer: Payer,
    /// The model asked first.
    pub model: ModelRef,
    /// Models that may be asked when that does not answer. They matter only where
    /// [`Accounting::limits_anything`].
    pub fallback: Vec<ModelRef>,
    /// What the models will read, as estimated.
    pub prompt_tokens: u64,
    /// The most tokens of an answer, where somebody said so.
    pub max_output_tokens: Option<u64>,
    /// How many answers are wanted.
    pub answers: u64,
}

impl PlannedCall {
    /// A call with one answer of any length, by this model or none.
    pub const fn new(payer: Payer, model: ModelRef, prompt_tokens: u64) -> Self {
        Self {
            payer,
            model,
            fallback: Vec::new(),
            prompt_tokens,
            max_output_tokens: None,
            answers: 1,
        }
    }

    /// Every model that may answer.
    pub(super) fn models(&self) -> impl Iterator<Item = &ModelRef> {
        std::iter::once(&self.model).chain(&self.fallback)
    }

    /// What the call costs at most when no answer has more than `output_tokens`: by the dearest of its models.
    pub(super) fn spend(&self, prices: &PriceTable, output_tokens: u64) -> Spend {
        let usage = Usage {
            input_tokens: self.prompt_tokens,
            output_tokens: output_tokens.saturating_mul(self.answers),
            cached_input_tokens: 0,
        };
        let costs = self.models().map(|model| prices.cost(model, usage).0);
        Spend {
            cost: costs.max().unwrap_or_default(),
            tokens: usage.total_tokens(),
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a whole answer.
    Succeeded,
    /// By a failure of the model.
    Failed,
    /// Nobody wanted the rest: this says nothing about the model.
    GivenUp,
}

/// Counts, prices and limits model calls. Cheap to clone: all clones keep the same books.
#[derive(Clone)]
pub struct Accounting(Arc<Books>);

struct Books {
    metrics: Arc<InferenceMetrics>,
    prices: PriceTable,
    limits: Option<Limits>,
}

/// What is there where calls are stored.
struct Limits {
    budgets: Arc<Budgets>,
    spool: Arc<UsageSpool>,
    clock: Arc<dyn Clock>,
}

/// Counts calls only: nothing is priced, stored or limited.
impl From<Arc<InferenceMetrics>> for Accounting {
    fn from(metrics: Arc<InferenceMetrics>) -> Self {
        Self(Arc::new(Books {
            metrics,
            prices: PriceTable::default(),
            limits: None,
        }))
    }
}

impl Accounting {
    /// Counts calls in `metrics`, prices them by `prices`, and holds them to `budgets`. Calls that belong to no run go
    /// into the ledger through `spool`; those of a run are given to who ends it.
    pub fn new(
        metrics: Arc<InferenceMetrics>,
        prices: PriceTable,
        budgets: Arc<Budgets>,
        spool: Arc<UsageSpool>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Books {
            metrics,
            prices,
            limits: Some(Limits {
                budgets,
                spool,
                clock,
            }),
        }))
    }

    /// Fails when some budget of `payer` is used up. Costs nothing where none applies.
    pub async fn check(&self, payer: impl FnOnce() -> Payer) -> Result<(), BudgetError> {
        match &self.0.limits {
            Some(limits) if limits.budgets.limits_anything() => {
                limits.budgets.check(&payer()).await
            }
            _ => Ok(()),
        }
    }

    /// Whether anybody's spending is limited.
    pub fn limits_anything(&self) -> bool {
        let limits = self.0.limits.as_ref();
        limits.is_some_and(|limits| limits.budgets.limits_anything())
    }

    /// Begins a call: sets aside what it may cost where a budget applies. How long answers may be then,
    /// [`ModelCall::max_output_tokens`] tells.
    pub async fn begin(&self, call: PlannedCall) -> Result<ModelCall, BudgetError> {
        let books = &self.0;
        let hold = match &books.limits {
            Some(limits) if limits.budgets.limits_anything() => {
                limits.budgets.reserve(&call, &books.prices).await?
            }
            _ => None,
        };
        Ok(ModelCall {
            books: books.clone(),
            payer: call.payer,
            model: call.model,
            begun: Instant::now(),
            prompt_tokens: call.prompt_tokens,
            max_output_tokens: call.max_output_tokens,
            hold,
            open: true,
        })
    }

    /// Puts calls into the ledger that no end of a run will store.
    pub(crate) fn keep(&self, calls: impl IntoIterator<Item = EndedCall>) {
        if let Some(limits) = &self.0.limits {
            for call in calls {
                limits.spool.push(call);
            }
        }
    }

    /// Calls that are missing in the ledger because storage did not answer for too long.
    pub fn lost_calls(&self) -> u64 {
        let limits = self.0.limits.as_ref();
        limits.map_or(0, |limits| limits.spool.lost())
    }

    /// Stores the calls that wait to be stored.
    pub async fn flush(&self) {
        if let Some(limits) = &self.0.limits {
            limits.spool.flush().await;
        }
    }
}

/// A call under way. One that is dropped was given up before the model wrote anything.
pub struct ModelCall {
    books: Arc<Books>,
    payer: Payer,
    model: ModelRef,
    begun: Instant,
    prompt_tokens: u64,
    max_output_tokens: Option<u64>,
    hold: Option<Hold>,
    open: bool,
}

impl ModelCall {
    /// The most tokens that an answer may have: what was set aside for it where a budget applies, else what was asked
    /// for. Whoever makes the call MUST hold the model to it.
    pub fn max_output_tokens(&self) -> Option<u64> {
        let set_aside = self.hold.as_ref().map(Hold::output_tokens);
        set_aside.or(self.max_output_tokens)
    }

    /// The model that answers, where it is another than the one asked first.
    pub fn answered_by(&mut self, model: &ModelRef) {
        self.model.clone_from(model);
    }

    /// Ends the call. `told` is what the provider said of tokens; where it said nothing, `written` estimates what the
    /// model wrote. Gives what is to be stored of it unless nothing was used.
    #[must_use]
    pub fn end(
        mut self,
        ending: Ending,
        told: Usage,
        written: u64,
        at: Timestamp,
    ) -> Option<EndedCall> {
        self.close(ending, told, written, at)
    }

    /// Ends a call that belongs to no run, without waiting: its record goes into the ledger a little later.
    pub fn end_alone(mut self, ending: Ending, told: Usage, written: u64) {
        self.end_now(ending, told, written);
    }

    fn end_now(&mut self, ending: Ending, told: Usage, written: u64) {
        let books = self.books.clone();
        let now = match &books.limits {
            Some(limits) => limits.clock.now(),
            None => Timestamp::EPOCH,
        };
        let ended = self.close(ending, told, written, now);
        if let (Some(limits), Some(ended)) = (&books.limits, ended) {
            limits.spool.push(ended);
        }
    }

    fn close(
        &mut self,
        ending: Ending,
        told: Usage,
        written: u64,
        at: Timestamp,
    ) -> Option<EndedCall> {
        let record = self.count(ending, told, written, at);
        let spent = record.as_ref().map(UsageRecord::spend);
        let hold = self.hold.take();
        let windows = hold.map(|hold| hold.settle(spent.unwrap_or_default()));
        let windows = windows.unwrap_or_default();
        record.map(|record| EndedCall { record, windows })
    }

    fn count(
        &mut self,
        ending: Ending,
        told: Usage,
        written: u64,
        at: Timestamp,
    ) -> Option<UsageRecord> {
        self.open = false;
        let is_told = told.total_tokens() > 0;
        let usage = match ending {
            _ if is_told => told,
            // A failure before the first word costs nothing at any provider we know.
            Ending::Failed if written == 0 => told,
            _ => Usage {
                input_tokens: self.prompt_tokens,
                output_tokens: written,
                cached_input_tokens: 0,
            },
        };
        let metrics = &self.books.metrics;
        match ending {
            Ending::Succeeded => metrics.record(true, usage, self.begun.elapsed()),
            Ending::Failed => metrics.record(false, usage, self.begun.elapsed()),
            Ending::GivenUp => metrics.count_tokens(usage),
        }
        if usage == Usage::default() {
            return None;
        }
        let (cost, version): (MicroUsd, Option<&str>) = self.books.prices.cost(&self.model, usage);
        Some(UsageRecord {
            owner: self.payer.user.clone(),
            key: self.payer.key.clone(),
            session: self.payer.session.clone(),
            run: self.payer.run.clone(),
            model: self.model.clone(),
            usage,
            estimated: !is_told,
            cost,
            price_version: version.map(str::to_owned),
            at,
        })
    }
}

impl Drop for ModelCall {
    fn drop(&mut self) {
        if self.open {
            self.end_now(Ending::GivenUp, Usage::default(), 0);
        }
    }
}
