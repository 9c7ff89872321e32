//! Nobody sees anything of another user's: every documented operation of every dialect, called without a credential,
//! with each scope missing, as a viewer, and as another user.

mod operations;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::documents::{DIALECTS, printed};
use crate::harness::{Server, on_postgresql};
use operations::{Access, OPERATIONS, Operation};
use world::{BOB, CANARY, Ids, belongings, key_with, method, seed, start, viewer};

/// How long a stream without an end is read.
const GLIMPSE: Duration = Duration::from_millis(300);

/// All scopes that API keys may have but `admin`, which implies all others.
const SCOPES: [&str; 12] = [
    "chat",
    "sessions",
    "settings:read",
    "settings:write",
    "channels",
    "memory",
    "kits",
    "files:read",
    "files:write",
    "metrics",
    "skills",
    "automation",
];

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: u16,
    kind: String,
    text: String,
}

async fn ask(server: &Server, operation: &Operation, ids: &Ids, credential: Option<&str>) -> Seen {
    let request = server.anonymous(method(operation), &ids.target(operation));
    let request = match credential {
        Some(credential) => request.bearer_auth(credential),
        None => request,
    };
    let request = match ids.body(operation) {
        Some(body) => request.json(&body),
        None => request,
    };
    let mut response = request.send().await.unwrap();
    let kind = response.headers().get("content-type");
    let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
    let mut body = Vec::new();
    // A stream may have no end.
    while let Ok(Ok(Some(piece))) = tokio::time::timeout(GLIMPSE, response.chunk()).await {
        body.extend_from_slice(&piece);
    }
    Seen {
        status: response.status().as_u16(),
        kind: kind.unwrap_or_default(),
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// The answer without what differs from request to request: the named ids, fresh ids and times.
fn comparable(seen: Seen, ids: &Ids) -> Seen {
    let named = ids
        .private()
        .fold(seen.text, |text, id| text.replace(id, "ID"));
    let mut text = String::with_capacity(named.len());
    let mut rest = named.chars();
    loop {
        let varying = uuid_length(rest.as_str())
            .or_else(|| time_length(rest.as_str()))
            .or_else(|| seconds_length(rest.as_str()));
        if let Some(length) = varying {
            text.push('~');
            rest.nth(length - 1);
        } else if let Some(next) = rest.next() {
            text.push(next);
        } else {
            break;
        }
    }
    Seen { text, ..seen }
}

/// `01a1fe00-6943-70fa-a1c7-d151754491d7`
fn uuid_length(text: &str) -> Option<usize> {
    let candidate = text.as_bytes().get(..36)?;
    let fits = |(place, byte): (usize, &u8)| {
        if matches!(place, 8 | 13 | 18 | 23) {
            *byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    };
    candidate.iter().enumerate().all(fits).then_some(36)
}

/// `2026-11-21T12:00:00` and everything after it that belongs to the time.
fn time_length(text: &str) -> Option<usize> {
    let begin = text.as_bytes().get(..19)?;
    let pattern = b"0000-00-00T00:00:00";
    let fits = begin
        .iter()
        .zip(pattern)
        .all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
    let end = text.find(|c: char| !(c.is_ascii_digit() || "-T:.Z+".contains(c)));
    fits.then(|| end.unwrap_or(text.len()))
}

/// `"uptime_seconds":17`, `"created":1795317918`
fn seconds_length(text: &str) -> Option<usize> {
    let names = ["\"uptime_seconds\":", "\"created\":"];
    let seconds = names.iter().find_map(|name| text.strip_prefix(name))?;
    let digits = seconds.bytes().take_while(u8::is_ascii_digit).count();
    Some(text.len() - seconds.len() + digits)
}

#[test]
fn every_documented_operation_is_listed() {
    let mut documented = BTreeSet::new();
    for dialect in DIALECTS {
        let document: Value = serde_json::from_str(&printed(dialect)).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                if operation["responses"].is_object() {
                    documented.insert(format!("{} {path}", method.to_ascii_uppercase()));
                }
            }
        }
    }
    for operation in OPERATIONS {
        let reads = operation.route.starts_with("GET");
        assert!(!(reads && operation.changes), "{}", operation.route);
    }
    let listed: BTreeSet<String> = OPERATIONS.iter().map(|one| one.route.to_owned()).collect();
    assert_eq!(
        listed.len(),
        OPERATIONS.len(),
        "an operation is listed twice"
    );
    let missing: Vec<_> = documented.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&documented).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "tests/blackbox/isolation/operations.rs lacks {missing:#?} and lists {gone:#?}, which no document has"
    );
}

