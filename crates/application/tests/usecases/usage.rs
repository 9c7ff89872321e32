//! Counting, pricing and limiting model calls.

mod held;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _};
use majordomo_application::ServiceError as _;
use majordomo_application::chat::{ChatError, UserLimits};
use majordomo_application::events::SystemEventKind;
use majordomo_application::models::{CompletionError, CompletionService, InferenceMetrics};
use majordomo_application::ports::{
    FinishReason, ModelDelta, ModelMessage, ModelRequest, SessionRepository, UsageLedger as _,
};
use majordomo_application::usage::{
    Accounting, BudgetConfig, BudgetError, BudgetStatus, Budgets, Ending, ModelCall, Payer,
    PeriodLimits, PlannedCall, Price, PriceTable, UsageError, UsageService, UsageSpool,
};
use majordomo_domain::{
    ApiKeyId, BudgetLimit, BudgetPeriod, BudgetSubject, CredentialKind, MicroUsd, ModelRef, Scope,
    Scopes, Timestamp, Usage, UsageRecord, UserId, UserRole,
};
use majordomo_testkit::{FailingStore, FixedClock, Gate, InMemoryStore, Script, Stores};
use proptest::prelude::*;

use crate::support::{Options, World, alice, caller, drain, say, session};

/// Books over one store.
struct Books {
    store: Arc<InMemoryStore>,
    failing: Arc<FailingStore>,
    metrics: Arc<InferenceMetrics>,
    budgets: Arc<Budgets>,
    usage: UsageService,
}

impl Books {
    async fn keeping(config: BudgetConfig) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let failing = Arc::new(FailingStore::around(&Stores::of(store.clone())));
        let metrics = Arc::new(InferenceMetrics::default());
        let clock = Arc::new(FixedClock::default());
        let budgets = Budgets::open(failing.clone(), clock.clone(), config).await;
        let budgets = budgets.unwrap();
        let price = Price::per_million(2.0, Some(1.0), 4.0);
        let accounting = Accounting::new(
            metrics.clone(),
            PriceTable::new("2026-02", [("mock/model".to_owned(), price)]),
            budgets.clone(),
            UsageSpool::start(failing.clone()),
            clock.clone(),
        );
        let usage = UsageService::new(failing.clone(), budgets.clone(), accounting, clock);
        Self {
            store,
            failing,
            metrics,
            budgets,
            usage,
        }
    }

    fn world(&self, scripts: impl IntoIterator<Item = Script>) -> World {
        let options = Options {
            store: self.store.clone(),
            accounting: Some(self.usage.accounting().clone()),
            ..Options::default()
        };
        World::with(scripts, options)
    }

    async fn recorded(&self, name: &str) -> Vec<UsageRecord> {
        self.usage.accounting().flush().await;
        let user = UserId::parse(name).unwrap();
        self.store.recent(&user, 100).await.unwrap()
    }

    fn begin(
        &self,
        payer: Payer,
        prompt: u64,
        most: u64,
    ) -> impl Future<Output = Result<ModelCall, BudgetError>> + use<> {
        let accounting = self.usage.accounting().clone();
        let mut call = PlannedCall::new(payer, model(), prompt);
        call.max_output_tokens = Some(most);
        async move { accounting.begin(call).await }
    }
}

fn model() -> ModelRef {
    ModelRef::new("mock", "model")
}

fn tokens_a_day(tokens: u64) -> PeriodLimits {
    PeriodLimits {
        day: tokens_limit(tokens),
        ..PeriodLimits::default()
    }
}

fn tokens_limit(tokens: u64) -> BudgetLimit {
    BudgetLimit {
        tokens: Some(tokens),
        cost: None,
    }
}

fn used(input_tokens: u64, cached_input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens,
    }
}

fn answer(text: &str, usage: Usage) -> Script {
    Script::new()
        .text(text)
        .delta(ModelDelta::Usage(usage))
        .delta(ModelDelta::Finish(FinishReason::Stop))
}

