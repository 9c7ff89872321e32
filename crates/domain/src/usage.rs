//! What model calls cost, and how much may be spent.

use std::fmt;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};

use crate::{ApiKeyId, ModelRef, RunId, SessionId, Timestamp, Usage, UserId};

/// Money in millionths of a US dollar. A price of one dollar for a million tokens is one of these per token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// An amount of dollars, rounded to millionths; `None` for what is no amount of money, such as -1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within the range"
    )]
    pub fn from_usd(usd: f64) -> Option<Self> {
        let micros = (usd * 1_000_000.0).round();
        (0.0..1e15).contains(&micros).then_some(Self(micros as u64))
    }

    /// In dollars, for showing: sums are made of the whole numbers.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to nine billion dollars"
    )]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

/// One model call in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Who pays.
    pub owner: UserId,
    /// The API key that was shown, where there was one.
    pub key: Option<ApiKeyId>,
    /// The session the call belongs to, where there is one.
    pub session: Option<SessionId>,
    /// The run the call belongs to, where there is one.
    pub run: Option<RunId>,
    /// The model that answered.
    pub model: ModelRef,
    /// Its tokens.
    pub usage: Usage,
    /// Whether `usage` is our estimate because the provider did not tell.
    pub estimated: bool,
    /// What it cost.
    pub cost: MicroUsd,
    /// The version of the price table that `cost` was computed with; `None` for a model without a price.
    pub price_version: Option<String>,
    /// When the call ended.
    pub at: Timestamp,
}

impl UsageRecord {
    /// What it takes from budgets.
    pub fn spend(&self) -> Spend {
        Spend {
            cost: self.cost,
            tokens: self.usage.total_tokens(),
        }
    }
}

/// The calls of one model, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// The model.
    pub model: ModelRef,
    /// All tokens.
    pub usage: Usage,
    /// All costs.
    pub cost: MicroUsd,
    /// How many calls.
    pub calls: u64,
}

/// Money and tokens together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spend {
    /// Money.
    pub cost: MicroUsd,
    /// Tokens, read and written.
    pub tokens: u64,
}

impl Spend {
    /// The sum; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cost: MicroUsd(self.cost.0.saturating_add(other.cost.0)),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    /// The difference, not below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            cost: MicroUsd(self.cost.0.saturating_sub(other.cost.0)),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

/// Whose spending a budget limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetSubject {
    /// Everything a user does.
    User(UserId),
    /// Everything done with one API key.
    Key(ApiKeyId),
    /// Everything done in one session of a user.
    Session(UserId, SessionId),
}

impl BudgetSubject {
    /// Which kind of subject this is: `user`, `key` or `session`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::Session(..) => "session",
        }
    }

    /// Reads what [`Display`](fmt::Display) writes: `user:ID`, `key:ID`, `session:USER/ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        match kind {
            "user" => UserId::parse(id).ok().map(Self::User),
            "key" => ApiKeyId::parse(id).ok().map(Self::Key),
            "session" => {
                let (user, session) = id.split_once('/')?;
                let user = UserId::parse(user).ok()?;
                Some(Self::Session(user, SessionId::parse(session).ok()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for BudgetSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Key(key) => write!(f, "key:{key}"),
            Self::Session(user, session) => write!(f, "session:{user}/{session}"),
        }
    }
}

/// How long a budget lasts before it begins anew. Days and months are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl BudgetPeriod {
    /// Both periods.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// When the period that holds `now` began.
    pub fn start(self, now: Timestamp) -> Timestamp {
        at_midnight(self.first_day(now))
    }

    /// When the period that holds `now` ends and the next one begins.
    pub fn end(self, now: Timestamp) -> Timestamp {
        let first = self.first_day(now);
        let next = match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Month => first.checked_add_months(Months::new(1)),
        };
        at_midnight(next.unwrap_or(NaiveDate::MAX))
    }

    fn first_day(self, now: Timestamp) -> NaiveDate {
        let today = now.to_utc().date_naive();
        match self {
            Self::Day => today,
            Self::Month => today.with_day(1).unwrap_or(today),
        }
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn at_midnight(day: NaiveDate) -> Timestamp {
    let start: DateTime<Utc> = day.and_time(NaiveTime::MIN).and_utc();
    Timestamp::from_micros(start.timestamp_micros())
}

/// The most that may be spent in a period; `None` does not limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetLimit {
    /// Most money.
    pub cost: Option<MicroUsd>,
    /// Most tokens.
    pub tokens: Option<u64>,
}

impl BudgetLimit {
    /// What both limits allow.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            cost: smaller(self.cost, other.cost),
            tokens: smaller(self.tokens, other.tokens),
        }
    }

    /// Whether it limits nothing.
    pub const fn is_none(self) -> bool {
        self.cost.is_none() && self.tokens.is_none()
    }

    /// Whether `spend` is within the limit.
    pub fn allows(self, spend: Spend) -> bool {
        self.cost.is_none_or(|most| spend.cost <= most)
            && self.tokens.is_none_or(|most| spend.tokens <= most)
    }

    /// Whether `spend` is at least `percent` of the money or of the tokens.
    pub fn is_reached(self, spend: Spend, percent: u8) -> bool {
        let reached = |spent: u64, most: u64| {
            u128::from(spent) * 100 >= u128::from(most) * u128::from(percent)
        };
        self.cost.is_some_and(|most| reached(spend.cost.0, most.0))
            || self.tokens.is_some_and(|most| reached(spend.tokens, most))
    }
}

