//! How far windows have been used: what the stored calls have spent, read once, and since then counted here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::{BudgetLimit, BudgetSubject, BudgetWindow, Spend, WindowUse};
use tokio::time::Instant;

/// A window and what may be spent in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedWindow {
    /// What spending is counted in.
    pub window: BudgetWindow,
    /// The most that may be spent in it.
    pub limit: BudgetLimit,
}

/// Why nothing was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WindowFull {
    /// The window in the way.
    pub(super) window: LimitedWindow,
    /// How far it has been used.
    pub(super) used: WindowUse,
}

/// Some windows are not known yet: they are to be [learnt](Windows::learn) first.
pub(super) struct Unknown {
    pub(super) windows: Vec<BudgetWindow>,
    /// Which state of the table this is about.
    edition: u64,
}

/// Windows that may be known before unused ones are forgotten, about 300 bytes each.
const ROOM: usize = 16_384;
/// How long a window is unused before it may be forgotten: much longer than ended calls take to be stored. Where storage
/// does not answer for so long the window cannot be read again either.
const UNUSED: Duration = Duration::from_mins(1);

/// The known windows.
#[derive(Default)]
pub(super) struct Windows(Mutex<Table>);

struct Table {
    entries: HashMap<BudgetWindow, Entry>,
    /// How often windows were forgotten. What was read before that may miss what was counted meanwhile.
    edition: u64,
    /// At how many entries unused ones are looked for.
    crowded_at: usize,
}

struct Entry {
    used: WindowUse,
    last_used: Instant,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            edition: 0,
            crowded_at: ROOM,
        }
    }
}

impl Table {
    fn unknown<'a>(&self, windows: impl Iterator<Item = &'a BudgetWindow>) -> Result<(), Unknown> {
        let windows: Vec<_> = windows
            .filter(|window| !self.entries.contains_key(*window))
            .cloned()
            .collect();
        if windows.is_empty() {
            return Ok(());
        }
        Err(Unknown {
            windows,
            edition: self.edition,
        })
    }

    fn used(&self, window: &BudgetWindow) -> WindowUse {
        self.entries
            .get(window)
            .map(|entry| entry.used)
            .unwrap_or_default()
    }

    /// Changes how far a known window is used, and gives what it is then.
    fn change(&mut self, window: &BudgetWindow, change: impl FnOnce(&mut WindowUse)) -> WindowUse {
        let Some(entry) = self.entries.get_mut(window) else {
            return WindowUse::default();
        };
        change(&mut entry.used);
        entry.last_used = Instant::now();
        entry.used
    }

    fn make_room(&mut self) {
        if self.entries.len() < self.crowded_at {
            return;
        }
        let now = Instant::now();
        self.entries.retain(|_, entry| {
            entry.used.open_calls > 0 || now.duration_since(entry.last_used) < UNUSED
        });
        self.edition += 1;
        self.crowded_at = ROOM.max(2 * self.entries.len());
    }
}

impl Windows {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what stored calls have `spent` in each of the unknown windows. What is known by now stays as it is.
    pub(super) fn learn(&self, unknown: Unknown, spent: Vec<Spend>) {
        let mut table = self.table();
        if table.edition != unknown.edition {
            return;
        }
        table.make_room();
        for (window, spent) in unknown.windows.into_iter().zip(spent) {
            table.entries.entry(window).or_insert_with(|| Entry {
                used: WindowUse {
                    spent,
                    ..WindowUse::default()
                },
                last_used: Instant::now(),
            });
        }
    }

    /// How far each window is used, in their order.
    pub(super) fn used(&self, windows: &[BudgetWindow]) -> Result<Vec<WindowUse>, Unknown> {
        let table = self.table();
        table.unknown(windows.iter())?;
        Ok(windows.iter().map(|window| table.used(window)).collect())
    }

    /// Sets `estimate` aside in every window; or in none, and names the first that does not
    /// [admit](WindowUse::admits) it.
    pub(super) fn reserve(
        &self,
        windows: &[LimitedWindow],
        estimate: Spend,
    ) -> Result<Option<WindowFull>, Unknown> {
        let mut table = self.table();
        table.unknown(windows.iter().map(|limited| &limited.window))?;
        for limited in windows {
            let used = table.used(&limited.window);
            if !used.admits(limited.limit, estimate) {
                let window = limited.clone();
                return Ok(Some(WindowFull { window, used }));
            }
        }
        for limited in windows {
            table.change(&limited.window, |used| {
                used.reserved = used.reserved.plus(estimate);
                used.open_calls += 1;
            });
        }
        Ok(None)
    }

    /// Counts what `from` has spent in its known windows as spent by `to`, which nobody knows yet. Windows that are not known
    /// are read from storage like others.
    pub(super) fn inherit(&self, from: &BudgetSubject, to: &BudgetSubject) {
        let mut table = self.table();
        let spent: Vec<(BudgetWindow, Spend)> = table
            .entries
            .iter()
            .filter(|(window, _)| window.subject == *from)
            .map(|(window, entry)| {
                let window = BudgetWindow {
                    subject: to.clone(),
                    ..window.clone()
                };
                (window, entry.used.spent)
            })
            .collect();
        table.make_room();
        for (window, spent) in spent {
            table.entries.entry(window).or_insert_with(|| Entry {
                used: WindowUse {
                    spent,
                    ..WindowUse::default()
                },
                last_used: Instant::now(),
            });
        }
    }

    /// Ends a call for which `estimate` was set aside: `spent` takes its place in every window. Gives how far each is used
    /// now, in their order.
    pub(super) fn settle(
        &self,
        windows: &[LimitedWindow],
        estimate: Spend,
        spent: Spend,
    ) -> Vec<WindowUse> {
        let mut table = self.table();
        let settled = windows.iter().map(|limited| {
            table.change(&limited.window, |used| {
                used.reserved = used.reserved.minus(estimate);
                used.open_calls = used.open_calls.saturating_sub(1);
                used.spent = used.spent.plus(spent);
            })
        });
        settled.collect()
    }
}

#[cfg(test)]
mod tests;
