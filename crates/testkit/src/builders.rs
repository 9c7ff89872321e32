//! Ready-made rows of the domain. Fields are public: a test changes what it is about with `NewTurn { ..turn(..) }` or by
//! assignment.
//!
//! Identifiers are made of the owner's, the session's and a number, so that two rows collide only where a test wants it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that names an impossible identifier fails at once"
)]

use std::sync::Arc;

use majordomo_application::memory::NewMemory;
use majordomo_application::ports::{Answer, Durability, EndedCall, NewTurn};
use majordomo_domain::{
    ApiKey, ApiKeyId, AuditRecord, BudgetWindow, Channel, CredentialKind, Importance, Memory,
    MemoryAuthor, MemoryId, MemoryKind, MemorySource, Message, MessageId, MessageStatus, MicroUsd,
    ModelRef, Outcome, RequestSource, Role, Run, RunEvent, RunEventKind, RunId, RunKind,
    RunOptions, RunStatus, Scope, Scopes, Session, SessionId, Timestamp, Usage, UsageRecord, User,
    UserId, UserRole, Username,
};

/// The user with this name.
///
/// # Panics
/// When `name` is no identifier.
pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// The session id with this text.
///
/// # Panics
/// When `text` is no identifier.
pub fn session_id(text: &str) -> SessionId {
    SessionId::parse(text).unwrap()
}

/// The message id with this text.
///
/// # Panics
/// When `text` is no identifier.
pub fn message_id(text: &str) -> MessageId {
    MessageId::parse(text).unwrap()
}

/// The memory id with this text.
///
/// # Panics
/// When `text` is no identifier.
pub fn memory_id(text: &str) -> MemoryId {
    MemoryId::parse(text).unwrap()
}

/// The run id with this text.
///
/// # Panics
/// When `text` is no identifier.
pub fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

/// A point `secs` seconds after 2026-02-02T02:40:00Z.
pub const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_770_000_000 + secs)
}

/// A session without messages, begun at `at(0)`.
pub fn session(owner: &str, id: &str) -> Session {
    Session::begin(session_id(id), user(owner), Channel::Api, at(0))
}

/// A whole user message of a session, said at `at(0)`; its `seq` is 0 until a store assigns one.
pub fn message(session: &Session, id: &str, text: &str) -> Message {
    Message {
        id: message_id(id),
        owner: session.owner.clone(),
        session: session.id.clone(),
        seq: 0,
        role: Role::User,
        text: text.to_owned(),
        images: Vec::new(),
        status: MessageStatus::Complete,
        created_at: at(0),
        run: None,
        model: None,
        usage: None,
    }
}

/// A running chat turn that answers `message`.
pub fn run(message: &Message, id: &str) -> Run {
    Run {
        id: run_id(id),
        owner: message.owner.clone(),
        kind: RunKind::ChatTurn,
        session: message.session.clone(),
        message: message.id.clone(),
        options: RunOptions::default(),
        status: RunStatus::Running,
        created_at: message.created_at,
        finished_at: None,
    }
}

/// The owner's `number`th turn in a session: a message said at `at(number)` and its running run, whose journal holds
/// [`RunEventKind::Started`].
pub fn turn(owner: &str, session_id: &str, number: u32, text: &str) -> NewTurn {
    let when = at(i64::from(number));
    let session = Session {
        created_at: when,
        updated_at: when,
        ..session(owner, session_id)
    };
    let mut message = message(
        &session,
        &format!("message-{owner}-{session_id}-{number}"),
        text,
    );
    message.created_at = when;
    let run = run(&message, &format!("run-{owner}-{session_id}-{number}"));
    message.run = Some(run.id.clone());
    NewTurn {
        session,
        message,
        run,
        events: vec![event(1, RunEventKind::Started)],
        durability: Durability::Flushed,
    }
}

/// The same turn, waiting: its run is queued and its journal empty.
pub fn queued(turn: NewTurn) -> NewTurn {
    NewTurn {
        run: Run {
            status: RunStatus::Queued,
            ..turn.run
        },
        events: Vec::new(),
        ..turn
    }
}

