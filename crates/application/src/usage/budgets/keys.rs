//! The budgets of API keys, which are made and replaced together with them.

use majordomo_domain::{ApiKeyId, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, Scope};

use super::{Budgets, MAX_BUDGETS};
use crate::caller::Caller;

impl Budgets {
    /// Whether anything was set for this key. The default of the settings, which holds for every key, does not count.
    pub(crate) fn limits_key(&self, key: &ApiKeyId) -> bool {
        self.of_key(key).next().is_some()
    }

    /// Whether budgets for one more key may be set.
    pub(crate) fn have_room(&self) -> bool {
        let most = usize::try_from(MAX_BUDGETS).unwrap_or(usize::MAX);
        self.set().len() + BudgetPeriod::ALL.len() <= most
    }

    /// The budgets of a key that `caller` makes. Only an administrator gives a key more than every key has by default.
    pub(crate) fn for_key(
        &self,
        key: &ApiKeyId,
        caller: &Caller,
        limits: &[(BudgetPeriod, BudgetLimit)],
    ) -> Vec<Budget> {
        let set_at = self.clock.now();
        let administers = caller.scopes.allows(Scope::Admin);
        let budgets = limits.iter().map(|(period, limit)| Budget {
            subject: BudgetSubject::Key(key.clone()),
            period: *period,
            limit: if administers {
                *limit
            } else {
                limit.within(self.config.key.of(*period))
            },
            set_at,
        });
        budgets.collect()
    }

    /// Holds a key to budgets that were stored with it.
    pub(crate) fn adopt(&self, budgets: &[Budget]) {
        self.change(|set| {
            for budget in budgets {
                set.insert((budget.subject.clone(), budget.period), budget.limit);
            }
        });
    }

    /// Holds the successor of a key to the budgets that were stored for it with its predecessor's. What was spent counts
    /// on, of which storage does not know the last moments yet.
    pub(crate) fn inherit(&self, from: &ApiKeyId, to: &ApiKeyId) {
        let subject = |key: &ApiKeyId| BudgetSubject::Key(key.clone());
        self.windows.inherit(&subject(from), &subject(to));
        let inherited: Vec<_> = self.of_key(from).collect();
        self.change(|set| {
            for (period, limit) in inherited {
                set.insert((BudgetSubject::Key(to.clone()), period), limit);
            }
        });
    }

    fn of_key(&self, key: &ApiKeyId) -> impl Iterator<Item = (BudgetPeriod, BudgetLimit)> {
        let subject = BudgetSubject::Key(key.clone());
        let set = self.set();
        BudgetPeriod::ALL
            .map(|period| {
                let limit = set.get(&(subject.clone(), period));
                limit.map(|limit| (period, *limit))
            })
            .into_iter()
            .flatten()
    }
}
