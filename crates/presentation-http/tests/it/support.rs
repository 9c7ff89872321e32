//! An application with a kernel, two dialects and a few routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::{App, Error, test, web};
use majordomo_application::access::{AccessConfig, AccessPorts, AccessService, CreateApiKey};
use majordomo_application::{Caller, ErrorKind, ServiceError};
use majordomo_domain::{CredentialKind, Scope};
use majordomo_presentation_http::address::TrustedProxies;
use majordomo_presentation_http::auth::{LocalBypass, LocalBypassConfig};
use majordomo_presentation_http::base_path::BasePath;
use majordomo_presentation_http::kernel::DEFAULT_BODY_LIMIT;
use majordomo_presentation_http::openapi::{
    Body, BodyLimit, NoContent, OptionalBody, Params, PathParams, Reply,
};
use majordomo_presentation_http::origin::AllowedOrigins;
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use majordomo_presentation_http::{
    ApiError, Authenticated, Core, Dialect, ErrorClass, ErrorView, Kernel, KernelLayer,
    KernelParts, LimitClass, Mounts, RequestContext,
};
use majordomo_testkit::{
    FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, SequentialIds,
};
use paperclip::actix::web::ServiceConfig;
use paperclip::actix::{OpenApiExt as _, api_v2_operation};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Says everything it is told.
pub(crate) struct Verbose;

impl Dialect for Verbose {
    fn name(&self) -> &'static str {
        "verbose"
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        let issues: Vec<Value> = error
            .issues
            .iter()
            .map(|issue| {
                json!([
                    issue.location.as_str(),
                    issue.field,
                    issue.rule,
                    issue.error
                ])
            })
            .collect();
        json!({
            "code": error.code,
            "message": error.message,
            "issues": issues,
            "request_id": error.request_id.to_string(),
            "path": error.path,
            "method": error.method.as_str(),
            "retry_after": error.retry_after
        })
    }

    fn error_schema(&self, class: ErrorClass, _: &mut SchemaGenerator) -> Schema {
        if class == ErrorClass::Invalid {
            json_schema!({ "type": "object", "required": ["issues"] })
        } else {
            json_schema!({ "type": "object" })
        }
    }
}

/// Says one word, and 400 for everything that does not fit.
pub(crate) struct Terse;

impl Dialect for Terse {
    fn name(&self) -> &'static str {
        "terse"
    }

    fn status(&self, class: ErrorClass) -> StatusCode {
        match class {
            ErrorClass::Mismatched | ErrorClass::UnsupportedMediaType => StatusCode::BAD_REQUEST,
            class => class.default_status(),
        }
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        json!({ "detail": error.code })
    }

    fn error_schema(&self, _: ErrorClass, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "required": ["detail"] })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Part {
    pub text: String,
}

/// A thing to keep.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Thing {
    /// What it is called.
    pub name: String,
    pub count: Option<u32>,
    #[serde(default)]
    pub parts: Vec<Part>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ListQuery {
    /// How many at most.
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page {
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("password=hunter2 in /var/lib/secret")
    }
}

impl std::error::Error for Broken {}

impl ServiceError for Broken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
    fn code(&self) -> &'static str {
        "internal"
    }
    fn public_message(&self) -> String {
        self.to_string()
    }
}

/// POST /v1/things: keep a thing
#[api_v2_operation(tags(Things), operation_id = "create_thing")]
async fn create_thing(
    _caller: Authenticated,
    body: Body<Thing>,
) -> Result<Reply<Thing, 201>, ApiError> {
    Ok(Reply(body.0))
}

/// GET /v1/things: list things
#[api_v2_operation(tags(Things), operation_id = "list_things")]
async fn list_things(
    _caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<Reply<Page>, ApiError> {
    let Params(ListQuery { limit, after }) = query;
    Ok(Reply(Page { limit, after }))
}

/// DELETE /v1/things/{id}: forget a thing
#[api_v2_operation(tags(Things), operation_id = "delete_thing")]
async fn delete_thing(
    _caller: Authenticated,
    path: PathParams<u32>,
) -> Result<NoContent, ApiError> {
    if path.0 == 0 {
        return Err(ApiError::new(
            ErrorClass::NotFound,
            "thing_not_found",
            "No such thing",
        ));
    }
    Ok(NoContent)
}

/// GET /v1/whoami: who asks
#[api_v2_operation(operation_id = "whoami")]
async fn whoami(caller: Authenticated, context: RequestContext) -> Result<Reply<Value>, ApiError> {
    Ok(Reply(json!({
        "user": caller.0.user.as_str(),
        "credential": format!("{:?}", caller.0.credential),
        "client": context.client.map(|client| client.to_string()),
        "id": context.id.to_string(),
        "https": context.https,
    })))
}

/// GET /v1/broken: fails inside
#[api_v2_operation(operation_id = "broken")]
async fn broken() -> Result<Reply<Value>, ApiError> {
    Err(Broken.into())
}

/// GET /v1/panic: a defect
#[api_v2_operation(operation_id = "panic")]
async fn defect(context: RequestContext) -> Result<Reply<Value>, ApiError> {
    assert!(context.id.is_nil(), "the secret is 42");
    Ok(Reply(Value::Null))
}

/// POST /v1/small: a small body, if any
#[api_v2_operation(operation_id = "small")]
async fn small(body: OptionalBody<Value>) -> Result<Reply<Value>, ApiError> {
    Ok(Reply(json!({ "body": body.0 })))
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    use paperclip::actix::web as api;
    config
        .service(
            api::scope("/v1")
                .service(
                    api::resource("/things")
                        .route(api::post().to(create_thing))
                        .route(api::get().to(list_things)),
                )
                .service(
                    api::resource("/things/{id:[0-9a-z]{1,8}}")
                        .route(api::delete().to(delete_thing)),
                )
                .route("/whoami", api::get().to(whoami))
                .route("/broken", api::get().to(broken))
                .route("/panic", api::get().to(defect))
                .service(
                    api::resource("/small")
                        .app_data(BodyLimit(600))
                        .route(api::post().to(small)),
                ),
        )
        .route("/health", api::get().to(health));
}

/// GET /health: nobody needs a credential
#[api_v2_operation(operation_id = "health")]
async fn health() -> Result<Reply<Value>, ApiError> {
    Ok(Reply(json!({ "status": "ok" })))
}

/// What tests change about the kernel.
pub(crate) struct Setup {
    pub listeners: Vec<SocketAddr>,
    pub rate_limits: RateLimitConfig,
    pub proxies: TrustedProxies,
    pub origins: AllowedOrigins,
    pub public_https: bool,
    pub base: BasePath,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listeners: vec![SocketAddr::from(([127, 0, 0, 1], 8888))],
            rate_limits: RateLimitConfig {
                enabled: false,
                ..RateLimitConfig::default()
            },
            proxies: TrustedProxies::default(),
            origins: AllowedOrigins::default(),
            public_https: false,
            base: BasePath::default(),
        }
    }
}

