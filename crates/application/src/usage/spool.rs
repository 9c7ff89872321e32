//! Calls that are not stored with the end of a run wait here and are stored together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ports::{EndedCall, UsageLedger};

/// How long a call waits for others before they are stored: what the death of the process can cost.
const LINGER: Duration = Duration::from_millis(500);
/// Calls stored in one transaction.
const BATCH: usize = 500;
/// Calls that may wait while storage does not answer; further ones are lost to the ledger, but not to the counters and
/// budgets of this process.
const CAPACITY: usize = 16_384;

/// Stores calls in the background, so that nobody waits for the ledger. Putting a call in takes one lock, on any runtime;
/// only the first of a batch wakes the task that writes.
pub struct UsageSpool {
    ledger: Arc<dyn UsageLedger>,
    waiting: Mutex<Vec<EndedCall>>,
    filled: Arc<Notify>,
    writing: tokio::sync::Mutex<()>,
    lost: AtomicU64,
}

impl UsageSpool {
    /// An empty spool whose task runs on the current runtime, until the spool is dropped.
    pub fn start(ledger: Arc<dyn UsageLedger>) -> Arc<Self> {
        let spool = Arc::new(Self {
            ledger,
            waiting: Mutex::default(),
            filled: Arc::new(Notify::new()),
            writing: tokio::sync::Mutex::default(),
            lost: AtomicU64::new(0),
        });
        let (weak, filled) = (Arc::downgrade(&spool), spool.filled.clone());
        tokio::spawn(async move {
            loop {
                filled.notified().await;
                tokio::time::sleep(LINGER).await;
                let Some(spool) = weak.upgrade() else {
                    return;
                };
                spool.flush().await;
            }
        });
        spool
    }

    /// Puts a call in.
    pub fn push(&self, call: EndedCall) {
        let mut waiting = self.waiting();
        if waiting.len() >= CAPACITY {
            drop(waiting);
            self.lose(1);
            return;
        }
        waiting.push(call);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.filled.notify_one();
        }
    }

    /// Stores what waits; what cannot be stored waits on.
    pub async fn flush(&self) {
        let _writing = self.writing.lock().await;
        loop {
            let batch: Vec<EndedCall> = {
                let mut waiting = self.waiting();
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.ledger.append(&batch).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the ledger of model calls cannot be written");
                self.put_back(batch);
                return;
            }
        }
    }

    /// Calls that were lost because storage did not answer for too long.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn put_back(&self, mut batch: Vec<EndedCall>) {
        let mut waiting = self.waiting();
        batch.append(&mut waiting);
        let surplus = batch.len().saturating_sub(CAPACITY);
        batch.truncate(CAPACITY);
        *waiting = batch;
        drop(waiting);
        if surplus > 0 {
            self.lose(u64::try_from(surplus).unwrap_or(u64::MAX));
        }
        self.filled.notify_one();
    }

    fn lose(&self, calls: u64) {
        if self.lost.fetch_add(calls, Ordering::Relaxed) == 0 {
            tracing::error!("calls are missing in the ledger: storage did not answer for too long");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<EndedCall>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UsageSpool {
    fn drop(&mut self) {
        // The task sees that the spool is gone.
        self.filled.notify_one();
    }
}
