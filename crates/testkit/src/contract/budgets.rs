//! What [`BudgetRepository`](majordomo_application::ports::BudgetRepository) must do.

use futures_util::future::join_all;
use majordomo_application::ports::EndedCall;
use majordomo_domain::{
    AuditRecord, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, MicroUsd, Spend,
};

use super::Stores;
use crate::builders::{at, ended_call, session_id, user};

fn budget(subject: BudgetSubject, tokens: u64) -> Budget {
    Budget {
        subject,
        period: BudgetPeriod::Day,
        limit: tokens_limit(tokens),
        set_at: at(1),
    }
}

fn act() -> AuditRecord {
    AuditRecord::of_system("budget.set", at(1))
}

const fn tokens_limit(tokens: u64) -> BudgetLimit {
    BudgetLimit {
        cost: None,
        tokens: Some(tokens),
    }
}

fn window(name: &str) -> BudgetWindow {
    BudgetWindow {
        subject: BudgetSubject::User(user(name)),
        period: BudgetPeriod::Day,
        starts_at: at(0),
    }
}

fn ended(windows: &[&str], tokens: u64) -> EndedCall {
    let windows = windows.iter().map(|name| window(name)).collect();
    ended_call("alice", tokens, windows)
}

/// What calls of so many tokens cost.
const fn calls_of(tokens: u64) -> Spend {
    Spend {
        cost: MicroUsd(tokens),
        tokens,
    }
}

async fn spent(stores: &Stores, name: &str) -> Spend {
    stores.budgets.spent(&[window(name)]).await.unwrap()[0]
}

/// Nothing of a budget is lost, whatever it limits.
pub async fn a_budget_reads_back(stores: Stores) {
    let session = BudgetSubject::Session(user("alice"), session_id("s1"));
    let month = Budget {
        period: BudgetPeriod::Month,
        limit: BudgetLimit {
            cost: Some(MicroUsd(12_345_678)),
            tokens: None,
        },
        ..budget(BudgetSubject::User(user("alice")), 0)
    };
    let budgets = [budget(session, 7), month];
    for budget in &budgets {
        stores.budgets.set(budget, &act()).await.unwrap();
    }
    assert_eq!(stores.budgets.list(10).await.unwrap(), budgets);
    assert_eq!(stores.budgets.list(1).await.unwrap(), budgets[..1]);
}

/// A subject has one budget for each period.
pub async fn setting_again_replaces(stores: Stores) {
    let subject = BudgetSubject::User(user("alice"));
    let (first, second) = (budget(subject.clone(), 7), budget(subject, 8));
    stores.budgets.set(&first, &act()).await.unwrap();
    stores.budgets.set(&second, &act()).await.unwrap();
    assert_eq!(stores.budgets.list(10).await.unwrap(), vec![second]);
}

/// The second time there is nothing to remove.
pub async fn a_budget_is_removed_once(stores: Stores) {
    let budget = budget(BudgetSubject::User(user("alice")), 7);
    stores.budgets.set(&budget, &act()).await.unwrap();
    let remove = || async {
        let (subject, period) = (&budget.subject, budget.period);
        stores
            .budgets
            .remove(subject, period, &act())
            .await
            .unwrap()
    };
    assert!(remove().await && !remove().await);
    assert_eq!(stores.budgets.list(10).await.unwrap(), Vec::new());
}

/// What nobody has spent in is zero.
pub async fn an_unused_window_is_empty(stores: Stores) {
    assert_eq!(spent(&stores, "alice").await, Spend::default());
}

/// A call counts in all of its windows and in no other, whether it is stored alone or with others.
pub async fn calls_count_in_their_windows(stores: Stores) {
    let calls = [
        ended(&["alice", "bob"], 10),
        ended(&["bob", "alice"], 20),
        ended(&["bob"], 5),
    ];
    stores.usage.append(&calls).await.unwrap();
    stores.usage.append(&[ended(&["alice"], 1)]).await.unwrap();
    assert_eq!(spent(&stores, "alice").await, calls_of(31));
    assert_eq!(spent(&stores, "bob").await, calls_of(35));
    assert_eq!(spent(&stores, "carol").await, Spend::default());
    let order = ["bob", "carol", "alice"].map(window);
    let all = stores.budgets.spent(&order).await.unwrap();
    assert_eq!(all, [calls_of(35), Spend::default(), calls_of(31)]);
}

/// Nothing is lost of what is counted at the same time.
pub async fn calls_count_side_by_side(stores: Stores) {
    let many = (0..32).map(|n| {
        let names = if n % 2 == 0 {
            ["alice", "bob"]
        } else {
            ["bob", "alice"]
        };
        let usage = stores.usage.clone();
        tokio::spawn(async move { usage.append(&[ended(&names, 1)]).await })
    });
    for done in join_all(many).await {
        done.unwrap().unwrap();
    }
    assert_eq!(spent(&stores, "alice").await, calls_of(32));
    assert_eq!(spent(&stores, "bob").await, calls_of(32));
}

/// Windows do not pile up.
pub async fn old_windows_are_forgotten(stores: Stores) {
    stores.usage.append(&[ended(&["alice"], 9)]).await.unwrap();
    stores.budgets.forget_windows(at(0)).await.unwrap();
    assert_eq!(spent(&stores, "alice").await, calls_of(9));
    stores.budgets.forget_windows(at(1)).await.unwrap();
    assert_eq!(spent(&stores, "alice").await, Spend::default());
}
