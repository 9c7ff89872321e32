//! How well spending is held to budgets over a [`BudgetRepository`](majordomo_application::ports::BudgetRepository).

use std::sync::Arc;

use futures_util::future::join_all;
use majordomo_application::usage::{
    Accounting, BudgetConfig, Budgets, Ending, Payer, PeriodLimits, PlannedCall, PriceTable,
    UsageSpool,
};
use majordomo_domain::{
    ApiKeyId, BudgetLimit, BudgetSubject, BudgetWindow, ModelRef, Spend, Usage,
};

use super::Stores;
use crate::builders::{run_id, session_id, user};
use crate::clock::FixedClock;

/// How many tokens may be spent in a month by a user, with a key and in a session.
const LIMITS: (u64, u64, u64) = (3_000, 2_000, 1_000);

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn tokens(tokens: u64) -> PeriodLimits {
    PeriodLimits {
        month: BudgetLimit {
            cost: None,
            tokens: Some(tokens),
        },
        ..PeriodLimits::default()
    }
}

async fn open(stores: &Stores) -> (Accounting, Arc<Budgets>) {
    let config = BudgetConfig {
        user: tokens(LIMITS.0),
        key: tokens(LIMITS.1),
        session: tokens(LIMITS.2),
        ..BudgetConfig::default()
    };
    let clock = Arc::new(FixedClock::default());
    let budgets = Budgets::open(stores.budgets.clone(), clock.clone(), config).await;
    let budgets = budgets.unwrap_or_else(|error| panic!("the budgets cannot be read: {error}"));
    let spool = UsageSpool::start(stores.usage.clone());
    let prices = PriceTable::default();
    let accounting = Accounting::new(Arc::default(), prices, budgets.clone(), spool, clock);
    (accounting, budgets)
}

/// A call of one of two sessions, with one of two keys or none.
fn payer(name: &str, numbers: &mut Numbers) -> Payer {
    let key = numbers.below(3);
    Payer {
        user: user(name),
        key: (key > 0).then(|| ApiKeyId::parse(format!("{name}-key-{key}")).unwrap()),
        session: Some(session_id(&format!("s-{}", numbers.below(2)))),
        run: Some(run_id(&format!("r-{}", numbers.below(4)))),
    }
}

fn plan(payer: Payer, prompt: u64) -> PlannedCall {
    let mut call = PlannedCall::new(payer, ModelRef::new("mock", "model"), prompt);
    call.max_output_tokens = Some(0);
    call
}

fn used(input_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        ..Usage::default()
    }
}

/// What was spent in every window of the user, with the most that may be.
async fn windows(stores: &Stores, name: &str) -> Vec<(u64, Spend)> {
    let key = |n| BudgetSubject::Key(ApiKeyId::parse(format!("{name}-key-{n}")).unwrap());
    let session = |n| BudgetSubject::Session(user(name), session_id(&format!("s-{n}")));
    let subjects = [
        (LIMITS.0, BudgetSubject::User(user(name))),
        (LIMITS.1, key(1)),
        (LIMITS.1, key(2)),
        (LIMITS.2, session(0)),
        (LIMITS.2, session(1)),
    ];
    let now = FixedClock::default();
    let period = majordomo_domain::BudgetPeriod::Month;
    let starts_at = period.start(majordomo_application::ports::Clock::now(&now));
    let plain: Vec<_> = subjects
        .iter()
        .map(|(_, subject)| BudgetWindow {
            subject: subject.clone(),
            period,
            starts_at,
        })
        .collect();
    let spent = stores.budgets.spent(&plain).await.unwrap();
    let limits = subjects.into_iter().map(|(limit, _)| limit);
    limits.zip(spent).collect()
}

/// However many calls a user makes at the same time, with whichever keys and in whichever sessions and runs: as long as
/// none costs more than twice its estimate, no budget is passed by more than one call's error of estimate.
pub async fn overspend_is_at_most_one_calls_error_of_estimate(stores: Stores) {
    for case in 1..=8_u64 {
        let mut numbers = Numbers(case.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let name = format!("user-{case}");
        let (accounting, _) = open(&stores).await;
        let calls: Vec<_> = (0..24)
            .map(|_| {
                let (estimate, percent) = (1 + numbers.below(400), numbers.below(201));
                (
                    payer(&name, &mut numbers),
                    estimate,
                    estimate * percent / 100,
                )
            })
            .collect();
        let work = calls.into_iter().map(|(payer, estimate, cost)| {
            let accounting = accounting.clone();
            tokio::spawn(async move {
                let Ok(call) = accounting.begin(plan(payer, estimate)).await else {
                    return 0;
                };
                tokio::task::yield_now().await;
                call.end_alone(Ending::Succeeded, used(cost.max(1)), 0);
                cost.max(1).saturating_sub(estimate)
            })
        });
        let errors = join_all(work).await.into_iter().map(Result::unwrap);
        let error = errors.max().unwrap_or_default();
        accounting.flush().await;
        for (limit, spent) in windows(&stores, &name).await {
            let spent = spent.tokens;
            assert!(
                spent <= limit + error,
                "case {case}: {spent} of {limit}, error {error}"
            );
        }
    }
}

/// What calls had set aside when their process died is free again when the next one starts; what was spent stays spent.
pub async fn a_process_that_died_holds_nothing(stores: Stores) {
    let name = "mortal";
    let payer = Payer {
        user: user(name),
        key: None,
        session: None,
        run: None,
    };
    let (accounting, _) = open(&stores).await;
    let call = accounting.begin(plan(payer.clone(), 900)).await.unwrap();
    call.end_alone(Ending::Succeeded, used(1000), 0);
    for _ in 0..2 {
        let call = accounting.begin(plan(payer.clone(), 450)).await.unwrap();
        // The process dies: nothing is given back.
        std::mem::forget(call);
    }
    accounting.flush().await;

    let (accounting, _) = open(&stores).await;
    let whole = accounting.begin(plan(payer.clone(), 2000)).await.unwrap();
    whole.end_alone(Ending::Succeeded, used(2000), 0);
    assert!(accounting.begin(plan(payer, 1)).await.is_err());
    accounting.flush().await;
    assert_eq!(windows(&stores, name).await[0].1.tokens, LIMITS.0);
}
