//! What [`UsageLedger`](majordomo_application::ports::UsageLedger) must do, and the end of a run with its calls.

use majordomo_application::ports::{Answer, EndedCall};
use majordomo_domain::{
    ApiKeyId, AuditRecord, BudgetPeriod, BudgetSubject, BudgetWindow, MicroUsd, ModelRef, Spend,
    Timestamp, Usage, UsageRecord, UsageSum,
};

use super::Stores;
use crate::builders::{answer, at, ended_call, erasure, run_id, session_id, turn, user};

/// A call of `owner` with `tokens` read, a third of them cached, and one written.
fn call(owner: &str, model: &str, tokens: u64, second: i64) -> UsageRecord {
    UsageRecord {
        model: ModelRef::new("mock", model),
        usage: Usage {
            input_tokens: tokens,
            output_tokens: 1,
            cached_input_tokens: tokens / 3,
        },
        cost: MicroUsd(tokens * 2),
        at: at(second),
        ..ended_call(owner, tokens, Vec::new()).record
    }
}

async fn append(stores: &Stores, calls: &[UsageRecord]) {
    let calls: Vec<EndedCall> = calls.iter().cloned().map(unlimited).collect();
    stores.usage.append(&calls).await.unwrap();
}

/// A call to which no budget applied.
const fn unlimited(record: UsageRecord) -> EndedCall {
    EndedCall {
        record,
        windows: Vec::new(),
    }
}

/// What the ledger is to keep of the calls of a run.
fn records(end: &Answer) -> Vec<UsageRecord> {
    let calls = end.calls.iter();
    calls.map(|call| call.record.clone()).collect()
}

fn day() -> BudgetWindow {
    BudgetWindow {
        subject: BudgetSubject::User(user("alice")),
        period: BudgetPeriod::Day,
        starts_at: at(0),
    }
}

async fn spent(stores: &Stores) -> Spend {
    stores.budgets.spent(&[day()]).await.unwrap()[0]
}

async fn recent(stores: &Stores, owner: &str) -> Vec<UsageRecord> {
    stores.usage.recent(&user(owner), 100).await.unwrap()
}

async fn sums(stores: &Stores, owner: &str, since: Option<Timestamp>) -> Vec<UsageSum> {
    stores.usage.sums(&user(owner), since, 100).await.unwrap()
}

fn cleared() -> AuditRecord {
    AuditRecord::of_system("usage.clear", at(1))
}

/// Nothing of a call is lost.
pub async fn a_call_reads_back(stores: Stores) {
    let full = UsageRecord {
        key: Some(ApiKeyId::parse("key-1").unwrap()),
        session: Some(session_id("s1")),
        run: Some(run_id("r1")),
        estimated: true,
        price_version: Some("2026-11".to_owned()),
        at: Timestamp::from_micros(1_770_000_000_123_457),
        ..call("alice", "small", 30, 0)
    };
    append(&stores, std::slice::from_ref(&full)).await;
    assert_eq!(recent(&stores, "alice").await, vec![full]);
}

/// What is absent stays absent.
pub async fn a_call_without_key_session_and_run_reads_back(stores: Stores) {
    let plain = call("alice", "small", 30, 1);
    append(&stores, std::slice::from_ref(&plain)).await;
    assert_eq!(recent(&stores, "alice").await, vec![plain]);
}

/// Callers may name a model as they like.
pub async fn names_of_models_read_back(stores: Stores) {
    let odd = call("alice", "a/b:c \0 é \"quoted\" 🦜", 30, 1);
    append(&stores, std::slice::from_ref(&odd)).await;
    assert_eq!(recent(&stores, "alice").await, vec![odd.clone()]);
    assert_eq!(sums(&stores, "alice", None).await[0].model, odd.model);
}

/// Each model has one sum, the one with most calls first.
pub async fn calls_are_added_up_by_model(stores: Stores) {
    let calls = [
        call("alice", "large", 300, 1),
        call("alice", "small", 30, 2),
        call("alice", "small", 60, 3),
    ];
    append(&stores, &calls).await;
    let sums = sums(&stores, "alice", None).await;
    let small = UsageSum {
        model: ModelRef::new("mock", "small"),
        usage: Usage {
            input_tokens: 90,
            output_tokens: 2,
            cached_input_tokens: 30,
        },
        cost: MicroUsd(180),
        calls: 2,
    };
    assert_eq!(sums[0], small);
    assert_eq!((sums.len(), sums[1].calls), (2, 1));
    assert_eq!(sums[1].cost, MicroUsd(600));
    let limited = stores.usage.sums(&user("alice"), None, 1).await.unwrap();
    assert_eq!(limited, vec![small]);
}

