//! Calls are held to what was set aside for them.

use std::sync::Arc;

use majordomo_application::models::CompletionService;
use majordomo_application::ports::ModelRequest;
use majordomo_application::usage::{
    Accounting, BudgetConfig, BudgetError, Budgets, Ending, Payer, PeriodLimits, PlannedCall,
    Price, PriceTable, UsageSpool,
};
use majordomo_application::{ErrorKind, ServiceError as _};
use majordomo_domain::{BudgetLimit, MicroUsd, ModelRef, Timestamp};
use majordomo_testkit::{FixedClock, InMemoryStore};

use super::{Books, answer, calculates, exhausted, model, tokens_a_day, used};
use crate::support::{alice, drain, say};

/// Where a budget applies, no answer is longer than what was set aside for it.
#[tokio::test]
async fn answers_are_held_to_what_was_set_aside() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(20_000),
        ..BudgetConfig::default()
    })
    .await;
    let plan = |most: Option<u64>| {
        let mut call = PlannedCall::new(Payer::of(&alice()), model(), 100);
        call.max_output_tokens = most;
        call
    };
    for (asked, allowed) in [
        (None, 4096),
        (Some(50), 50),
        (Some(10_000), 10_000),
        // What does not fit is cut, not refused.
        (Some(32_000), 16_000),
    ] {
        let call = books.usage.accounting().begin(plan(asked)).await.unwrap();
        assert_eq!(call.max_output_tokens(), Some(allowed), "of {asked:?}");
        drop(call.end(Ending::Failed, used(0, 0, 0), 0, Timestamp::EPOCH));
    }
    // 300 answers at the same time cost 300 times as much.
    let mut many = plan(Some(100));
    many.answers = 300;
    let refused = books.usage.accounting().begin(many).await;
    assert!(exhausted(&refused.err().unwrap()));

    // Of 1000 tokens that are left, an answer may have what fits after the prompt; of too few, none.
    for (spent, allowed) in [(19_000, Some(512)), (450, Some(256)), (250, None)] {
        let call = books.begin(Payer::of(&alice()), spent, 0).await.unwrap();
        drop(call.end(Ending::Succeeded, used(spent, 0, 0), 0, Timestamp::EPOCH));
        let call = books.usage.accounting().begin(plan(None)).await;
        let most = call.ok().and_then(|call| {
            let most = call.max_output_tokens();
            drop(call.end(Ending::Failed, used(0, 0, 0), 0, Timestamp::EPOCH));
            most
        });
        assert_eq!(most, allowed, "after {spent} more");
        while books.budgets.own(&alice()).await.unwrap()[0]
            .used
            .open_calls
            > 0
        {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn models_are_told_the_limit_of_their_answers() {
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(20_000),
        max_output_tokens: 700,
        ..BudgetConfig::default()
    })
    .await;
    let world = books.world([answer("hi", used(1, 0, 1)), answer("hi", used(1, 0, 1))]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    drain(turn.into_events()).await;
    let completions =
        CompletionService::new(world.models.clone(), books.usage.accounting().clone());
    let request = ModelRequest::new("model", Vec::new());
    let asked = completions.ask(&alice(), &model(), request).await.unwrap();
    drop(asked);
    for request in world.model.requests() {
        assert_eq!(request.max_tokens, Some(700));
    }
    assert_eq!(world.model.requests().len(), 2);
}

#[tokio::test]
async fn without_a_budget_answers_may_have_any_length() {
    let books = Books::keeping(BudgetConfig::default()).await;
    let world = books.world([answer("hi", used(1, 0, 1))]);
    let turn = world.chat.send(&alice(), say("s", "hello")).await.unwrap();
    drain(turn.into_events()).await;
    assert_eq!(world.model.requests()[0].max_tokens, None);
}

#[tokio::test]
async fn a_budget_in_dollars_refuses_models_without_a_price() {
    let books = Books::keeping(BudgetConfig {
        user: PeriodLimits {
            day: BudgetLimit {
                cost: MicroUsd::from_usd(5.0),
                tokens: None,
            },
            ..PeriodLimits::default()
        },
        ..BudgetConfig::default()
    })
    .await;
    let unpriced = ModelRef::new("mock", "unknown");
    let refused = |call| async {
        let refused = books.usage.accounting().begin(call).await;
        refused.err().map(|error| (error.code(), error.kind()))
    };
    let call = PlannedCall::new(Payer::of(&alice()), unpriced.clone(), 10);
    let expected = Some(("model_unpriced", ErrorKind::Forbidden));
    assert_eq!(refused(call).await, expected);
    // So is one that may be answered by such a model.
    let mut call = PlannedCall::new(Payer::of(&alice()), model(), 10);
    assert_eq!(refused(call.clone()).await, None);
    call.fallback = vec![unpriced.clone()];
    assert_eq!(refused(call).await, expected);

    // A budget in tokens does not mind.
    let books = Books::keeping(BudgetConfig {
        user: tokens_a_day(20_000),
        ..BudgetConfig::default()
    })
    .await;
    let call = PlannedCall::new(Payer::of(&alice()), unpriced, 10);
    assert!(books.usage.accounting().begin(call).await.is_ok());
}

#[tokio::test]
async fn the_dearest_of_the_models_that_may_answer_is_set_aside() {
    let store = Arc::new(InMemoryStore::new());
    let clock = Arc::new(FixedClock::default());
    let config = BudgetConfig {
        user: PeriodLimits {
            day: BudgetLimit {
                cost: Some(MicroUsd(5_000)),
                tokens: None,
            },
            ..PeriodLimits::default()
        },
        ..BudgetConfig::default()
    };
    let budgets = Budgets::open(store.clone(), clock.clone(), config).await;
    let budgets = budgets.unwrap();
    let prices = [("mock/*", 1.0), ("spare/*", 10.0)]
        .map(|(name, price)| (name.to_owned(), Price::per_million(price, None, price)));
    let accounting = Accounting::new(
        Arc::default(),
        PriceTable::new("1", prices),
        budgets.clone(),
        UsageSpool::start(store),
        clock,
    );
    let mut call = PlannedCall::new(Payer::of(&alice()), model(), 100);
    call.max_output_tokens = Some(100);
    call.fallback = vec![ModelRef::new("spare", "s1")];
    let held = accounting.begin(call).await.unwrap();
    let status = budgets.own(&alice()).await.unwrap();
    assert_eq!(status[0].used.reserved.cost, MicroUsd(2_000));
    drop(held);
}

#[tokio::test]
async fn what_cannot_be_stored_at_once_counts_and_nothing_is_admitted_unchecked() {
    let config = BudgetConfig {
        user: tokens_a_day(100),
        ..BudgetConfig::default()
    };
    let books = Books::keeping(config.clone()).await;
    books.failing.fail("budgets.spent", 1);
    let refused = books.begin(Payer::of(&alice()), 1, 0).await;
    assert_eq!(refused.err(), Some(BudgetError::Unavailable));

    let call = books.begin(Payer::of(&alice()), 50, 0).await.unwrap();
    books.failing.fail("usage.append", 1);
    call.end_alone(Ending::Succeeded, used(60, 0, 0), 0);
    books.usage.accounting().flush().await;
    let status = books.budgets.own(&alice()).await.unwrap();
    assert_eq!(
        (status[0].used.spent.tokens, status[0].used.open_calls),
        (60, 0)
    );
    assert!(books.begin(Payer::of(&alice()), 50, 0).await.is_err());

    // The next process reads what was stored.
    books.usage.accounting().flush().await;
    let budgets = Budgets::open(books.store.clone(), Arc::new(FixedClock::default()), config);
    let status = budgets.await.unwrap().own(&alice()).await.unwrap();
    assert_eq!(status[0].used.spent.tokens, 60);
}

#[tokio::test]
async fn a_turn_counts_in_its_budgets_with_its_end_and_in_between() {
    let config = BudgetConfig {
        user: tokens_a_day(1_000_000),
        session: tokens_a_day(1_000_000),
        ..BudgetConfig::default()
    };
    let books = Books::keeping(config.clone()).await;
    let world = books.world([calculates(used(100, 0, 10)), answer("2", used(120, 0, 5))]);
    let turn = world.chat.send(&alice(), say("s", "1+1?")).await.unwrap();
    drain(turn.into_events()).await;
    books.usage.accounting().flush().await;
    let budgets = Budgets::open(books.store.clone(), Arc::new(FixedClock::default()), config);
    let stored = budgets.await.unwrap().own(&alice()).await.unwrap();
    let known = books.budgets.own(&alice()).await.unwrap();
    assert_eq!(stored[0].used.spent.tokens, 235);
    assert_eq!(known[0].used, stored[0].used);
}
