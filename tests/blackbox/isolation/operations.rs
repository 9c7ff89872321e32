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
    /// Another scope that is as good, if any.
    pub(crate) or: Option<&'static str>,
    /// Whether people who signed in may do it for themselves without the scope.
    pub(crate) own: bool,
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
        or: None,
        own: false,
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

/// For people who signed in, and for no key.
const fn in_person(route: &'static str) -> Operation {
    operation(route, Operator, false)
}

impl Operation {
    const fn of(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    const fn or(self, scope: &'static str) -> Self {
        Self {
            or: Some(scope),
            ..self
        }
    }

    const fn own(self) -> Self {
        Self { own: true, ..self }
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
const REPORTS: &str = "the findings of the whole server, for administrators";
const METADATA: &str = "tells apps where to sign in, which is no secret";
/// What an app asks of a user.
pub(crate) const AUTHORIZE_QUERY: &str = "client_id=pocketpaw-desktop&redirect_uri=http://127.0.0.1:1420/oauth-callback&response_type=code\
     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// All of them, by dialect and path.
#[rustfmt::skip] // One line for each operation.
pub(crate) const OPERATIONS: &[Operation] = &[
    // PocketPaw, dashboard
    reads("GET /api/audit", "admin"),
    changes("DELETE /api/audit", "admin"),
    public("POST /api/auth/login", LOGIN),
    anyone("POST /api/auth/logout", "removes the caller's own cookie"),
    public("POST /api/auth/session", LOGIN),
    anyone("GET /api/health", "the server's health is the same for all").shared(PROBE),
    anyone("POST /api/health/check", "the server's health is the same for all").shared(PROBE),
    reads("GET /api/health/errors", "admin"),
    changes("DELETE /api/health/errors", "admin"),
    reads("GET /api/identity", "admin"),
    changes("PUT /api/identity", "admin").body(r#"{"user_file":"taken"}"#),
    reads("GET /api/memory/graph", "memory"),
    reads("GET /api/memory/graph.svg", "memory"),
    reads("GET /api/memory/long_term", "memory"),
    changes("DELETE /api/memory/long_term/{id}", "memory").of(&["memory"]),
    changes("PATCH /api/memory/long_term/{id}", "memory").of(&["memory"]).body(r#"{"content":"taken"}"#),
    changes("POST /api/memory/prune", "memory").body(r#"{"older_than_days":30}"#),
    reads("GET /api/memory/session", "sessions").query("id={session}"),
    reads("GET /api/memory/session/export", "sessions").query("id={session}"),
    reads("GET /api/memory/sessions", "sessions"),
    reads("GET /api/memory/settings", "memory"),
    changes("POST /api/memory/settings", "memory").body(r#"{"mem0_auto_learn":false}"#),
    reads("GET /api/memory/stats", "memory"),
    reads("GET /api/oauth/authorize", "settings:write"),
    changes("POST /api/security-audit", "admin").shared(REPORTS),
    reads("GET /api/self-audit/reports", "admin").shared(REPORTS),
    reads("GET /api/self-audit/reports/{date}", "admin").of(&["date"]),
    changes("POST /api/self-audit/run", "admin").shared(REPORTS),
    reads("GET /api/sessions", "sessions"),
    reads("GET /api/sessions/search", "sessions").query("q={word}"),
    changes("DELETE /api/sessions/{id}", "sessions").of(&["session"]),
    changes("POST /api/sessions/{id}/title", "sessions").of(&["session"]).body(r#"{"title":"taken"}"#),
    full_access("POST /api/token/regenerate"),
    anyone("GET /api/version", "the server's version is the same for all"),
    // PocketPaw
    public("GET /.well-known/oauth-authorization-server", METADATA),
    public("GET /.well-known/oauth-protected-resource", METADATA),
    public("GET /oauth/callback", "where other services send the user's browser back"),
    reads("GET /api/v1/agent/status", "chat"),
    reads("GET /api/v1/agent/status/stream", "chat"),
    reads("GET /api/v1/audit", "admin"),
    changes("DELETE /api/v1/audit", "admin"),
    in_person("GET /api/qr"),
    in_person("GET /api/v1/qr"),
    reads("GET /api/v1/users", "admin"),
    full_access("POST /api/v1/users").body(r#"{"username":"somebody","password":"secret1"}"#),
    full_access("PUT /api/v1/users/{id}/enabled").of(&["user"]).body(r#"{"enabled":false}"#),
    full_access("PUT /api/v1/users/{id}/password").of(&["user"]).body(r#"{"password":"secret1"}"#),
    in_person("PUT /api/v1/users/me/password").body(r#"{"current_password":"secret0","password":"secret1"}"#),
    full_access("PUT /api/v1/users/{id}/role").of(&["user"]).body(r#"{"role":"viewer"}"#),
    reads("GET /api/v1/auth/api-keys", "admin").own(),
    changes("POST /api/v1/auth/api-keys", "admin").body(r#"{"name":"n","scopes":["chat"]}"#),
    changes("DELETE /api/v1/auth/api-keys/{id}", "admin").of(&["key"]),
    changes("POST /api/v1/auth/api-keys/{id}/rotate", "admin").of(&["key"]),
    public("POST /api/v1/auth/login", LOGIN),
    anyone("POST /api/v1/auth/logout", "removes the caller's own cookie"),
    public("POST /api/v1/auth/session", LOGIN),
    reads("GET /api/v1/budgets", "metrics"),
    changes("PUT /api/v1/budgets", "admin").body(r#"{"subject":"user:somebody","period":"day","max_tokens":1}"#),
    changes("DELETE /api/v1/budgets", "admin").query("subject=user:nobody&period=day"),
    changes("POST /api/v1/chat", "chat").body(r#"{"content":"hi","session_id":"{session}"}"#),
    changes("POST /api/v1/chat/stop", "chat").query("session_id={session}"),
    reads("GET /api/v1/chat/stream", "chat").query("run={run}"),
    changes("POST /api/v1/chat/stream", "chat").query("run={run}").body(r#"{"content":"hi","session_id":"{session}"}"#),
    reads("GET /api/v1/diagnostics/proxy", "admin"),
    reads("GET /api/v1/diagnostics/proxy/stream", "admin"),
    public("GET /api/v1/docs", DOCUMENTATION),
    reads("GET /api/v1/events/stream", "chat"),
    anyone("GET /api/v1/health", "the server's health is the same for all").shared(PROBE),
    anyone("POST /api/v1/health/check", "the server's health is the same for all").shared(PROBE),
    reads("GET /api/v1/health/errors", "admin"),
    changes("DELETE /api/v1/health/errors", "admin"),
    reads("GET /api/v1/identity", "admin"),
    changes("PUT /api/v1/identity", "admin").body(r#"{"user_file":"taken"}"#),
    reads("GET /api/v1/memory/long_term", "memory"),
    changes("DELETE /api/v1/memory/long_term/{id}", "memory").of(&["memory"]),
    reads("GET /api/v1/memory/settings", "memory"),
    changes("POST /api/v1/memory/settings", "memory").body(r#"{"mem0_auto_learn":false}"#),
    reads("GET /api/v1/memory/stats", "memory"),
    reads("GET /api/v1/metrics/system", "metrics").shared("the load of the whole machine"),
    reads("GET /api/v1/metrics/usage", "metrics"),
    changes("DELETE /api/v1/metrics/usage", "metrics"),
    reads("GET /api/v1/metrics/usage/recent", "metrics"),
    in_person("GET /api/v1/oauth/authorize").query(AUTHORIZE_QUERY),
    public("POST /api/v1/oauth/authorize/consent", LOGIN),
    public("POST /api/v1/oauth/authorize/sign-in", LOGIN),
    reads("GET /api/v1/oauth/grants", "settings:read"),
    changes("DELETE /api/v1/oauth/grants/{id}", "settings:write").of(&["grant"]),
    public("POST /api/v1/oauth/register", "switched off, or for every app"),
    public("POST /api/v1/oauth/revoke", LOGIN),
    public("POST /api/v1/oauth/token", LOGIN),
    public("GET /api/v1/openapi.json", DOCUMENTATION),
    public("GET /api/v1/redoc", DOCUMENTATION),
    changes("POST /api/v1/security-audit", "admin").shared(REPORTS),
    reads("GET /api/v1/self-audit/reports", "admin").shared(REPORTS),
    reads("GET /api/v1/self-audit/reports/{date}", "admin").of(&["date"]),
    changes("POST /api/v1/self-audit/run", "admin").shared(REPORTS),
    reads("GET /api/v1/sessions", "sessions"),
    changes("POST /api/v1/sessions", "sessions"),
    changes("POST /api/v1/sessions/import", "sessions").body(r#"{"conversations":[{"id":"old","messages":[{"id":"1","role":"user","content":"a thing","timestamp":"2024-05-08T10:00:00Z"}]}]}"#),
    reads("GET /api/v1/sessions/search", "sessions").query("q={word}"),
    changes("DELETE /api/v1/sessions/{id}", "sessions").of(&["session"]),
    reads("GET /api/v1/sessions/{id}/export", "sessions").of(&["session"]),
    reads("GET /api/v1/sessions/{id}/history", "sessions").of(&["session"]),
    changes("POST /api/v1/sessions/{id}/title", "sessions").of(&["session"]).body(r#"{"title":"taken"}"#),
    reads("GET /api/v1/settings", "settings:read").or("settings:write"),
    changes("PUT /api/v1/settings", "settings:write").body(r#"{"settings":{}}"#),
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
    reads("GET /v1/memories", "memory"),
    changes("POST /v1/memories", "memory").body(r#"{"content":"a thing","summary":"a thing"}"#),
    reads("GET /v1/memories/audit", "memory"),
    changes("POST /v1/memories/decay", "memory"),
    reads("GET /v1/memories/export", "memory"),
    changes("POST /v1/memories/import", "memory").body(r#"{"memories":[{"content":"a thing"}]}"#),
    reads("GET /v1/memories/search", "memory").query("q={word}"),
    reads("GET /v1/memories/stats", "memory"),
    reads("GET /v1/memories/{id}", "memory").of(&["memory"]),
    changes("DELETE /v1/memories/{id}", "memory").of(&["memory"]),
    reads("GET /v1/system/models", "chat"),
    reads("GET /v1/system/status", "metrics").shared("counters of the whole server, of no user"),
    // Pixcode
    public("POST /api/auth/register", "makes the first user, once"),
    public("GET /api/auth/status", "tells the client which form to show"),
    anyone("GET /api/auth/user", "tells callers who they are"),
    reads("GET /api/search/conversations", "sessions").query("q={word}"),
    reads("GET /api/settings/api-keys", "admin").own(),
    changes("POST /api/settings/api-keys", "admin").body(r#"{"keyName":"n"}"#),
    changes("DELETE /api/settings/api-keys/{id}", "admin").of(&["key"]),
    changes("PATCH /api/settings/api-keys/{id}/toggle", "admin").of(&["key"]).body(r#"{"isActive":false}"#),
    reads("GET /api/settings/notification-preferences", "settings:read"),
    changes("PUT /api/settings/notification-preferences", "settings:write").body(r#"{"channels":{},"events":{}}"#),
    // OpenAI
    reads("GET /v1/chat/completions", "chat").query("run={run}"),
    changes("POST /v1/chat/completions", "chat")
        .body(r#"{"model":"majordomo","messages":[{"role":"user","content":"hi"}],"metadata":{"session_id":"{session}"}}"#),
    changes("POST /v1/embeddings", "chat").body(r#"{"model":"mock/m","input":"hi"}"#),
    reads("GET /v1/models", "chat"),
    reads("GET /v1/models/{model}", "chat").of(&["model"]),
];