/// Asks for the calculator.
fn calculates(usage: Usage) -> Script {
    Script::new()
        .delta(ModelDelta::ToolCallStarted {
            index: 0,
            id: "c".to_owned(),
            name: "calculator".to_owned(),
        })
        .delta(ModelDelta::ToolCallArguments {
            index: 0,
            fragment: r#"{"expression":"1+1"}"#.to_owned(),
        })
        .delta(ModelDelta::Usage(usage))
        .delta(ModelDelta::Finish(FinishReason::ToolCalls))
}

fn exhausted(error: &BudgetError) -> bool {
    matches!(error, BudgetError::Exhausted { .. })
}

#[tokio::test]
async fn a_turn_records_each_of_its_model_calls_with_its_price() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let world = books.world([calculates(used(100, 40, 10)), answer("2", used(130, 0, 5))]);
    let turn = world.chat.send(&alice(), say("s", "1+1?")).await.unwrap();
    let run = turn.run.clone();
    drain(turn.into_events()).await;

    let mut calls = books.recorded("alice").await;
    assert_eq!(calls.len(), 2);
    calls.sort_by_key(|call| call.usage.input_tokens);
    let (first, second) = (&calls[0], &calls[1]);
    // 60 x 2 + 40 x 1 + 10 x 4
    assert_eq!(
        (first.usage, first.cost),
        (used(100, 40, 10), MicroUsd(200))
    );
    assert_eq!(
        (second.usage, second.cost),
        (used(130, 0, 5), MicroUsd(280))
    );
    for call in [first, second] {
        assert_eq!(call.model, model());
        assert_eq!(
            (&call.run, &call.session),
            (&Some(run.clone()), &Some(session("s")))
        );
        assert_eq!(call.price_version.as_deref(), Some("2026-02"));
        assert!(!call.estimated);
    }
    let counts = books.metrics.read();
    assert_eq!((counts.succeeded, counts.tokens), (2, 245));
    let report = books.usage.report(&alice(), None).await.unwrap();
    assert_eq!((report.calls, report.cost), (2, MicroUsd(480)));
    let other = books.usage.report(&caller("bob"), None).await.unwrap();
    assert_eq!(other.calls, 0);
}

#[tokio::test]
async fn what_a_provider_does_not_tell_is_estimated_and_marked() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let silent = Script::new()
        .text("twelve bytes")
        .delta(ModelDelta::Finish(FinishReason::Stop));
    let world = books.world([silent]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    drain(turn.into_events()).await;
    let calls = books.recorded("alice").await;
    assert!(calls[0].estimated);
    assert_eq!(calls[0].usage.output_tokens, 3);
    assert!(calls[0].usage.input_tokens > 0);
}

#[tokio::test]
async fn a_stopped_turn_pays_for_what_was_written() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let gate = Gate::closed();
    let world = books.world([Script::new().text("eight by").wait(&gate).text("never")]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    let mut events = turn.into_events();
    loop {
        let batch = events.next_batch().await.unwrap();
        let shown = |event: &Arc<majordomo_domain::RunEvent>| {
            matches!(event.kind, majordomo_domain::RunEventKind::Text(_))
        };
        if batch.iter().any(shown) {
            break;
        }
    }
    world.chat.stop(&alice(), &session("s")).unwrap();
    drain(events).await;
    let calls = books.recorded("alice").await;
    assert_eq!(calls.len(), 1);
    assert!(calls[0].estimated);
    assert_eq!(calls[0].usage.output_tokens, 2);
    let counts = books.metrics.read();
    assert_eq!((counts.succeeded, counts.failed), (0, 0));
    assert_eq!(counts.tokens, calls[0].usage.total_tokens());
}

