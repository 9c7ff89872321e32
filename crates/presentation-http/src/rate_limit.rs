//! How often one address, or one API key, may ask: one implementation, a rate for each class of routes, one switch.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use majordomo_domain::{ApiKeyId, Timestamp};

use crate::dialect::whole_seconds;
use crate::error::ApiError;

/// Header: how many requests a fresh client may send at once.
pub const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// Header: how many of them are left.
pub const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// Header: when all of them are back, as Unix time or as seconds from now (see [`ResetForm`]).
pub const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Clients remembered one by one; beyond that neighbours share a bucket, so that memory stays bounded.
const MAX_CLIENTS: usize = 100_000;
/// Different limits of keys remembered at most; beyond that all of them begin anew.
const MAX_OWN_LIMITS: usize = 1000;
/// Idle buckets are dropped once in so many checks.
const SWEEP_EVERY: u32 = 4096;

/// Which limit a path has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// None: probes, metrics, documentation.
    Unlimited,
    /// The general limit of the PiSovereign and OpenAI routes.
    PerMinute,
    /// The general limit of the PocketPaw and Pixcode routes; API keys have one of their own on top.
    Api,
    /// Routes that take or give credentials.
    Login,
    /// Opening a WebSocket.
    WebSocket,
}

/// What `X-RateLimit-Reset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetForm {
    /// Seconds since the Unix epoch, as PiSovereign's clients expect.
    UnixTime,
    /// Seconds from now, as PocketPaw's clients expect.
    SecondsFromNow,
}

/// A token bucket: so many requests at once, refilled one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests an idle client may send at once.
    pub burst: NonZeroU32,
    /// How long it takes until one of them is back; not zero.
    pub interval: Duration,
}

impl Rate {
    /// `count` a minute, all of them at once if the client likes.
    pub fn per_minute(count: NonZeroU32) -> Self {
        Self {
            burst: count,
            interval: Duration::from_mins(1) / count.get(),
        }
    }

    /// `count` a second, at most `burst` at once.
    pub fn per_second(count: NonZeroU32, burst: NonZeroU32) -> Self {
        Self {
            burst,
            interval: Duration::from_secs(1) / count.get(),
        }
    }

    fn quota(self) -> Quota {
        let interval = self.interval.max(Duration::from_nanos(1));
        Quota::with_period(interval)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX))
            .allow_burst(self.burst)
    }
}

/// The rates of all classes, and the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// `false` lets everyone ask as often as they like.
    pub enabled: bool,
    /// See [`LimitClass::PerMinute`].
    pub per_minute: Rate,
    /// See [`LimitClass::Api`].
    pub api: Rate,
    /// See [`LimitClass::Login`].
    pub login: Rate,
    /// See [`LimitClass::WebSocket`].
    pub websocket: Rate,
    /// Each API key made on this server, on the routes of [`LimitClass::Api`].
    pub api_key: Rate,
}

impl Default for RateLimitConfig {
    /// The documented limits of the dialects.
    fn default() -> Self {
        let count = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            enabled: true,
            per_minute: Rate::per_minute(count(120)),
            api: Rate::per_second(count(10), count(30)),
            login: Rate::per_second(count(1), count(5)),
            websocket: Rate::per_second(count(2), count(5)),
            api_key: Rate::per_minute(count(60)),
        }
    }
}

/// What a client may still do: the `X-RateLimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many requests a fresh client may send at once.
    pub limit: u32,
    /// How many are left.
    pub remaining: u32,
    /// When all of them are back, in whole seconds from now.
    pub reset: u64,
    /// How the header tells it.
    pub form: ResetForm,
}

impl Allowance {
    /// Writes the three headers.
    pub fn write(&self, headers: &mut HeaderMap, now: Timestamp) {
        let now = u64::try_from(now.as_secs()).unwrap_or(0);
        let reset = match self.form {
            ResetForm::UnixTime => now.saturating_add(self.reset),
            ResetForm::SecondsFromNow => self.reset,
        };
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(reset));
    }
}

/// The answer of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What the client may still do.
    pub allowance: Allowance,
    /// `Some` when this request comes too early, with the time to wait.
    pub retry_after: Option<Duration>,
}

type Buckets<K> =
    RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The buckets of one class.