async fn nothing_is_answered_without_a_credential(server: Server) {
    let ids = seed(&server).await;
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        for credential in [None, Some("sk-nobody-0123456789abcdef")] {
            let seen = ask(&server, operation, &ids, credential).await;
            let refused = seen.status == 401;
            let public = matches!(operation.access, Access::Public(_));
            if refused == public && !(public && operation.route.starts_with("POST")) {
                wrong.push((operation.route, credential.is_some(), seen.status));
            }
            assert!(
                !seen.text.contains(CANARY),
                "{}: {}",
                operation.route,
                seen.text
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn each_operation_needs_exactly_its_scope(server: Server) {
    let nothing = Ids::of_nothing();
    let mut wrong = Vec::new();
    for missing in SCOPES.into_iter().chain(["admin"]) {
        let others: Vec<&str> = SCOPES
            .into_iter()
            .filter(|scope| *scope != missing)
            .collect();
        let without = key_with(&server, &others).await;
        let with = key_with(&server, &[missing]).await;
        for operation in OPERATIONS {
            // What is allowed with the scope would end the key itself or the operator's token.
            let (needs, refuses) = match operation.access {
                Access::Scoped(scope) if scope == missing => (true, true),
                Access::Operator => (false, true),
                Access::Anyone(_) => (true, false),
                Access::Scoped(_) | Access::Public(_) => continue,
            };
            let without = match operation.or {
                None => without.clone(),
                Some(other) => {
                    let neither = others.iter().copied().filter(|one| *one != other);
                    key_with(&server, &neither.collect::<Vec<_>>()).await
                }
            };
            let seen = ask(&server, operation, &nothing, Some(&without)).await;
            if (seen.status == 403) != refuses {
                wrong.push((operation.route, format!("without {missing}"), seen.status));
            }
            let seen = ask(&server, operation, &nothing, Some(&with)).await;
            if matches!(seen.status, 401 | 403) == needs {
                wrong.push((operation.route, format!("with {missing} only"), seen.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn a_viewer_sees_and_changes_nothing(server: Server) {
    let viewer = viewer(&server).await;
    let nothing = Ids::of_nothing();
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        // A message that names a run only follows it, whatever else it says.
        let follows = operation.changes && operation.query.starts_with("run=");
        let query = if follows { "" } else { operation.query };
        let operation = &Operation {
            query,
            ..*operation
        };
        let allowed = match operation.access {
            Access::Scoped("admin") if operation.own => !operation.changes,
            Access::Scoped("admin" | "settings:write" | "files:write") => false,
            Access::Scoped(_) | Access::Operator => !operation.changes,
            Access::Anyone(_) => true,
            Access::Public(_) => continue,
        };
        let seen = ask(&server, operation, &nothing, Some(&viewer)).await;
        if matches!(seen.status, 401 | 403) == allowed {
            wrong.push((operation.route, seen.status, seen.text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Ids of another user's objects are answered like ids of nothing, and nothing of them is changed or shown.
async fn another_users_objects_do_not_exist(server: Server) {
    let nothing = Ids::of_nothing();
    let lists: Vec<&Operation> = OPERATIONS
        .iter()
        .filter(|one| one.route.starts_with("GET") && !one.names_objects())
        .collect();
    let mut before = Vec::new();
    for operation in &lists {
        before.push(comparable(
            ask(&server, operation, &nothing, Some(BOB)).await,
            &nothing,
        ));
    }
    let ids = seed(&server).await;
    let owned = belongings(&server).await;
    let mut wrong = Vec::new();
    for (operation, before) in lists.into_iter().zip(before) {
        let seen = ask(&server, operation, &nothing, Some(BOB)).await;
        let leaks = shows(&seen, &ids);
        let after = comparable(seen, &nothing);
        let public = matches!(operation.access, Access::Public(_));
        if leaks || (after != before && operation.shared.is_none() && !public) {
            wrong.push((operation.route, before, after));
        }
    }
    for operation in OPERATIONS.iter().filter(|one| one.names_objects()) {
        let of_nothing = ask(&server, operation, &nothing, Some(BOB)).await;
        let of_another = ask(&server, operation, &ids, Some(BOB)).await;
        let leaks = of_another.text.contains(CANARY);
        let of_nothing = comparable(of_nothing, &nothing);
        let of_another = comparable(of_another, &ids);
        if leaks || of_nothing != of_another {
            wrong.push((operation.route, of_nothing, of_another));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        belongings(&server).await,
        owned,
        "another user has changed something"
    );
}

/// Whether an answer shows the canary or an id of its owner's.
fn shows(seen: &Seen, ids: &Ids) -> bool {
    seen.text.contains(CANARY) || ids.private().any(|id| seen.text.contains(id))
}

#[tokio::test]
async fn nothing_is_answered_without_a_credential_on_sqlite() {
    nothing_is_answered_without_a_credential(start("").await).await;
}

#[tokio::test]
async fn nothing_is_answered_without_a_credential_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        nothing_is_answered_without_a_credential(start(&database).await).await;
    }
}

#[tokio::test]
async fn each_operation_needs_exactly_its_scope_on_sqlite() {
    each_operation_needs_exactly_its_scope(start("").await).await;
}

#[tokio::test]
async fn each_operation_needs_exactly_its_scope_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        each_operation_needs_exactly_its_scope(start(&database).await).await;
    }
}

#[tokio::test]
async fn a_viewer_sees_and_changes_nothing_on_sqlite() {
    a_viewer_sees_and_changes_nothing(start("").await).await;
}

#[tokio::test]
async fn a_viewer_sees_and_changes_nothing_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        a_viewer_sees_and_changes_nothing(start(&database).await).await;
    }
}

#[tokio::test]
async fn another_users_objects_do_not_exist_on_sqlite() {
    another_users_objects_do_not_exist(start("").await).await;
}

#[tokio::test]
async fn another_users_objects_do_not_exist_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        another_users_objects_do_not_exist(start(&database).await).await;
    }
}
