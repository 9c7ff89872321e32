//! A store that fails when it is told to, around any other.

mod memories;
mod oauth;
mod ports;
mod usage;
mod users;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use majordomo_application::ports::{
    ApiKeyRepository, AuditLog, BudgetRepository, MemoryRepository, MemoryVectors, OAuthRepository,
    RepositoryError, RunJournal, SelfAuditRepository, SessionRepository, SettingsRepository,
    StorageHealth, TurnRepository, UsageLedger, UserRepository,
};
use tokio::sync::Notify;

use crate::contract::Stores;

/// When a call fails, relative to what the store behind does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Nothing was stored.
    Before,
    /// The write was stored and its acknowledgement lost.
    After,
}

/// A failure that waits for its call.
#[derive(Debug)]
struct Planned {
    method: &'static str,
    /// Calls of `method` that still succeed.
    skip: u64,
    moment: Moment,
}

/// A store that passes every call on, unless it is switched off or a failure was planned for the call. Failing calls answer
/// [`RepositoryError::Unavailable`]. Methods are named by port and method: `journal.append`, `sessions.find`,
/// `api_keys.touch`, `health.check`.
pub struct FailingStore {
    sessions: Arc<dyn SessionRepository>,
    journal: Arc<dyn RunJournal>,
    api_keys: Arc<dyn ApiKeyRepository>,
    users: Arc<dyn UserRepository>,
    audit: Arc<dyn AuditLog>,
    self_audit: Arc<dyn SelfAuditRepository>,
    oauth: Arc<dyn OAuthRepository>,
    settings: Arc<dyn SettingsRepository>,
    usage: Arc<dyn UsageLedger>,
    budgets: Arc<dyn BudgetRepository>,
    memories: Arc<dyn MemoryRepository>,
    memory_vectors: Arc<dyn MemoryVectors>,
    turns: Arc<dyn TurnRepository>,
    health: Arc<dyn StorageHealth>,
    down: AtomicBool,
    stalled: AtomicBool,
    resumed: Notify,
    calls: AtomicU64,
    planned: Mutex<Vec<Planned>>,
    meanwhile: Mutex<Vec<(&'static str, BoxFuture<'static, ()>)>>,
}

impl FailingStore {
    /// Wraps stores; nothing fails yet.
    pub fn around(stores: &Stores) -> Self {
        Self {
            sessions: stores.sessions.clone(),
            journal: stores.journal.clone(),
            api_keys: stores.api_keys.clone(),
            users: stores.users.clone(),
            audit: stores.audit.clone(),
            self_audit: stores.self_audit.clone(),
            oauth: stores.oauth.clone(),
            settings: stores.settings.clone(),
            usage: stores.usage.clone(),
            budgets: stores.budgets.clone(),
            memories: stores.memories.clone(),
            memory_vectors: stores.memory_vectors.clone(),
            turns: stores.turns.clone(),
            health: stores.health.clone(),
            down: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            resumed: Notify::new(),
            calls: AtomicU64::new(0),
            planned: Mutex::default(),
            meanwhile: Mutex::default(),
        }
    }

    /// Switches the database off (`true`) or on again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Makes every call wait (`true`) or lets them go on.
    pub fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::SeqCst);
        if !stalled {
            self.resumed.notify_waiters();
        }
    }

    /// Fails the `nth` call of `method` from now on (1 is the next) before anything is stored.
    pub fn fail(&self, method: &'static str, nth: u64) {
        self.plan(method, nth, Moment::Before);
    }

    /// Lets the `nth` call of `method` from now on (1 is the next) do its work and then report a failure: the caller cannot
    /// know whether it was stored.
    pub fn lose_answer(&self, method: &'static str, nth: u64) {
        self.plan(method, nth, Moment::After);
    }

    /// Lets `act` happen right before the next call of `method` is passed on: what somebody else does meanwhile.
    pub fn meanwhile(&self, method: &'static str, act: impl Future<Output = ()> + Send + 'static) {
        self.acts().push((method, Box::pin(act)));
    }

    fn acts(&self) -> MutexGuard<'_, Vec<(&'static str, BoxFuture<'static, ()>)>> {
        self.meanwhile
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn act_before(&self, method: &str) -> Option<BoxFuture<'static, ()>> {
        let mut acts = self.acts();
        let at = acts.iter().position(|(before, _)| *before == method)?;
        Some(acts.remove(at).1)
    }

    /// Calls so far, of all methods, failed ones included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn plan(&self, method: &'static str, nth: u64, moment: Moment) {
        let skip = nth.saturating_sub(1);
        let planned = Planned {
            method,
            skip,
            moment,
        };
        self.planned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(planned);
    }

    /// Whether and when this call fails.
    fn due(&self, method: &str) -> Option<Moment> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = None;
        planned.retain_mut(|one| {
            if one.method != method {
                return true;
            }
            if one.skip == 0 {
                due = due.or(Some(one.moment));
                return false;
            }
            one.skip -= 1;
            true
        });
        due
    }

    async fn call<T>(
        &self,
        method: &str,
        work: impl Future<Output = Result<T, RepositoryError>> + Send,
    ) -> Result<T, RepositoryError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        loop {
            let resumed = self.resumed.notified();
            tokio::pin!(resumed);
            resumed.as_mut().enable();
            if !self.stalled.load(Ordering::SeqCst) {
                break;
            }
            resumed.await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        if let Some(act) = self.act_before(method) {
            act.await;
        }
        match self.due(method) {
            Some(Moment::Before) => Err(unavailable()),
            Some(Moment::After) => work.await.and(Err(unavailable())),
            None => work.await,
        }
    }
}

fn unavailable() -> RepositoryError {
    RepositoryError::Unavailable("the test switched the database off".into())
}
