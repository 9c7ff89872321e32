//! What [`BudgetRepository`](majordomo_application::ports::BudgetRepository) must do.

use futures_util::future::join_all;
use majordomo_application::ports::{LimitedWindow, WindowFull};
use majordomo_domain::{
    AuditRecord, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, MicroUsd, Spend,
    WindowUse,
};

use super::Stores;
use crate::builders::{at, session_id, user};

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

const fn tokens(tokens: u64) -> Spend {
    Spend {
        cost: MicroUsd(0),
        tokens,
    }
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

fn limited(name: &str, most: u64) -> LimitedWindow {
    LimitedWindow {
        window: window(name),
        limit: tokens_limit(most),
    }
}

async fn reserve(
    stores: &Stores,
    windows: &[LimitedWindow],
    estimate: u64,
) -> Result<(), WindowFull> {
    let reserved = stores.budgets.reserve(windows, tokens(estimate)).await;
    reserved.unwrap()
}

async fn settle(stores: &Stores, name: &str, estimate: u64, spent: u64) -> WindowUse {
    let settled = stores
        .budgets
        .settle(&[window(name)], tokens(estimate), tokens(spent))
        .await;
    settled.unwrap()[0]
}

async fn used(stores: &Stores, name: &str) -> WindowUse {
    stores.budgets.used(&[window(name)]).await.unwrap()[0]
}

fn idle(spent: u64) -> WindowUse {
    WindowUse {
        spent: tokens(spent),
        ..WindowUse::default()
    }
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
    assert_eq!(used(&stores, "alice").await, WindowUse::default());
}

/// The estimate is set aside in every window.
pub async fn reserving_sets_the_estimate_aside(stores: Stores) {
    let windows = [limited("bob", 100), limited("alice", 100)];
    reserve(&stores, &windows, 10).await.unwrap();
    let expected = WindowUse {
        reserved: tokens(10),
        open_calls: 1,
        ..WindowUse::default()
    };
    assert_eq!(used(&stores, "alice").await, expected);
    assert_eq!(used(&stores, "bob").await, expected);
    assert_eq!(used(&stores, "carol").await, WindowUse::default());
}

/// The refusal tells what was in the way.
pub async fn what_does_not_fit_is_refused_and_changes_nothing(stores: Stores) {
    let alice = limited("alice", 100);
    reserve(&stores, std::slice::from_ref(&alice), 60)
        .await
        .unwrap();
    settle(&stores, "alice", 60, 70).await;
    let full = reserve(&stores, std::slice::from_ref(&alice), 31).await;
    let expected = WindowFull {
        window: alice,
        used: idle(70),
    };
    assert_eq!(full, Err(expected));
    assert_eq!(used(&stores, "alice").await, idle(70));
}

/// All windows or none, in whichever order they are named.
pub async fn one_full_window_keeps_the_others_as_they_were(stores: Stores) {
    let windows = [
        limited("zoe", 100),
        limited("bob", 5),
        limited("alice", 100),
    ];
    assert!(reserve(&stores, &windows, 10).await.is_err());
    for name in ["alice", "bob", "zoe"] {
        assert_eq!(used(&stores, name).await, WindowUse::default());
    }
}

/// What was spent replaces what was set aside, be it more or less.
pub async fn settling_puts_what_was_spent_in_place(stores: Stores) {
    let alice = [limited("alice", 1000)];
    reserve(&stores, &alice, 10).await.unwrap();
    reserve(&stores, &alice, 20).await.unwrap();
    let after = settle(&stores, "alice", 10, 15).await;
    let expected = WindowUse {
        spent: tokens(15),
        reserved: tokens(20),
        open_calls: 1,
    };
    assert_eq!(after, expected);
    assert_eq!(settle(&stores, "alice", 20, 0).await, idle(15));
    assert_eq!(used(&stores, "alice").await, idle(15));
}

/// Side by side only where twice the estimates fit.
pub async fn calls_near_the_limit_go_one_at_a_time(stores: Stores) {
    let alice = [limited("alice", 100)];
    reserve(&stores, &alice, 60).await.unwrap();
    assert!(reserve(&stores, &alice, 1).await.is_err());
    settle(&stores, "alice", 60, 50).await;
    reserve(&stores, &alice, 10).await.unwrap();
    reserve(&stores, &alice, 15).await.unwrap();
}

/// Of many that begin at the same time only as many are admitted as fit.
pub async fn concurrent_calls_never_pass_the_limit(stores: Stores) {
    let windows = [limited("alice", 100), limited("bob", 1000)];
    let calls = (0..32).map(|_| reserve(&stores, &windows, 5));
    let admitted = join_all(calls).await.into_iter().flatten();
    assert_eq!(admitted.count(), 10);
    let settled = (0..10).map(|_| settle(&stores, "alice", 5, 10));
    join_all(settled).await;
    assert_eq!(used(&stores, "alice").await, idle(100));
    assert_eq!(used(&stores, "bob").await.open_calls, 10);
    assert!(reserve(&stores, &windows, 1).await.is_err());
}

/// After the death of a process nothing is set aside; what was spent stays.
pub async fn releasing_gives_up_what_is_set_aside(stores: Stores) {
    let alice = [limited("alice", 100)];
    reserve(&stores, &alice, 10).await.unwrap();
    settle(&stores, "alice", 10, 9).await;
    reserve(&stores, &alice, 10).await.unwrap();
    stores.budgets.release_all(at(0)).await.unwrap();
    assert_eq!(used(&stores, "alice").await, idle(9));
}

/// Windows do not pile up.
pub async fn releasing_forgets_old_windows(stores: Stores) {
    reserve(&stores, &[limited("alice", 100)], 10)
        .await
        .unwrap();
    settle(&stores, "alice", 10, 9).await;
    stores.budgets.release_all(at(1)).await.unwrap();
    assert_eq!(used(&stores, "alice").await, WindowUse::default());
}
