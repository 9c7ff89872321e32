//! What is searched for and what is found, in Pixcode's words: matches belong to sessions, sessions to a project.

use majordomo_application::ports::SearchHit;
use majordomo_presentation_http::{ApiError, ErrorClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The one project that this server's own conversations belong to, and the name of their provider.
const OWN: &str = "majordomo";
/// Shortest query, in characters.
const MIN_QUERY: usize = 2;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

/// What is searched for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SearchParams {
    /// Words that all have to be there; the last may be the beginning of a word.
    #[schemars(required, with = "String", length(min = 2))]
    q: Option<String>,
    /// Matches at most, 1 to 100; 50 when it is left out or no number.
    limit: Option<String>,
    /// Only conversations with this provider; this server's own are those of `majordomo`.
    provider: Option<String>,
}

/// A search that can be made.
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) limit: u32,
    /// Whether this server's own conversations are among those asked for.
    pub(crate) wants_ours: bool,
}

impl SearchParams {
    pub(crate) fn into_query(self) -> Result<Query, ApiError> {
        let text = self.q.unwrap_or_default().trim().to_owned();
        if text.chars().take(MIN_QUERY).count() < MIN_QUERY {
            let message = format!("Query must be at least {MIN_QUERY} characters");
            return Err(ApiError::new(
                ErrorClass::Invalid,
                "query_too_short",
                message,
            ));
        }
        let limit = self
            .limit
            .and_then(|limit| limit.trim().parse::<i64>().ok());
        let limit = limit.map_or(DEFAULT_LIMIT, |limit| {
            u32::try_from(limit.clamp(1, i64::from(MAX_LIMIT))).unwrap_or(MAX_LIMIT)
        });
        let wants_ours = self
            .provider
            .is_none_or(|provider| provider.is_empty() || provider == OWN);
        Ok(Query {
            text,
            limit,
            wants_ours,
        })
    }
}

/// Where a word of the query stands in the snippet, in UTF-16 code units: what JavaScript's strings count.
#[derive(Serialize, JsonSchema)]
struct Highlight {
    start: usize,
    end: usize,
}

/// The places given in characters, in UTF-16 code units.
fn highlights(hit: &SearchHit) -> Vec<Highlight> {
    let units = |characters: usize| {
        hit.snippet
            .chars()
            .take(characters)
            .map(char::len_utf16)
            .sum()
    };
    hit.highlights
        .iter()
        .map(|&(start, end)| Highlight {
            start: units(start),
            end: units(end),
        })
        .collect()
}

/// A message that matches.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Match {
    /// `user`, `assistant` or `system`.
    role: &'static str,
    /// The part of the message around the first match.
    snippet: String,
    highlights: Vec<Highlight>,
    /// When it was said; RFC 3339, UTC.
    timestamp: String,
    provider: &'static str,
    /// The message's id.
    message_uuid: String,
}

impl From<SearchHit> for Match {
    fn from(hit: SearchHit) -> Self {
        Self {
            role: hit.role.as_str(),
            highlights: highlights(&hit),
            snippet: hit.snippet,
            timestamp: hit.created_at.to_rfc3339(),
            provider: OWN,
            message_uuid: hit.message.into_string(),
        }
    }
}

/// A session with its matches.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SessionMatches {
    session_id: String,
    provider: &'static str,
    /// The session's title.
    session_summary: String,
    /// Best first.
    matches: Vec<Match>,
}

/// A project with its sessions.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProjectResult {
    project_name: &'static str,
    project_display_name: &'static str,
    /// The session with the best match first.
    sessions: Vec<SessionMatches>,
}

/// The payload of an event.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SearchEvent {
    /// Of the event `result`.
    Result(SearchResult),
    /// Of the event `done`: `{}`.
    Done {},
}

/// What was found in a project.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchResult {
    project_result: ProjectResult,
    /// Matches so far.
    total_matches: usize,
    /// Projects searched so far.
    scanned_projects: usize,
    /// Projects to search.
    total_projects: usize,
}

impl From<Vec<SearchHit>> for SearchResult {
    fn from(hits: Vec<SearchHit>) -> Self {
        let total_matches = hits.len();
        let mut sessions: Vec<SessionMatches> = Vec::new();
        for hit in hits {
            let known = sessions
                .iter()
                .position(|session| session.session_id == hit.session.as_str());
            match known.and_then(|place| sessions.get_mut(place)) {
                Some(session) => session.matches.push(hit.into()),
                None => sessions.push(SessionMatches {
                    session_id: hit.session.as_str().to_owned(),
                    provider: OWN,
                    session_summary: hit.title.clone(),
                    matches: vec![hit.into()],
                }),
            }
        }
        Self {
            project_result: ProjectResult {
                project_name: OWN,
                project_display_name: OWN,
                sessions,
            },
            total_matches,
            scanned_projects: 1,
            total_projects: 1,
        }
    }
}

/// A match with the session and the project it belongs to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RankedMatch {
    project_name: &'static str,
    project_display_name: &'static str,
    session_id: String,
    /// The session's title.
    session_summary: String,
    #[serde(flatten)]
    found: Match,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SearchResponse {
    /// Best first.
    results: Vec<RankedMatch>,
    /// How many there are.
    total: usize,
}

impl From<Vec<SearchHit>> for SearchResponse {
    fn from(hits: Vec<SearchHit>) -> Self {
        let ranked = |hit: SearchHit| RankedMatch {
            project_name: OWN,
            project_display_name: OWN,
            session_id: hit.session.as_str().to_owned(),
            session_summary: hit.title.clone(),
            found: hit.into(),
        };
        let results: Vec<RankedMatch> = hits.into_iter().map(ranked).collect();
        Self {
            total: results.len(),
            results,
        }
    }
}
