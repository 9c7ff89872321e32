//! Embeddings: texts as vectors.

mod request;
mod response;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use bytes::Bytes;
use majordomo_application::models::{estimate_tokens, estimate_tokens_of_length};
use majordomo_domain::ModelRef;
use majordomo_presentation_http::openapi::Raw;
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::{api_v2_operation, web};

use crate::body::UnreadJson;
use crate::error::refine;
use crate::head::{Head, Target};
use crate::shape;
use request::EmbeddingRequest;
use response::EmbeddingList;

/// What belongs to every request for vectors.
struct Asked<'a> {
    services: &'a Services,
    kernel: &'a Kernel,
    caller: Authenticated,
}

/// POST /v1/embeddings: Turns texts into vectors.
///
/// `<provider>/<model>` and bare model names ask that model; the server's own embedding model is among `GET /v1/models`.
/// A provider that speaks this protocol itself gets the request as it is; others read texts only, no lists of tokens.
#[api_v2_operation(tags("Embeddings"), operation_id = "create_embedding")]
pub(crate) async fn create_embedding(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    caller: Authenticated,
    body: UnreadJson<EmbeddingRequest>,
) -> Result<Raw<EmbeddingList<'static>>, ApiError> {
    let asked = Asked {
        services: &services,
        kernel: &kernel,
        caller,
    };
    let answer = answer(asked, &body.bytes).await.map_err(refine)?;
    let response = HttpResponse::Ok()
        .insert_header(ContentType::json())
        .body(answer);
    Ok(Raw::from(response))
}

async fn answer(asked: Asked<'_>, body: &Bytes) -> Result<Bytes, ApiError> {
    let head = Head::read(body)?;
    let embeddings = &asked.services.embeddings;
    let named = embeddings.find(&asked.caller.0, &head.model)?;
    if let Target::Agent { .. } = head.target() {
        return Err(no_embeddings(&head.model));
    }
    if named.relays {
        relay(asked, named.model, &head).await
    } else {
        embed(asked, named.model, &head.model, shape::read(body)?).await
    }
}

/// Passes the request on; the caller's going away cancels it.
async fn relay(asked: Asked<'_>, model: ModelRef, head: &Head<'_>) -> Result<Bytes, ApiError> {
    let passing = head.passing(&model.model);
    let tokens = estimate_tokens_of_length(passing.body.len());
    let body = passing.body(None);
    let (service, caller) = (Arc::clone(&asked.services.embeddings), asked.caller.0);
    let work = async move { service.relay(&caller, &model, body, tokens).await };
    asked.kernel.core().run_cancellable(work).await
}

/// Asks the model in its own protocol; the caller's going away cancels it.
async fn embed(
    asked: Asked<'_>,
    model: ModelRef,
    name: &str,
    request: EmbeddingRequest,
) -> Result<Bytes, ApiError> {
    let (format, dimensions) = (request.format(), request.dimensions()?);
    let texts = request.texts()?;
    let estimate = texts.iter().map(|text| estimate_tokens(text)).sum();
    let (service, caller) = (Arc::clone(&asked.services.embeddings), asked.caller.0);
    let work = async move { service.embed(&caller, &model, &texts, dimensions).await };
    let embeddings = asked.kernel.core().run_cancellable(work).await?;
    Ok(EmbeddingList::new(name, &embeddings, estimate, format).into_json())
}

/// The agent does not embed.
fn no_embeddings(model: &str) -> ApiError {
    ApiError::new(
        ErrorClass::NotFound,
        "model_not_found",
        format!("The model `{model}` does not exist"),
    )
}