/// The completed end of a turn, half a second after it began: a text piece and `Finished` as events 2 and 3, and the
/// assistant's message.
pub fn answer(turn: &NewTurn, text: &str) -> Answer {
    let finished_at = Timestamp::from_micros(turn.message.created_at.as_micros() + 500_000);
    let usage = Usage {
        input_tokens: 12,
        output_tokens: 5,
        cached_input_tokens: 3,
    };
    let message = Message {
        id: message_id(&format!("answer-{}", turn.run.id)),
        role: Role::Assistant,
        text: text.to_owned(),
        images: Vec::new(),
        created_at: finished_at,
        run: Some(turn.run.id.clone()),
        model: Some("mock/echo".to_owned()),
        usage: Some(usage),
        ..turn.message.clone()
    };
    let outcome = Outcome {
        status: RunStatus::Completed,
        message: Some(message.id.clone()),
        model: message.model.clone(),
        usage,
        reason: "stop".to_owned(),
        error: None,
    };
    Answer {
        run: turn.run.id.clone(),
        status: RunStatus::Completed,
        finished_at,
        events: vec![
            text_event(2, text),
            event(3, RunEventKind::Finished(outcome)),
        ],
        message: Some(message),
        calls: Vec::new(),
    }
}

/// An event that happened `seq` seconds after `at(0)`.
pub fn event(seq: u64, kind: RunEventKind) -> RunEvent {
    RunEvent {
        seq,
        at: at(i64::try_from(seq).unwrap_or(i64::MAX)),
        kind,
    }
}

/// A piece of an answer.
pub fn text_event(seq: u64, text: &str) -> RunEvent {
    event(seq, RunEventKind::Text(text.to_owned()))
}

/// What is recorded of a session that is deleted or cleared.
pub fn erasure() -> AuditRecord {
    AuditRecord::of_system("session.delete", at(0))
}

/// The owner's `number`th memory, of what was said, made at `at(number)`.
///
/// # Panics
/// When `owner` is no identifier.
pub fn memory(owner: &str, number: u32, content: &str) -> Memory {
    let when = at(i64::from(number));
    Memory {
        id: MemoryId::parse(format!("memory-{owner}-{number}")).unwrap(),
        owner: user(owner),
        content: content.to_owned(),
        summary: Memory::summarize(content),
        kind: MemoryKind::Context,
        importance: Importance::DEFAULT,
        tags: Vec::new(),
        sources: vec![MemorySource::of(MemoryAuthor::User)],
        created_at: when,
        updated_at: when,
        accessed_at: when,
        access_count: 0,
        decayed_at: when,
        revision: 0,
    }
}

/// The owner's active key, made at `at(number)`, with the scopes `chat` and `sessions`.
///
/// # Panics
/// When `owner` is no identifier.
pub fn api_key(owner: &str, number: u32) -> ApiKey {
    ApiKey {
        id: ApiKeyId::parse(format!("key-{owner}-{number}")).unwrap(),
        owner: user(owner),
        name: format!("key {number}"),
        prefix: format!("pp_{number:05}"),
        scopes: Scopes::from_iter([Scope::Chat, Scope::Sessions]),
        created_at: at(i64::from(number)),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        enabled: true,
        limits: Arc::default(),
    }
}

/// What the operator did, at `at(0)`: `action` on nothing in particular.
pub fn record(action: &'static str) -> AuditRecord {
    let operator = UserId::operator();
    let source = RequestSource::default();
    AuditRecord::of_user(
        action,
        &operator,
        &CredentialKind::MasterToken,
        source,
        at(0),
    )
}

/// An enabled member of this name, whose id is the name, made at `at(number)`.
///
/// # Panics
/// When `name` is no identifier and username.
pub fn account(name: &str, number: u32) -> User {
    User {
        id: user(name),
        username: Username::parse(name).unwrap(),
        role: UserRole::Member,
        enabled: true,
        token_version: 0,
        created_at: at(i64::from(number)),
        last_login_at: None,
    }
}

/// A call of a model without a price of its own: a millionth of a dollar for each of `tokens`.
pub fn ended_call(owner: &str, tokens: u64, windows: Vec<BudgetWindow>) -> EndedCall {
    let record = UsageRecord {
        owner: user(owner),
        key: None,
        session: None,
        run: None,
        model: ModelRef::new("mock", "model"),
        usage: Usage {
            input_tokens: tokens,
            ..Usage::default()
        },
        estimated: false,
        cost: MicroUsd(tokens),
        price_version: None,
        at: at(1),
    };
    EndedCall { record, windows }
}

/// A fact that a user wants to have remembered.
pub fn remembering(content: &str) -> NewMemory {
    NewMemory {
        content: content.to_owned(),
        summary: None,
        kind: MemoryKind::Fact,
        importance: None,
        tags: Vec::new(),
        source: MemorySource::of(MemoryAuthor::User),
        created_at: None,
    }
}
