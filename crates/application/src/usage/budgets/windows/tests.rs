//! What windows admit, count and forget.

use majordomo_domain::{BudgetPeriod, BudgetSubject, MicroUsd, Timestamp, UserId};

use super::*;

const fn tokens(tokens: u64) -> Spend {
    Spend {
        cost: MicroUsd(0),
        tokens,
    }
}

fn limited(name: &str, most: u64) -> LimitedWindow {
    LimitedWindow {
        window: BudgetWindow {
            subject: BudgetSubject::User(UserId::parse(name).unwrap()),
            period: BudgetPeriod::Day,
            starts_at: Timestamp::EPOCH,
        },
        limit: BudgetLimit {
            cost: None,
            tokens: Some(most),
        },
    }
}

fn unknown(windows: &Windows, names: &[LimitedWindow]) -> Unknown {
    windows
        .reserve(names, tokens(0))
        .err()
        .unwrap_or_else(|| panic!("the windows are known"))
}

/// Windows of which nothing has been spent.
fn learnt(names: &[LimitedWindow]) -> Windows {
    let windows = Windows::default();
    let unknown = unknown(&windows, names);
    let spent = vec![Spend::default(); unknown.windows.len()];
    windows.learn(unknown, spent);
    windows
}

fn reserve(windows: &Windows, limited: &[LimitedWindow], estimate: u64) -> Option<WindowFull> {
    windows
        .reserve(limited, tokens(estimate))
        .unwrap_or_else(|_| panic!("a window is not known"))
}

fn used(windows: &Windows, limited: &LimitedWindow) -> WindowUse {
    windows
        .used(std::slice::from_ref(&limited.window))
        .ok()
        .unwrap()[0]
}

fn idle(spent: u64) -> WindowUse {
    WindowUse {
        spent: tokens(spent),
        ..WindowUse::default()
    }
}

#[test]
fn what_was_spent_before_counts() {
    let windows = Windows::default();
    let alice = [limited("alice", 100)];
    let unknown = unknown(&windows, &alice);
    assert_eq!(unknown.windows, [alice[0].window.clone()]);
    windows.learn(unknown, vec![tokens(60)]);
    assert_eq!(used(&windows, &alice[0]), idle(60));
    assert!(reserve(&windows, &alice, 41).is_some());
    assert!(reserve(&windows, &alice, 40).is_none());
}

#[test]
fn what_is_known_by_now_stays_as_it_is() {
    let windows = Windows::default();
    let alice = [limited("alice", 100)];
    let (first, second) = (unknown(&windows, &alice), unknown(&windows, &alice));
    windows.learn(first, vec![tokens(10)]);
    assert_eq!(reserve(&windows, &alice, 5), None);
    windows.settle(&alice, tokens(5), tokens(5));
    windows.learn(second, vec![tokens(10)]);
    assert_eq!(used(&windows, &alice[0]), idle(15));
}

#[test]
fn the_estimate_is_set_aside_in_every_window_or_in_none() {
    let all = ["zoe", "bob", "alice"].map(|name| limited(name, 100));
    let windows = learnt(&all);
    assert_eq!(reserve(&windows, &all, 10), None);
    let expected = WindowUse {
        reserved: tokens(10),
        open_calls: 1,
        ..WindowUse::default()
    };
    assert!(all.iter().all(|one| used(&windows, one) == expected));
    let narrow = [all[0].clone(), limited("bob", 30), all[2].clone()];
    let full = WindowFull {
        window: narrow[1].clone(),
        used: expected,
    };
    assert_eq!(reserve(&windows, &narrow, 10), Some(full));
    assert!(all.iter().all(|one| used(&windows, one) == expected));
}

#[test]
fn settling_puts_what_was_spent_in_place() {
    let alice = [limited("alice", 1000)];
    let windows = learnt(&alice);
    assert_eq!(reserve(&windows, &alice, 10), None);
    assert_eq!(reserve(&windows, &alice, 20), None);
    let expected = WindowUse {
        spent: tokens(15),
        reserved: tokens(20),
        open_calls: 1,
    };
    assert_eq!(windows.settle(&alice, tokens(10), tokens(15)), [expected]);
    assert_eq!(windows.settle(&alice, tokens(20), tokens(0)), [idle(15)]);
    assert_eq!(used(&windows, &alice[0]), idle(15));
}

#[test]
fn calls_near_the_limit_go_one_at_a_time() {
    let alice = [limited("alice", 100)];
    let windows = learnt(&alice);
    assert_eq!(reserve(&windows, &alice, 60), None);
    assert!(reserve(&windows, &alice, 1).is_some());
    windows.settle(&alice, tokens(60), tokens(50));
    assert_eq!(reserve(&windows, &alice, 10), None);
    assert_eq!(reserve(&windows, &alice, 15), None);
}

#[tokio::test(start_paused = true)]
async fn only_unused_windows_are_forgotten_and_only_when_there_are_many() {
    let all: Vec<_> = (0..ROOM).map(|n| limited(&format!("u{n}"), 100)).collect();
    let windows = learnt(&all);
    assert_eq!(reserve(&windows, &all[..1], 10), None);
    let slow = unknown(&windows, &[limited("slow", 100)]);
    tokio::time::advance(UNUSED).await;
    assert_eq!(reserve(&windows, &all[1..2], 10), None);
    windows.settle(&all[1..2], tokens(10), tokens(10));

    let late = [limited("late", 100)];
    windows.learn(unknown(&windows, &late), vec![tokens(1)]);
    assert_eq!(windows.table().entries.len(), 3);
    assert_eq!(used(&windows, &all[0]).open_calls, 1);
    assert_eq!(used(&windows, &all[1]), idle(10));
    // What was read before windows were forgotten may be too old.
    windows.learn(slow, vec![tokens(1)]);
    assert_eq!(windows.table().entries.len(), 3);
}

#[test]
fn a_successor_has_spent_what_is_not_stored_yet() {
    let (former, successor) = (limited("former", 100), limited("successor", 100));
    let windows = learnt(std::slice::from_ref(&former));
    assert!(reserve(&windows, std::slice::from_ref(&former), 60).is_none());
    windows.settle(std::slice::from_ref(&former), tokens(60), tokens(70));
    // A call under way stays the former one's.
    assert!(reserve(&windows, std::slice::from_ref(&former), 10).is_none());
    windows.inherit(&former.window.subject, &successor.window.subject);
    assert_eq!(used(&windows, &successor), idle(70));
    let full = reserve(&windows, std::slice::from_ref(&successor), 40);
    assert!(full.is_some(), "70 of 100 are spent");
    assert!(reserve(&windows, std::slice::from_ref(&successor), 30).is_none());
}