/// A kernel and what opens it.
pub(crate) struct Site {
    pub kernel: Arc<Kernel>,
    pub clock: Arc<FixedClock>,
    pub master: String,
}

pub(crate) async fn site(setup: Setup) -> Site {
    let clock = Arc::new(FixedClock::default());
    let access = AccessService::open(
        AccessPorts {
            keys: Arc::new(InMemoryStore::new()),
            users: Arc::new(InMemoryStore::new()),
            audit: Arc::new(InMemoryStore::new()),
            signing_key: Arc::new(InMemorySigningKeyStore::default()),
            master_token: Arc::new(InMemoryMasterTokenStore::default()),
            hasher: Arc::new(PlainPasswordHasher),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::new()),
        },
        AccessConfig {
            session_token_ttl: Duration::from_hours(1),
            login_token_ttl: Duration::from_hours(2),
            configured_keys: Vec::new(),
        },
    )
    .await
    .unwrap();
    let master = access.show_master_token(&operator()).unwrap();
    let mounts = Mounts::new(&Verbose, LimitClass::Api)
        .at("/v1", &Verbose, LimitClass::PerMinute)
        .at("/v1/small", &Terse, LimitClass::Login)
        .at("/terse/", &Terse, LimitClass::Api)
        .at("/health", &Verbose, LimitClass::Unlimited)
        .under(setup.base);
    let kernel = Kernel::new(KernelParts {
        core: Core::new(tokio::runtime::Handle::current()),
        access: Arc::new(access),
        clock: clock.clone(),
        mounts,
        rate_limits: setup.rate_limits,
        bypass: LocalBypass::new(LocalBypassConfig {
            enabled: true,
            listeners: &setup.listeners,
            has_public_url: false,
            has_trusted_proxies: !setup.proxies.is_empty(),
        }),
        trusted_proxies: setup.proxies,
        allowed_origins: setup.origins,
        public_https: setup.public_https,
        body_limit: DEFAULT_BODY_LIMIT,
    });
    Site {
        kernel,
        clock,
        master,
    }
}

pub(crate) fn operator() -> Caller {
    Caller::operator(CredentialKind::CommandLine)
}

impl Site {
    pub(crate) async fn api_key(&self) -> String {
        let key = CreateApiKey {
            name: "test".to_owned(),
            scopes: vec![Scope::Chat.to_string()],
            expires_at: None,
            ..CreateApiKey::default()
        };
        let issued = self.kernel.access().create_key(&operator(), key).await;
        issued.unwrap().secret
    }

    pub(crate) async fn app(
        &self,
    ) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error>
    {
        let app = App::new()
            .app_data(web::Data::from(self.kernel.clone()))
            .wrap(KernelLayer::new(self.kernel.clone()))
            .wrap_api()
            .configure(configure)
            .build();
        test::init_service(app).await
    }

    /// The answer to one request.
    pub(crate) async fn ask(&self, request: test::TestRequest) -> Answer {
        let app = self.app().await;
        answer(&app, request).await
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: actix_web::http::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn answer<S, B>(app: &S, request: test::TestRequest) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (status, headers, body) = match test::try_call_service(app, request.to_request()).await {
        Ok(response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            (status, headers, test::read_body(response).await)
        }
        // What the server makes of it.
        Err(error) => {
            let response = error.error_response();
            let (status, headers) = (response.status(), response.headers().clone());
            let body = to_bytes(response.into_body()).await;
            (status, headers, body.unwrap())
        }
    };
    Answer {
        status: status.as_u16(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A request from this machine.
pub(crate) fn get(uri: &str) -> test::TestRequest {
    local(test::TestRequest::get().uri(uri))
}

/// A request with a body from this machine.
pub(crate) fn post(uri: &str, content_type: &str, body: &str) -> test::TestRequest {
    local(test::TestRequest::post().uri(uri))
        .insert_header(("content-type", content_type))
        .set_payload(body.to_owned())
}

pub(crate) fn local(request: test::TestRequest) -> test::TestRequest {
    request
        .peer_addr(SocketAddr::from(([127, 0, 0, 1], 50_000)))
        .insert_header(("host", "localhost:8888"))
}

pub(crate) fn bearer(request: test::TestRequest, token: &str) -> test::TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}
