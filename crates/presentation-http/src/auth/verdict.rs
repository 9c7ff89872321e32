//! Whether a caller is let in, where that has to be looked up. Nothing else about the request is told before: the body
//! waits, and the middleware asks before it tells what an extractor found wrong.

use std::sync::Arc;

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::{HttpMessage as _, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};
use majordomo_application::Caller;
use majordomo_application::access::Presented;

use super::renewal::{self, Renewal};
use super::within_key_limit;
use crate::error::ApiError;
use crate::kernel::Kernel;
use crate::request::RequestContext;

/// What a request shows of who asks.
pub(super) struct Shown {
    pub(super) presented: Presented,
    /// Whether it stood in a cookie.
    pub(super) by_cookie: bool,
}

/// A caller who is let in, and what the answer gives them.
#[derive(Clone)]
pub(super) struct Admitted {
    pub(super) caller: Caller,
    pub(super) renewal: Option<Renewal>,
}

impl Admitted {
    /// The caller; notes the rest for the answer to `request`.
    pub(super) fn into_caller(self, request: &HttpRequest) -> Caller {
        if let Some(renewal) = self.renewal {
            request.extensions_mut().insert(renewal);
        }
        self.caller
    }
}

/// The answer to come, for all who wait for it. It holds no part of the request, so that the request may keep it.
#[derive(Clone)]
pub(crate) struct Verdict(Shared<LocalBoxFuture<'static, Result<Admitted, ApiError>>>);

impl Verdict {
    /// Looks up what a request shows.
    pub(super) fn begin(kernel: web::Data<Kernel>, context: RequestContext, shown: Shown) -> Self {
        Self(look_up(kernel, context, shown).boxed_local().shared())
    }

    /// The caller of `request`, whose verdict this is.
    pub(super) async fn caller_of(self, request: HttpRequest) -> Result<Caller, ApiError> {
        let admitted = self.0.await?;
        Ok(admitted.into_caller(&request))
    }

    /// Whether the caller is let in, where a handler or extractor failed while that was looked up: who is not let in is
    /// told nothing else.
    pub(crate) fn awaited_by<B>(
        response: &ServiceResponse<B>,
    ) -> Option<LocalBoxFuture<'static, Result<Caller, ApiError>>> {
        response.response().error()?;
        let request = response.request();
        let verdict = request.extensions().get::<Self>().cloned()?;
        Some(verdict.caller_of(request.clone()).boxed_local())
    }

    /// Nothing of `payload` is read before the caller is let in.
    pub(super) fn hold_back(&self, payload: &mut Payload) {
        let (verdict, held) = (self.0.clone(), payload.take());
        let admitted = verdict.map(|verdict| verdict.map_or(Payload::None, |_| held));
        *payload = Payload::Stream {
            payload: Box::pin(admitted.flatten_stream()),
        };
    }
}

async fn look_up(
    kernel: web::Data<Kernel>,
    context: RequestContext,
    mut shown: Shown,
) -> Result<Admitted, ApiError> {
    let redeemed = renewal::redeem(&kernel, &context, &shown.presented).await?;
    let cookie = redeemed.map(|(presented, cookie)| {
        shown.presented = presented;
        cookie
    });
    let (access, source) = (Arc::clone(kernel.access()), context.source());
    let presented = shown.presented.clone();
    let caller = kernel
        .core()
        .run(async move { access.authenticate(presented, source).await })
        .await?;
    within_key_limit(&kernel, &context, &caller)?;
    let due = renewal::due(&kernel, &context, &shown, &caller);
    Ok(Admitted {
        caller,
        renewal: due.or(cookie),
    })
}
