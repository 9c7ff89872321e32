//! What may be asked.

use std::sync::Arc;

use majordomo_application::models::CatalogEntry;
use majordomo_domain::ModelRef;
use majordomo_presentation_http::openapi::{PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::{api_v2_operation, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{AGENT, AGENT_PREFIX};

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Model {
    /// What to name it in requests.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// When it was made, in Unix seconds; 0: unknown.
    created: i64,
    /// Whose it is: `majordomo` or the provider's name.
    owned_by: String,
}

/// The models.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// The models.
    data: Vec<Model>,
}

impl Model {
    fn new(id: impl Into<String>, owned_by: &str) -> Self {
        Self {
            id: id.into(),
            object: "model",
            created: 0,
            owned_by: owned_by.to_owned(),
        }
    }
}

impl ModelList {
    /// The agent, the agent on each model, each model, and the server's own embedding model.
    fn new(offered: &Offered) -> Self {
        let entries = &offered.models;
        let agents = entries
            .iter()
            .map(|entry| Model::new(format!("{AGENT_PREFIX}{}", entry.model), AGENT));
        let plain = entries
            .iter()
            .map(|entry| Model::new(entry.model.to_string(), &entry.model.provider));
        let mut data = vec![Model::new(AGENT, AGENT)];
        data.extend(agents.chain(plain));
        if let Some(embedder) = offered.unlisted_embedder() {
            data.push(Model::new(embedder.to_string(), &embedder.provider));
        }
        Self {
            object: "list",
            data,
        }
    }

    /// The model of this name, as it may be named in a request: bare names too.
    fn find(self, name: &str, offered: &Offered) -> Option<Model> {
        let models = offered.models.iter().map(|entry| &entry.model);
        let bare = models
            .chain(&offered.embedder)
            .find(|model| model.model == name);
        let bare = bare.map(|model| Model::new(name, &model.provider));
        self.data
            .into_iter()
            .find(|model| model.id == name)
            .or(bare)
    }
}

/// What a caller may ask.
struct Offered {
    /// What the providers offer.
    models: Vec<CatalogEntry>,
    /// The server's own embedding model.
    embedder: Option<ModelRef>,
}

impl Offered {
    /// The server's own embedding model, unless its provider lists it.
    fn unlisted_embedder(&self) -> Option<&ModelRef> {
        let listed = |model: &&ModelRef| self.models.iter().any(|entry| entry.model == **model);
        self.embedder.as_ref().filter(|model| !listed(model))
    }
}

/// GET /v1/models: The models on offer.
///
/// `majordomo` is the agent on its default model, `majordomo/<provider>/<model>` the agent on another, and
/// `<provider>/<model>` a model alone, be it one of chat or of embeddings.
#[api_v2_operation(tags("Models"), operation_id = "list_models")]
pub(crate) async fn list_models(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    caller: Authenticated,
) -> Result<Reply<ModelList>, ApiError> {
    let offered = offered(&services, &kernel, caller).await?;
    Ok(Reply(ModelList::new(&offered)))
}

/// GET /v1/models/{model}: One model.
///
/// The name may hold slashes.
#[api_v2_operation(tags("Models"), operation_id = "retrieve_model")]
pub(crate) async fn retrieve_model(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    caller: Authenticated,
    path: PathParams<String>,
) -> Result<Reply<Model>, ApiError> {
    let name = path.0;
    let offered = offered(&services, &kernel, caller).await?;
    let model = ModelList::new(&offered).find(&name, &offered);
    model.map(Reply).ok_or_else(|| not_found(&name))
}

async fn offered(
    services: &Services,
    kernel: &Kernel,
    Authenticated(caller): Authenticated,
) -> Result<Offered, ApiError> {
    let embedder = services.embeddings.offered(&caller)?;
    let models = Arc::clone(&services.models);
    let work = async move { models.offered(&caller).await };
    let models = kernel.core().run_cancellable(work).await?;
    Ok(Offered { models, embedder })
}

fn not_found(name: &str) -> ApiError {
    ApiError::new(
        ErrorClass::NotFound,
        "model_not_found",
        format!("The model `{name}` does not exist"),
    )
}