/// A limit that somebody set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Whose spending it limits.
    pub subject: BudgetSubject,
    /// How long it lasts.
    pub period: BudgetPeriod,
    /// How much may be spent; limiting nothing lifts the default of the settings.
    pub limit: BudgetLimit,
    /// When it was set.
    pub set_at: Timestamp,
}

/// One period of one subject: what spending is counted in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetWindow {
    /// Whose spending.
    pub subject: BudgetSubject,
    /// How long.
    pub period: BudgetPeriod,
    /// When it began.
    pub starts_at: Timestamp,
}

/// How far a window has been used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowUse {
    /// Spent by calls that have ended.
    pub spent: Spend,
    /// Set aside for calls under way.
    pub reserved: Spend,
    /// How many calls are under way.
    pub open_calls: u64,
}

impl WindowUse {
    /// How many times its estimate a call is expected to cost at most.
    pub const MARGIN: u64 = 2;

    /// Whether a call estimated at `estimate` may begin under `limit`.
    ///
    /// Calls run side by side only where all of them fit even if each costs [`MARGIN`](Self::MARGIN) times its estimate;
    /// near the limit they go one at a time. So, while no call costs more than that, the limit is never passed by more
    /// than one call's error of estimate.
    pub fn admits(self, limit: BudgetLimit, estimate: Spend) -> bool {
        let doubled = |spend: Spend| Spend {
            cost: MicroUsd(spend.cost.0.saturating_mul(Self::MARGIN)),
            tokens: spend.tokens.saturating_mul(Self::MARGIN),
        };
        let with_margin = self.spent.plus(doubled(self.reserved.plus(estimate)));
        limit.allows(with_margin)
            || (self.open_calls == 0 && limit.allows(self.spent.plus(estimate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn periods_are_those_of_utc() {
        let now = at("2026-12-31T23:59:59.999Z");
        assert_eq!(BudgetPeriod::Day.start(now), at("2026-12-31T00:00:00Z"));
        assert_eq!(BudgetPeriod::Day.end(now), at("2027-01-01T00:00:00Z"));
        assert_eq!(BudgetPeriod::Month.start(now), at("2026-12-01T00:00:00Z"));
        assert_eq!(BudgetPeriod::Month.end(now), at("2027-01-01T00:00:00Z"));
        let midnight = at("2028-02-01T00:00:00Z");
        assert_eq!(BudgetPeriod::Month.start(midnight), midnight);
        assert_eq!(
            BudgetPeriod::Month.end(midnight),
            at("2028-03-01T00:00:00Z")
        );
    }

    #[test]
    fn subjects_round_trip() {
        for text in ["user:operator", "key:k-1", "session:a:b/websocket_01"] {
            assert_eq!(BudgetSubject::parse(text).unwrap().to_string(), text);
        }
        for text in ["user:", "user:a/b", "session:a", "group:a", "x"] {
            assert_eq!(BudgetSubject::parse(text), None, "{text}");
        }
    }

    #[test]
    fn calls_go_one_at_a_time_near_the_limit() {
        let limit = BudgetLimit {
            tokens: Some(100),
            cost: None,
        };
        let tokens = |tokens| Spend {
            tokens,
            cost: MicroUsd(0),
        };
        let idle = WindowUse::default();
        assert!(idle.admits(limit, tokens(100)) && !idle.admits(limit, tokens(101)));
        let busy = WindowUse {
            reserved: tokens(20),
            open_calls: 1,
            ..idle
        };
        assert!(busy.admits(limit, tokens(30)) && !busy.admits(limit, tokens(31)));
    }

    #[test]
    fn what_two_limits_allow_is_the_smaller_of_each() {
        let limit = |cost: Option<u64>, tokens| BudgetLimit {
            cost: cost.map(MicroUsd),
            tokens,
        };
        let both = limit(Some(5), None).within(limit(Some(7), Some(9)));
        assert_eq!(both, limit(Some(5), Some(9)));
        assert_eq!(
            limit(None, Some(3)).within(limit(None, Some(2))),
            limit(None, Some(2))
        );
        assert!(
            BudgetLimit::default()
                .within(BudgetLimit::default())
                .is_none()
        );
    }

    #[test]
    fn a_share_of_a_limit_is_reached_by_money_or_tokens() {
        let limit = BudgetLimit {
            tokens: Some(10),
            cost: Some(MicroUsd(1_000_000)),
        };
        let spend = |cost, tokens| Spend {
            cost: MicroUsd(cost),
            tokens,
        };
        assert!(limit.is_reached(spend(0, 8), 80) && limit.is_reached(spend(800_000, 0), 80));
        assert!(!limit.is_reached(spend(799_999, 7), 80));
        assert!(!BudgetLimit::default().is_reached(spend(u64::MAX, u64::MAX), 80));
    }
}