#[tokio::test]
async fn a_call_without_session_is_stored_a_little_later() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let world = books.world([answer("hi", used(7, 0, 2)), answer("hi", used(7, 0, 2))]);
    let completions =
        CompletionService::new(world.models.clone(), books.usage.accounting().clone());
    let key = ApiKeyId::parse("key-1").unwrap();
    let with_key = majordomo_application::Caller::new(
        UserId::parse("alice").unwrap(),
        UserRole::Member,
        [Scope::Chat].into_iter().collect::<Scopes>(),
        CredentialKind::ApiKey(key.clone()),
    );
    let request = || {
        let said = ModelMessage::User {
            text: "hello".to_owned(),
            images: Vec::new(),
        };
        ModelRequest::new("model", vec![said])
    };
    books.failing.fail("usage.append", 1);
    let stream = completions.ask(&with_key, &model(), request()).await;
    assert!(stream.unwrap().all(async |delta| delta.is_ok()).await);
    books.usage.accounting().flush().await;
    // The first try failed; nothing is lost, and nothing is stored twice.
    let calls = books.recorded("alice").await;
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0].key, &calls[0].run), (&Some(key), &None));
    assert_eq!(calls[0].usage, used(7, 0, 2));

    // One that is given up is paid for.
    drop(
        completions
            .ask(&with_key, &model(), request())
            .await
            .unwrap(),
    );
    assert_eq!(books.recorded("alice").await.len(), 2);
}

#[tokio::test]
async fn without_budgets_a_turn_asks_storage_for_nothing_more() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let before = books.failing.calls();
    let world = books.world([answer("hi", used(7, 0, 2))]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    drain(turn.into_events()).await;
    assert_eq!(books.failing.calls(), before);
}

