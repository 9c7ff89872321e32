//! The one middleware: request id, client address, preflight, rate limit, error rendering, headers, metrics and the span
//! of a request. One layer instead of many keeps the order plain and the cost small.

use std::future::{Future, Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures_util::future::LocalBoxFuture;
use majordomo_application::Caller;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::auth::{Renewal, Verdict};
use crate::challenge::challenge;
use crate::dialect::{Dialect, Failed, Mount, SpokenDialect, render};
use crate::error::{ApiError, ErrorClass};
use crate::head::{ask_as_get, without_body};
use crate::headers::{answer_preflight, is_preflight, keep_cookies_under, secure, share};
use crate::http_metrics::HttpMetrics;
use crate::kernel::Kernel;
use crate::rate_limit::Allowance;
use crate::refusals;
use crate::request::{REQUEST_ID, RequestContext, request_id};

/// Wraps the application: `App::new().wrap(KernelLayer::new(kernel))`, as the outermost layer.
#[derive(Clone)]
pub struct KernelLayer(Arc<Kernel>);

impl KernelLayer {
    /// The layer of `kernel`.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self(kernel)
    }
}

impl<S, B> Transform<S, ServiceRequest> for KernelLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = KernelService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(KernelService {
            inner,
            kernel: Arc::clone(&self.0),
        }))
    }
}

/// The service of [`KernelLayer`].
pub struct KernelService<S> {
    inner: S,
    kernel: Arc<Kernel>,
}

impl<S, B> Service<ServiceRequest> for KernelService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = KernelFuture<S::Future, B>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let under_base = take_off_base(&self.kernel, &mut request);
        let mut exchange = Exchange::begin(&self.kernel, &request, under_base);
        if is_preflight(request.method(), request.headers()) {
            let answer = answer_preflight(request.headers(), self.kernel.allowed_origins());
            return exchange.answer_early(request, answer);
        }
        let context = exchange.context;
        if let Some(decision) = self.kernel.limits().check(context.limit, context.client) {
            exchange.allowance = Some(decision.allowance);
            if let Some(wait) = decision.retry_after {
                let failed = Failed {
                    request_id: context.id,
                    method: request.method(),
                    path: request.path(),
                };
                let error = ApiError::rate_limited(wait);
                refusals::note(&self.kernel, request.request(), &context, &error);
                let answer = render(exchange.dialect, &error, failed);
                return exchange.answer_early(request, answer);
            }
        }
        request.extensions_mut().insert(context);
        ask_as_get(&mut request);
        let inner = exchange.span.in_scope(|| self.inner.call(request));
        KernelFuture {
            state: State::Inner { inner },
            exchange,
        }
    }
}

pin_project! {
    /// The answer to a request.
    pub struct KernelFuture<F, B> {
        #[pin]
        state: State<F, B>,
        exchange: Exchange,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        // Answered before the handler was reached.
        Early { response: Option<ServiceResponse<EitherBody<B>>> },
        // With the handler.
        Inner { #[pin] inner: F },
        // Failed before it was known whether the caller is let in.
        Undecided {
            failed: Option<ServiceResponse<B>>,
            verdict: LocalBoxFuture<'static, Result<Caller, ApiError>>,
        },
    }
}

impl<F, B> Future for KernelFuture<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let exchange = this.exchange;
        loop {
            match this.state.as_mut().project() {
                StateProjection::Early { response } => {
                    return response
                        .take()
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
                }
                StateProjection::Inner { inner } => {
                    let answer = {
                        let _entered = exchange.span.enter();
                        // What a panic leaves half done belongs to this request, and is dropped with it.
                        catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
                    };
                    let Ok(answer) = answer else {
                        return Poll::Ready(Err(exchange.finish_panic()));
                    };
                    let response = match std::task::ready!(answer) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Err(exchange.finish_error(&error))),
                    };
                    let Some(verdict) = Verdict::awaited_by(&response) else {
                        return Poll::Ready(Ok(exchange.finish(response, None)));
                    };
                    this.state.set(State::Undecided {
                        failed: Some(response),
                        verdict,
                    });
                }
                StateProjection::Undecided { failed, verdict } => {
                    let refusal = std::task::ready!(verdict.as_mut().poll(context)).err();
                    return failed.take().map_or(Poll::Pending, |response| {
                        Poll::Ready(Ok(exchange.finish(response, refusal)))
                    });
                }
            }
        }
    }
}

