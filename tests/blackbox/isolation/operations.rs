//! Every documented operation: who may call it, what it does, and how it names objects. A route that is added to a
//! document needs a line here, or `every_documented_operation_is_listed` fails.

use Access::{Anyone, Operator, Public, Scoped};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, without a credential; the reason.
    Public(&'static str),
    /// Every credential, whatever its scopes; the reason.
    Anyone(&'static str),
    /// Credentials with this scope.
    Scoped(&'static str),
    /// Credentials of the operator with full access; no API key.
    Operator,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// Method and path as in the document.
    pub(crate) route: &'static str,
    pub(crate) access: Access,
    /// Whether viewers are refused.
    pub(crate) changes: bool,
    /// What the path's parameters name, in order: kinds of [`Ids`](super::world::Ids).
    pub(crate) names: &'static [&'static str],
    /// The query, with `{kind}` for ids and `{word}` for a word of another user's secret.
    pub(crate) query: &'static str,
    /// The JSON body, likewise.
    pub(crate) body: &'static str,
    /// Why the answer is the same for all users and changes with what they do, where it does.
    pub(crate) shared: Option<&'static str>,
}

const fn operation(route: &'static str, access: Access, changes: bool) -> Operation {
    Operation {
        route,
        access,
        changes,
        names: &[],
        query: "",
        body: "",
        shared: None,
    }
}

/// Needs no credential, because of `reason`.
const fn public(route: &'static str, reason: &'static str) -> Operation {
    operation(route, Public(reason), false)
}

/// Needs any credential, because of `reason`.
const fn anyone(route: &'static str, reason: &'static str) -> Operation {
    operation(route, Anyone(reason), false)
}

/// Reads with `scope`.
const fn reads(route: &'static str, scope: &'static str) -> Operation {
    operation(route, Scoped(scope), false)
}

/// Changes something with `scope`; viewers may not.
const fn changes(route: &'static str, scope: &'static str) -> Operation {
    operation(route, Scoped(scope), true)
}

/// For the operator's own tokens only.
const fn full_access(route: &'static str) -> Operation {
    operation(route, Operator, true)
}

impl Operation {
    const fn of(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    const fn shared(self, reason: &'static str) -> Self {
        Self {
            shared: Some(reason),
            ..self
        }
    }

    /// Method and path.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        self.route.split_once(' ').unwrap()
    }

    /// Whether it names an object of a user.
    pub(crate) fn names_objects(&self) -> bool {
        let text = [self.query, self.body].concat();
        !self.names.is_empty()
            || super::world::KINDS
                .iter()
                .any(|kind| text.contains(&format!("{{{kind}}}")))
    }
}

const DOCUMENTATION: &str = "describes the API, which is no secret";
const PROBE: &str = "says only whether the server works";
const LOGIN: &str = "takes the credential it is about itself";

/// All of them, by dialect and path.
#[rustfmt::skip] // One line for each operation.
pub(crate) const OPERATIONS: &[Operation] = &[
    // PocketPaw, dashboard
    public("POST /api/auth/login", LOGIN),
    anyone("POST /api/auth/logout", "removes the caller's own cookie"),
    public("POST /api/auth/session", LOGIN),
    anyone("GET /api/health", "the server's health is the same for all").shared(PROBE),
    reads("GET /api/memory/session", "sessions").query("id={session}"),
    reads("GET /api/memory/session/export", "sessions").query("id={session}"),
    reads("GET /api/memory/sessions", "sessions"),
    reads("GET /api/sessions", "sessions"),
    reads("GET /api/sessions/search", "sessions").query("q={word}"),
    changes("DELETE /api/sessions/{id}", "sessions").of(&["session"]),
    changes("POST /api/sessions/{id}/title", "sessions").of(&["session"]).body(r#"{"title":"taken"}"#),
    full_access("POST /api/token/regenerate"),
    anyone("GET /api/version", "the server's version is the same for all"),
    // PocketPaw
    reads("GET /api/v1/auth/api-keys", "admin"),
    changes("POST /api/v1/auth/api-keys", "admin").body(r#"{"name":"n","scopes":["chat"]}"#),
    changes("DELETE /api/v1/auth/api-keys/{id}", "admin").of(&["key"]),
    changes("POST /api/v1/auth/api-keys/{id}/rotate", "admin").of(&["key"]),
    public("POST /api/v1/auth/login", LOGIN),
    anyone("POST /api/v1/auth/logout", "removes the caller's own cookie"),
    public("POST /api/v1/auth/session", LOGIN),
    changes("POST /api/v1/chat", "chat").body(r#"{"content":"hi","session_id":"{session}"}"#),
    changes("POST /api/v1/chat/stop", "chat").query("session_id={session}"),
    reads("GET /api/v1/chat/stream", "chat").query("run={run}"),
    changes("POST /api/v1/chat/stream", "chat").query("run={run}").body(r#"{"content":"hi","session_id":"{session}"}"#),
    reads("GET /api/v1/diagnostics/proxy", "admin"),
    reads("GET /api/v1/diagnostics/proxy/stream", "admin"),
    public("GET /api/v1/docs", DOCUMENTATION),
    anyone("GET /api/v1/health", "the server's health is the same for all").shared(PROBE),
    public("GET /api/v1/openapi.json", DOCUMENTATION),
    public("GET /api/v1/redoc", DOCUMENTATION),
    reads("GET /api/v1/sessions", "sessions"),
    changes("POST /api/v1/sessions", "sessions"),
    reads("GET /api/v1/sessions/search", "sessions").query("q={word}"),
    changes("DELETE /api/v1/sessions/{id}", "sessions").of(&["session"]),
    reads("GET /api/v1/sessions/{id}/export", "sessions").of(&["session"]),
    reads("GET /api/v1/sessions/{id}/history", "sessions").of(&["session"]),
    changes("POST /api/v1/sessions/{id}/title", "sessions").of(&["session"]).body(r#"{"title":"taken"}"#),
    full_access("POST /api/v1/token/regenerate"),
    anyone("GET /api/v1/version", "the server's version is the same for all"),
    // PiSovereign
    public("GET /api-docs/openapi.json", DOCUMENTATION),
    public("GET /health", PROBE),
    public("GET /metrics", "counters of the whole server, of no user"),
    public("GET /metrics/prometheus", "counters of the whole server, of no user"),
    public("GET /ready", PROBE),
    public("GET /ready/all", PROBE),
    public("GET /redoc", DOCUMENTATION),
    public("GET /swagger-ui/", DOCUMENTATION),
    changes("POST /v1/chat", "chat").body(r#"{"message":"hi","conversation_id":"{session}"}"#),
    reads("GET /v1/chat/stream", "chat").query("run={run}"),
    changes("POST /v1/chat/stream", "chat").query("run={run}").body(r#"{"message":"hi","conversation_id":"{session}"}"#),
    reads("GET /v1/system/models", "chat"),
    reads("GET /v1/system/status", "metrics").shared("counters of the whole server, of no user"),
    // Pixcode
    reads("GET /api/search/conversations", "sessions").query("q={word}"),
    // OpenAI
    reads("GET /v1/chat/completions", "chat").query("run={run}"),
    changes("POST /v1/chat/completions", "chat")
        .body(r#"{"model":"majordomo","messages":[{"role":"user","content":"hi"}],"metadata":{"session_id":"{session}"}}"#),
    reads("GET /v1/models", "chat"),
    reads("GET /v1/models/{model}", "chat").of(&["model"]),
];