#[tokio::test]
async fn a_used_up_budget_refuses_before_anything_is_stored() {
    let config = BudgetConfig {
        user: tokens_a_day(3_000),
        ..BudgetConfig::default()
    };
    let books = Books::keeping(config).await;
    let world = books.world([
        answer("hi", used(2_990, 0, 10)),
        answer("hi", used(1, 0, 1)),
    ]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    drain(turn.into_events()).await;
    let Err(ChatError::Budget(error)) = world.chat.send(&alice(), say("t", "more")).await else {
        panic!("the budget is used up");
    };
    assert!(exhausted(&error));
    assert_eq!(error.code(), "budget_exceeded");
    let (user, unseen) = (alice().user, session("t"));
    let found = SessionRepository::find(&*books.store, &user, &unseen).await;
    assert_eq!(found.unwrap(), None);
    // Another user has a budget of their own.
    assert!(
        world
            .chat
            .send(&caller("bob"), say("s", "hello"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn budgets_of_keys_and_sessions_count_apart() {
    let books = Books::keeping(BudgetConfig {
        key: tokens_a_day(100),
        session: tokens_a_day(100),
        ..BudgetConfig::default()
    })
    .await;
    let plain = Payer::of(&alice());
    let keyed = Payer {
        key: ApiKeyId::parse("key-1").ok(),
        ..plain.clone()
    };
    assert!(books.begin(keyed.clone(), 60, 60).await.is_err());
    assert!(
        books
            .begin(plain.clone().in_session(&session("s")), 60, 60)
            .await
            .is_err()
    );
    let call = books.begin(keyed.clone(), 40, 40).await.unwrap();
    call.end_alone(Ending::Succeeded, used(50, 0, 40), 0);
    assert!(books.begin(plain, 1_000, 1_000).await.is_ok());
    let error = books.begin(keyed, 40, 40).await.err().unwrap();
    assert!(exhausted(&error));
    assert!(error.public_message().contains("this API key"));
}

#[tokio::test]
async fn budgets_in_dollars_follow_the_prices() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let alice = alice();
    let (subject, day) = (BudgetSubject::User(alice.user.clone()), BudgetPeriod::Day);
    let limit = BudgetLimit {
        cost: MicroUsd::from_usd(0.001),
        tokens: None,
    };
    let set = books.budgets.set_limit(&alice, subject.clone(), day, limit);
    set.await.unwrap();
    // 250 x 2 + 100 x 4 = 900 of 1000
    let call = books.begin(Payer::of(&alice), 250, 100).await.unwrap();
    let ended = call.end(Ending::Succeeded, used(250, 0, 100), 0, Timestamp::EPOCH);
    assert_eq!(ended.unwrap().record.cost, MicroUsd(900));
    assert!(books.begin(Payer::of(&alice), 50, 25).await.is_err());
    let status = books.budgets.visible(&alice).await.unwrap();
    assert_eq!(status[0].used.spent.cost, MicroUsd(900));
    assert!(status[0].is_warned && !status[0].is_exhausted);
    books
        .budgets
        .remove_limit(&alice, &subject, day)
        .await
        .unwrap();
    assert!(books.begin(Payer::of(&alice), 50, 25).await.is_ok());
    let again = books.budgets.remove_limit(&alice, &subject, day).await;
    assert!(matches!(again, Err(UsageError::BudgetNotFound)));
}

#[tokio::test]
async fn only_the_operator_sets_budgets_and_clearing_the_ledger_lifts_none() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(100),
        ..BudgetConfig::default()
    })
    .await;
    let alice = alice();
    let member = majordomo_application::Caller::new(
        alice.user.clone(),
        UserRole::Member,
        Scopes::full(),
        CredentialKind::MasterToken,
    );
    let subject = BudgetSubject::User(alice.user.clone());
    let set = books
        .budgets
        .set_limit(&member, subject, BudgetPeriod::Day, BudgetLimit::default());
    assert!(matches!(set.await, Err(UsageError::Denied(_))));
    let others = BudgetSubject::User(UserId::parse("bob").unwrap());
    let set = books
        .budgets
        .set_limit(&alice, others, BudgetPeriod::Day, tokens_limit(7));
    set.await.unwrap();
    let seen = |shown: Vec<BudgetStatus>| -> Vec<(String, bool)> {
        let shown = shown.into_iter();
        shown
            .map(|status| (status.window.window.subject.to_string(), status.is_default))
            .collect()
    };
    let own = ("user:alice".to_owned(), true);
    let shown = books.budgets.visible(&member).await.unwrap();
    assert_eq!(seen(shown), std::slice::from_ref(&own));
    let shown = books.budgets.visible(&alice).await.unwrap();
    assert_eq!(seen(shown), [("user:bob".to_owned(), false), own]);

    let call = books.begin(Payer::of(&alice), 50, 50).await.unwrap();
    call.end_alone(Ending::Succeeded, used(50, 0, 50), 0);
    assert_eq!(books.recorded("alice").await.len(), 1);
    books.usage.clear(&alice).await.unwrap();
    assert_eq!(books.recorded("alice").await, Vec::new());
    assert!(books.begin(Payer::of(&alice), 1, 1).await.is_err());
}

#[tokio::test]
async fn a_warning_comes_once_for_each_mark() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(100),
        ..BudgetConfig::default()
    })
    .await;
    let world = books.world([]);
    books.budgets.tell_through(world.chat.event_bus().clone());
    let mut told = world.chat.listen(&alice(), None).unwrap();
    let mut others = world.chat.listen(&caller("bob"), None).unwrap();
    for (spent, expected) in [(70, (0, 0)), (15, (1, 0)), (5, (1, 0)), (10, (1, 1))] {
        let call = books.begin(Payer::of(&alice()), spent, 0).await.unwrap();
        drop(call.end(Ending::Succeeded, used(spent, 0, 0), 0, Timestamp::EPOCH));
        let counts = books.budgets.counts();
        assert_eq!(
            (counts.warnings, counts.exhaustions),
            expected,
            "after {spent} more"
        );
    }
    let told: Vec<_> = told
        .next_batch()
        .await
        .iter()
        .map(|event| match &event.kind {
            SystemEventKind::Budget(status) => (
                status.used.spent.tokens,
                status.is_warned,
                status.is_exhausted,
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(85, true, false), (100, true, true)]);
    assert!(others.next_batch().now_or_never().is_none());
    assert_eq!(books.budgets.counts().refusals, 0);
    assert!(books.begin(Payer::of(&alice()), 1, 1).await.is_err());
    assert_eq!(books.budgets.counts().refusals, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_near_the_limit_wait_for_one_another_and_dropped_ones_give_back() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(100),
        ..BudgetConfig::default()
    })
    .await;
    let first = books.begin(Payer::of(&alice()), 60, 0).await.unwrap();
    // The rest may be used up: nobody who waits is admitted in time.
    let waited = books.begin(Payer::of(&alice()), 40, 0).await;
    assert_eq!(waited.err(), Some(BudgetError::Reserved));
    let waiting = tokio::spawn(books.begin(Payer::of(&alice()), 40, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    drop(first);
    let second = waiting.await.unwrap();
    // The first one was given up: its prompt is paid for, its answer was none.
    assert!(second.is_ok());
}

#[tokio::test]
async fn a_user_with_too_many_turns_is_refused_while_others_are_not() {
    let gate = Gate::closed();
    let held = || Script::new().wait(&gate).text("x").finish();
    let world = World::playing([held(), held(), held()]);
    world.chat.limit_users(UserLimits {
        max_concurrent_runs: 1,
        max_accepted_runs: 2,
    });
    let first = world.chat.send(&alice(), say("a", "1")).await.unwrap();
    let second = world.chat.send(&alice(), say("b", "2")).await.unwrap();
    let third = world.chat.send(&alice(), say("c", "3")).await;
    let Err(error) = third else {
        panic!("one too many");
    };
    assert_eq!(error.code(), "user_queue_full");
    let other = world
        .chat
        .send(&caller("bob"), say("a", "1"))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let load = world.chat.load();
    assert_eq!((load.running, load.waiting, load.accepted), (2, 1, 3));
    gate.open();
    for turn in [first, second, other] {
        drain(turn.into_events()).await;
    }
}

/// A call: what it is estimated at, and its cost in percent of that.
type Call = (u64, u64);

/// Begins all calls at once; gives what was spent, and the largest error of an estimate.
async fn spend(limit: u64, calls: Vec<Call>) -> (u64, u64) {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(limit),
        ..BudgetConfig::default()
    })
    .await;
    let work = calls.into_iter().map(|(estimate, percent)| {
        let begun = books.begin(Payer::of(&alice()), estimate, 0);
        async move {
            let Ok(call) = begun.await else {
                return (0, 0);
            };
            let cost = (estimate * percent / 100).max(1);
            for _ in 0..estimate % 5 {
                tokio::task::yield_now().await;
            }
            drop(call.end(Ending::Succeeded, used(cost, 0, 0), 0, Timestamp::EPOCH));
            (cost, cost.saturating_sub(estimate))
        }
    });
    let done = join_all(work.map(tokio::spawn)).await;
    let done: Vec<(u64, u64)> = done.into_iter().map(Result::unwrap).collect();
    let spent = done.iter().map(|(cost, _)| cost).sum();
    let error = done.iter().map(|(_, error)| *error).max();
    let counted = books.budgets.own(&alice()).await.unwrap().remove(0).used;
    assert_eq!((counted.spent.tokens, counted.open_calls), (spent, 0));
    (spent, error.unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn overspend_is_never_above_one_calls_error_of_estimate(
        limit in 1_u64..2_000,
        calls in prop::collection::vec((1_u64..400, 0_u64..=200), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (spent, error) = runtime.block_on(spend(limit, calls));
        prop_assert!(spent <= limit + error, "spent {spent} of {limit}, error {error}");
    }
}

#[tokio::test]
async fn a_completion_is_refused_in_its_own_words() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(1),
        ..BudgetConfig::default()
    })
    .await;
    let world = books.world([answer("hi", used(1, 0, 1))]);
    let completions =
        CompletionService::new(world.models.clone(), books.usage.accounting().clone());
    let request = ModelRequest::new("model", Vec::new());
    let asked = completions.ask(&alice(), &model(), request).await;
    let Err(CompletionError::Budget(error)) = asked else {
        panic!("the budget is too small");
    };
    assert!(exhausted(&error));
}