/// Calls before the point asked for do not count, one at that point does.
pub async fn sums_can_begin_later(stores: Stores) {
    let calls = [1, 2, 3].map(|second| call("alice", "small", 10, second));
    append(&stores, &calls).await;
    assert_eq!(sums(&stores, "alice", Some(at(2))).await[0].calls, 2);
    assert_eq!(sums(&stores, "alice", Some(at(4))).await, Vec::new());
}

/// The newest come first, and only as many as asked for.
pub async fn recent_calls_come_newest_first(stores: Stores) {
    append(
        &stores,
        &[1, 3].map(|second| call("alice", "m", 10, second)),
    )
    .await;
    append(
        &stores,
        &[2, 4].map(|second| call("alice", "m", 10, second)),
    )
    .await;
    let times = |calls: Vec<UsageRecord>| calls.iter().map(|call| call.at).collect::<Vec<_>>();
    let all = [4, 3, 2, 1].map(at);
    assert_eq!(times(recent(&stores, "alice").await), all);
    let two = stores.usage.recent(&user("alice"), 2).await.unwrap();
    assert_eq!(times(two), all[..2]);
}

/// Neither lists nor sums hold what is another's.
pub async fn other_owners_calls_are_never_seen(stores: Stores) {
    append(&stores, &[call("alice", "small", 10, 1)]).await;
    assert_eq!(recent(&stores, "bob").await, Vec::new());
    assert_eq!(sums(&stores, "bob", None).await, Vec::new());
}

/// Only the owner's calls go.
pub async fn clearing_forgets_the_owners_calls(stores: Stores) {
    let calls = [call("alice", "m", 10, 1), call("alice", "n", 10, 2)];
    append(&stores, &calls).await;
    append(&stores, &[call("bob", "m", 10, 1)]).await;
    let clear = stores.usage.clear(&user("alice"), &cleared()).await;
    assert_eq!(clear.unwrap(), 2);
    assert_eq!(recent(&stores, "alice").await, Vec::new());
    assert_eq!(recent(&stores, "bob").await.len(), 1);
    let again = stores.usage.clear(&user("alice"), &cleared()).await;
    assert_eq!(again.unwrap(), 0);
}

/// A turn of alice's and its end with one call.
async fn accepted(stores: &Stores) -> Answer {
    let turn = turn("alice", "s1", 1, "hello");
    stores.journal.accept(turn.clone()).await.unwrap();
    let call = UsageRecord {
        session: Some(turn.session.id.clone()),
        run: Some(turn.run.id.clone()),
        ..call("alice", "small", 30, 5)
    };
    Answer {
        calls: vec![EndedCall {
            record: call,
            windows: vec![day()],
        }],
        ..answer(&turn, "reply")
    }
}

/// One transaction holds the answer and what it cost.
pub async fn the_calls_of_a_turn_are_stored_with_its_end(stores: Stores) {
    let end = accepted(&stores).await;
    assert_eq!(recent(&stores, "alice").await, Vec::new());
    stores.journal.finish(end.clone()).await.unwrap();
    assert_eq!(spent(&stores).await, end.calls[0].record.spend());
    assert_eq!(recent(&stores, "alice").await, records(&end));
}

/// A retried end costs nothing more.
pub async fn the_calls_of_an_ended_turn_are_not_stored_again(stores: Stores) {
    let end = accepted(&stores).await;
    stores.journal.finish(end.clone()).await.unwrap();
    stores.journal.finish(end.clone()).await.unwrap();
    assert_eq!(spent(&stores).await, end.calls[0].record.spend());
    assert_eq!(recent(&stores, "alice").await, records(&end));
}

/// What was spent stays spent, whether the session goes before the turn ends or after.
pub async fn the_calls_of_a_deleted_session_are_kept(stores: Stores) {
    let end = accepted(&stores).await;
    stores
        .sessions
        .delete(
            &end.calls[0].record.owner,
            end.calls[0].record.session.as_ref().unwrap(),
            &erasure(),
        )
        .await
        .unwrap();
    stores.journal.finish(end.clone()).await.unwrap();
    assert_eq!(recent(&stores, "alice").await, records(&end));
    assert_eq!(spent(&stores).await, end.calls[0].record.spend());

    let end = accepted(&stores).await;
    stores.journal.finish(end.clone()).await.unwrap();
    stores
        .sessions
        .delete(
            &end.calls[0].record.owner,
            end.calls[0].record.session.as_ref().unwrap(),
            &erasure(),
        )
        .await
        .unwrap();
    assert_eq!(recent(&stores, "alice").await.len(), 2);
}
