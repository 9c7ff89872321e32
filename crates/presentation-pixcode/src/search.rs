//! Full-text search over the caller's conversations.

mod dto;

use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpRequest, web};
use futures_util::stream;
use majordomo_presentation_http::openapi::{OneOf, Params, Reply, Sse};
use majordomo_presentation_http::sse::Frame;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;

use dto::{SearchEvent, SearchParams, SearchResponse, SearchResult};

/// What the search answers: events, or one JSON object.
type Found = OneOf<Sse<SearchEvent>, Reply<SearchResponse>>;

/// GET /api/search/conversations: Search conversations
///
/// Server-sent events: `result` with the matches, if there are any, then `done`. With `Accept: application/json` one JSON
/// object, best match first.
#[api_v2_operation(tags(Search), operation_id = "search_conversations")]
pub(crate) async fn search_conversations(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    params: Params<SearchParams>,
    request: HttpRequest,
) -> Result<Found, ApiError> {
    let query = params.0.into_query()?;
    let wants_ours = query.wants_ours;
    let search = async move {
        services
            .sessions
            .search(&caller, &query.text, query.limit)
            .await
    };
    let mut hits = kernel.core().run_cancellable(search).await?;
    if !wants_ours {
        hits.clear();
    }
    Ok(if wants_json(request.headers()) {
        OneOf::Second(Reply(SearchResponse::from(hits)))
    } else {
        let found = (!hits.is_empty()).then(|| SearchEvent::Result(SearchResult::from(hits)));
        let result = found.map(|found| Frame::json(&found).event("result"));
        let done = Frame::json(&SearchEvent::Done {}).event("done");
        OneOf::First(Sse::new(stream::iter(result.into_iter().chain([done]))))
    })
}

/// Whether the client asks for JSON and not for events.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |media: &str| {
        headers
            .get_all(ACCEPT)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim().eq_ignore_ascii_case(media))
    };
    accepts("application/json") && !accepts("text/event-stream")
}
