//! What all requests share: one value, made once and given to every worker.

use std::sync::Arc;

use actix_web::HttpRequest;
use majordomo_application::access::AccessService;
use majordomo_application::audit::Refusals;
use majordomo_application::ports::Clock;

use crate::address::TrustedProxies;
use crate::auth::LocalBypass;
use crate::core::Core;
use crate::dialect::Mounts;
use crate::http_metrics::HttpMetrics;
use crate::origin::AllowedOrigins;
use crate::rate_limit::{RateLimitConfig, RateLimits};

/// A JSON body may have so many bytes unless configured otherwise: room for a message with images.
pub const DEFAULT_BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What the web kernel is made of.
pub struct KernelParts {
    /// The runtime of the services.
    pub core: Core,
    /// Who is asking.
    pub access: Arc<AccessService>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which dialect and which limit a path has.
    pub mounts: Mounts,
    /// How often clients may ask.
    pub rate_limits: RateLimitConfig,
    /// When no credential is needed.
    pub bypass: LocalBypass,
    /// Whose word about clients is believed.
    pub trusted_proxies: TrustedProxies,
    /// Which web pages may read answers.
    pub allowed_origins: AllowedOrigins,
    /// Whether the public address is an `https` one.
    pub public_https: bool,
    /// How many bytes a JSON body may have.
    pub body_limit: usize,
}

/// What all requests share. Given to the application as `app_data(Data::from(kernel))` and to
/// [`KernelLayer`](crate::KernelLayer).
pub struct Kernel {
    parts: KernelParts,
    limits: RateLimits,
    metrics: Arc<HttpMetrics>,
    refusals: Arc<Refusals>,
}

impl Kernel {
    /// Buckets full, counters zero.
    pub fn new(parts: KernelParts) -> Arc<Self> {
        Arc::new(Self {
            limits: RateLimits::new(&parts.rate_limits),
            metrics: Arc::default(),
            refusals: Arc::default(),
            parts,
        })
    }

    /// The kernel of the application `request` came to.
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request
            .app_data::<actix_web::web::Data<Self>>()
            .map(actix_web::web::Data::get_ref)
    }

    /// The runtime of the services.
    pub fn core(&self) -> &Core {
        &self.parts.core
    }

    /// Who is asking.
    pub fn access(&self) -> &Arc<AccessService> {
        &self.parts.access
    }

    /// Time.
    pub fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    /// Which dialect and which limit a path has.
    pub fn mounts(&self) -> &Mounts {
        &self.parts.mounts
    }

    /// How often clients may ask.
    pub fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Counters of requests.
    pub fn metrics(&self) -> &Arc<HttpMetrics> {
        &self.metrics
    }

    /// What was refused and is to be recorded.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// When no credential is needed.
    pub fn bypass(&self) -> LocalBypass {
        self.parts.bypass
    }

    /// Whose word about clients is believed.
    pub fn trusted_proxies(&self) -> &TrustedProxies {
        &self.parts.trusted_proxies
    }

    /// Which web pages may read answers.
    pub fn allowed_origins(&self) -> &AllowedOrigins {
        &self.parts.allowed_origins
    }

    /// Whether the public address is an `https` one.
    pub fn public_https(&self) -> bool {
        self.parts.public_https
    }

    /// How many bytes a JSON body may have.
    pub fn body_limit(&self) -> usize {
        self.parts.body_limit
    }
}