/// Counts a request as active while it lives.
struct Active(Arc<HttpMetrics>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What is kept from a request for its answer.
struct Exchange {
    kernel: Arc<Kernel>,
    context: RequestContext,
    dialect: &'static dyn Dialect,
    allowance: Option<Allowance>,
    origin: Option<HeaderValue>,
    method: Method,
    path: String,
    started: Instant,
    span: Span,
    _active: Active,
}

/// Makes the path the one within this server, and says whether it was another.
fn take_off_base(kernel: &Kernel, request: &mut ServiceRequest) -> bool {
    let Some(within) = kernel.mounts().base().taken_off(request.uri()) else {
        return false;
    };
    request.match_info_mut().get_mut().update(&within);
    request.head_mut().uri = within;
    true
}

impl Exchange {
    fn begin(kernel: &Arc<Kernel>, request: &ServiceRequest, under_base: bool) -> Self {
        let headers = request.headers();
        let Mount { dialect, limit } = kernel.mounts().find(request.path());
        let peer = request.peer_addr().map(|peer| peer.ip());
        let proxies = kernel.trusted_proxies();
        let context = RequestContext {
            id: request_id(headers),
            client: peer.map(|peer| proxies.client_address(peer, headers)),
            limit,
            https: kernel.public_https() || proxies.says_https(peer, headers),
            under_base,
        };
        // The query is left out of spans and logs: it may hold a token.
        let span = tracing::info_span!(
            "request",
            id = %context.id,
            method = %request.method(),
            path = request.path(),
        );
        kernel.metrics().begin();
        Self {
            context,
            dialect,
            allowance: None,
            origin: headers
                .get(header::ORIGIN)
                .filter(|origin| kernel.allowed_origins().allows(origin))
                .cloned(),
            method: request.method().clone(),
            path: request.path().to_owned(),
            started: Instant::now(),
            span,
            _active: Active(Arc::clone(kernel.metrics())),
            kernel: Arc::clone(kernel),
        }
    }

    /// Answers without asking the handler.
    fn answer_early<F, B: MessageBody>(
        self,
        request: ServiceRequest,
        answer: HttpResponse,
    ) -> KernelFuture<F, B> {
        let mut response = request.into_response(answer).map_into_right_body();
        self.complete(response.response().status(), response.headers_mut());
        KernelFuture {
            state: State::Early {
                response: Some(response),
            },
            exchange: self,
        }
    }

    /// Puts failures into the dialect's words and completes the answer's headers. A `refusal` stands in for every other
    /// failure.
    fn finish<B: MessageBody>(
        &self,
        response: ServiceResponse<B>,
        refusal: Option<ApiError>,
    ) -> ServiceResponse<EitherBody<B>> {
        let renewal = response.request().extensions_mut().remove::<Renewal>();
        let mut response = match refusal.or_else(|| failure_of(&response)) {
            None => response.map_into_left_body(),
            Some(error) => {
                refusals::note(&self.kernel, response.request(), &self.context, &error);
                let spoken = response
                    .request()
                    .extensions()
                    .get::<SpokenDialect>()
                    .copied();
                let dialect = spoken.map_or(self.dialect, |spoken| spoken.0);
                let mut rendered = self.render_in(dialect, &error);
                if let Some(allow) = response.headers().get(header::ALLOW) {
                    rendered.headers_mut().insert(header::ALLOW, allow.clone());
                }
                response.into_response(rendered).map_into_right_body()
            }
        };
        if response.headers().contains_key(header::WWW_AUTHENTICATE)
            && let Some(challenge) = challenge(&self.kernel, &self.context, response.request())
        {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(renewal) = renewal {
            renewal.write(response.headers_mut());
        }
        self.complete(response.response().status(), response.headers_mut());
        if self.method == Method::HEAD {
            response = without_body(response);
        }
        response
    }

    /// As [`finish`](Self::finish) for a failure of a layer further in, which has no response yet.
    fn finish_error(&self, error: &Error) -> Error {
        self.give_up(&api_error_of(error))
    }

    /// As [`finish`](Self::finish) for a handler that panicked; the panic hook has told where.
    fn finish_panic(&self) -> Error {
        tracing::error!(parent: &self.span, "a handler panicked");
        self.give_up(&ApiError::of(ErrorClass::Internal))
    }

    fn give_up(&self, error: &ApiError) -> Error {
        let mut rendered = self.render(error);
        self.complete(rendered.status(), rendered.headers_mut());
        InternalError::from_response("request failed", rendered).into()
    }

    fn render(&self, error: &ApiError) -> HttpResponse {
        self.render_in(self.dialect, error)
    }

    fn render_in(&self, dialect: &'static dyn Dialect, error: &ApiError) -> HttpResponse {
        render(
            dialect,
            error,
            Failed {
                request_id: self.context.id,
                method: &self.method,
                path: &self.path,
            },
        )
    }

    /// Writes the headers every answer has, and counts it.
    fn complete(&self, status: StatusCode, headers: &mut HeaderMap) {
        let mut text = uuid::Uuid::encode_buffer();
        let id = self.context.id.as_hyphenated().encode_lower(&mut text);
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(allowance) = &self.allowance {
            allowance.write(headers, self.kernel.clock().now());
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            secure(headers, self.context.https);
            keep_cookies_under(headers, self.kernel.mounts().base());
            if let Some(origin) = &self.origin {
                share(headers, origin.clone());
            }
        }
        let elapsed = self.started.elapsed();
        self.kernel.metrics().record(status, elapsed);
        tracing::debug!(
            parent: &self.span,
            status = status.as_u16(),
            elapsed_ms = elapsed.as_secs_f64() * 1000.0,
            "answered"
        );
    }
}

/// The failure an answer stands for: an error of a handler or extractor, or the empty answers that the router gives to
/// unknown paths and wrong methods.
fn failure_of<B: MessageBody>(response: &ServiceResponse<B>) -> Option<ApiError> {
    if let Some(error) = response.response().error() {
        return Some(api_error_of(error));
    }
    let unanswered = matches!(
        response.status(),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    ) && matches!(
        response.response().body().size(),
        BodySize::None | BodySize::Sized(0)
    );
    unanswered.then(|| ApiError::of(ErrorClass::of_status(response.status())))
}

/// What of an error of the framework may be shown: its class.
fn api_error_of(error: &Error) -> ApiError {
    if let Some(error) = error.as_error::<ApiError>() {
        return error.clone();
    }
    let status = error.as_response_error().status_code();
    let class = ErrorClass::of_status(status);
    if class == ErrorClass::Internal {
        tracing::error!(cause = %error, "request failed");
    }
    ApiError::of(class).with_status(status)
}
