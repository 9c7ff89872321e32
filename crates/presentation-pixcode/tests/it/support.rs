//! A server whose storage holds a few conversations.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use majordomo_application::Caller;
use majordomo_application::access::CreateApiKey;
use majordomo_application::ports::RunJournal as _;
use majordomo_domain::{CredentialKind, Scope};
use majordomo_presentation_http::{Kernel, KernelLayer, LimitClass, Mounts, Services};
use majordomo_presentation_pixcode::{DIALECT, configure, mount};
use majordomo_presentation_testkit::{Setup, agent, kernel_parts, scripted};
use majordomo_testkit::builders::{answer, turn};
use majordomo_testkit::{FailingStore, ScriptedModel};
use paperclip::actix::OpenApiExt as _;
use serde_json::Value;

/// A key whose owner is `alice`.
pub(crate) const ALICE: &str = "px_alice";
/// A key whose owner is `bob`.
pub(crate) const BOB: &str = "px_bob";

/// A server, and what its tests hold on to.
pub(crate) struct Site {
    kernel: Arc<Kernel>,
    services: Services,
    pub(crate) store: Arc<FailingStore>,
}

impl Site {
    /// Storage is empty.
    pub(crate) async fn new() -> Self {
        let setup = Setup {
            master_token: "master",
            keys: &[(ALICE, "alice"), (BOB, "bob")],
            registry: scripted(&ScriptedModel::new(), &["scripted"]),
            embedder: None,
            tools: Vec::new(),
            agent: agent(),
        };
        let backstage = setup.open().await;
        let mounts = mount(Mounts::new(&DIALECT, LimitClass::Api));
        Self {
            kernel: Kernel::new(kernel_parts(&backstage, mounts)),
            services: backstage.services,
            store: backstage.store,
        }
    }

    /// The owner's `number`th question in a session, and its answer.
    pub(crate) async fn said(&self, owner: &str, session: &str, number: u32, text: [&str; 2]) {
        let turn = turn(owner, session, number, text[0]);
        self.store.accept(turn.clone()).await.unwrap();
        self.store.finish(answer(&turn, text[1])).await.unwrap();
    }

    /// A key with these scopes, owned by the operator.
    pub(crate) async fn key_with(&self, scopes: &[Scope]) -> String {
        let key = CreateApiKey {
            name: "test".to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at: None,
            ..CreateApiKey::default()
        };
        let operator = Caller::operator(CredentialKind::CommandLine);
        let issued = self.services.access.create_key(&operator, key).await;
        issued.unwrap().secret
    }

    /// The answer to a request, its body read to the end.
    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        let app = App::new()
            .app_data(web::Data::from(self.kernel.clone()))
            .app_data(web::Data::new(self.services.clone()))
            .wrap(KernelLayer::new(self.kernel.clone()))
            .wrap_api()
            .service(paperclip::actix::web::scope("/api").configure(configure))
            .build();
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = test::read_body(response).await;
        Answer {
            status,
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// What alice's search answers.
    pub(crate) async fn search(&self, query: &str) -> Answer {
        self.ask(bearer(get(&search_uri(query)), ALICE)).await
    }
}

pub(crate) fn search_uri(query: &str) -> String {
    format!("/api/search/conversations?{query}")
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Fails unless the answer is this.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.json()), (status, body));
    }
}

pub(crate) fn get(uri: &str) -> TestRequest {
    TestRequest::get().uri(uri)
}

pub(crate) fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

/// A failure that a route tells.
pub(crate) fn failure(code: &str, message: &str) -> Value {
    serde_json::json!({ "success": false, "error": message, "code": code, "message": message })
}

/// A failure that no route tells.
pub(crate) fn unhandled(code: &str, message: &str) -> Value {
    serde_json::json!({ "success": false, "error": { "code": code, "message": message } })
}