struct Limiter<K: Hash + Eq + Clone> {
    buckets: Buckets<K>,
    clock: DefaultClock,
    rate: Rate,
    form: ResetForm,
    checks: AtomicU32,
    crowded: AtomicBool,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Rate, form: ResetForm) -> Self {
        Self {
            buckets: RateLimiter::keyed(rate.quota()).with_middleware(),
            clock: DefaultClock::default(),
            rate,
            form,
            checks: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    fn check(&self, key: &K) -> Decision {
        let (remaining, retry_after) = match self.buckets.check_key(key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(early) => (0, Some(early.wait_time_from(self.clock.now()))),
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        let limit = self.rate.burst.get();
        let refill = self
            .rate
            .interval
            .saturating_mul(limit.saturating_sub(remaining));
        Decision {
            allowance: Allowance {
                limit,
                remaining,
                reset: whole_seconds(refill),
                form: self.form,
            },
            retry_after,
        }
    }

    fn sweep(&self) {
        self.buckets.retain_recent();
        self.crowded
            .store(self.buckets.len() > MAX_CLIENTS, Ordering::Relaxed);
    }
}

/// All limiters of the server.
pub struct RateLimits {
    enabled: bool,
    per_minute: Limiter<IpAddr>,
    api: Limiter<IpAddr>,
    login: Limiter<IpAddr>,
    websocket: Limiter<IpAddr>,
    api_key: Limiter<ApiKeyId>,
    /// Keys with a limit of their own, by that limit.
    own: RwLock<HashMap<NonZeroU32, Arc<Limiter<ApiKeyId>>>>,
}

impl RateLimits {
    /// All buckets full.
    pub fn new(config: &RateLimitConfig) -> Self {
        use ResetForm::{SecondsFromNow, UnixTime};
        Self {
            enabled: config.enabled,
            per_minute: Limiter::new(config.per_minute, UnixTime),
            api: Limiter::new(config.api, SecondsFromNow),
            login: Limiter::new(config.login, SecondsFromNow),
            websocket: Limiter::new(config.websocket, SecondsFromNow),
            api_key: Limiter::new(config.api_key, SecondsFromNow),
            own: RwLock::default(),
        }
    }

    /// Takes one request out of the bucket of `client`; `None` where there is no limit.
    pub fn check(&self, class: LimitClass, client: Option<IpAddr>) -> Option<Decision> {
        let limiter = match class {
            _ if !self.enabled => return None,
            LimitClass::Unlimited => return None,
            LimitClass::PerMinute => &self.per_minute,
            LimitClass::Api => &self.api,
            LimitClass::Login => &self.login,
            LimitClass::WebSocket => &self.websocket,
        };
        let client = client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let crowded = limiter.crowded.load(Ordering::Relaxed);
        Some(limiter.check(&bucket_of(client, crowded)))
    }

    /// Takes one request out of the bucket of an API key: its own limit counts on all routes, the server's on those of
    /// [`LimitClass::Api`].
    pub fn check_api_key(
        &self,
        class: LimitClass,
        key: &ApiKeyId,
        own: Option<NonZeroU32>,
    ) -> Result<(), ApiError> {
        let decision = match own {
            _ if !self.enabled => return Ok(()),
            Some(per_minute) => self.of_own(per_minute).check(key),
            None if class == LimitClass::Api => self.api_key.check(key),
            None => return Ok(()),
        };
        match decision.retry_after {
            None => Ok(()),
            Some(wait) => Err(ApiError::rate_limited(wait)),
        }
    }

    /// The buckets of the keys with this limit.
    fn of_own(&self, per_minute: NonZeroU32) -> Arc<Limiter<ApiKeyId>> {
        let known = self.own.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(limiter) = known.get(&per_minute) {
            return Arc::clone(limiter);
        }
        drop(known);
        let mut limiters = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if limiters.len() >= MAX_OWN_LIMITS {
            limiters.clear();
        }
        let limiter = limiters.entry(per_minute).or_insert_with(|| {
            let rate = Rate::per_minute(per_minute);
            Arc::new(Limiter::new(rate, ResetForm::SecondsFromNow))
        });
        Arc::clone(limiter)
    }
}

/// Who shares a bucket: an IPv4 address alone; an IPv6 network of 64 bits, which is what one subscriber has; in a crowd
/// larger networks, so that nobody grows the table without bound.
fn bucket_of(client: IpAddr, crowded: bool) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) if !crowded => IpAddr::V4(address),
        IpAddr::V4(address) => {
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16)))
        }
        IpAddr::V6(address) => {
            let host_bits = if crowded { 96 } else { 64 };
            IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & (u128::MAX << host_bits),
            ))
        }
    }
}
