//! Conversations of other systems become sessions.

use std::collections::HashSet;

use majordomo_domain::{
    Channel, Message, MessageId, MessageStatus, Role, Scope, Session, SessionId, SessionTitle,
    Timestamp,
};
use sha2::{Digest as _, Sha256};

use super::SessionService;
use crate::caller::Caller;
use crate::chat::ChatError;
use crate::error::FieldError;
use crate::ports::{ImportedConversation, RememberedId};

/// Conversations imported at once.
const MAX_CONVERSATIONS: usize = 100;
/// Messages of one conversation imported at once: they are stored in one transaction, and a longer one would keep turns
/// waiting. More of them are imported one part after the other.
pub const MAX_MESSAGES: usize = 1_000;
/// Longest imported message, in characters.
pub const MAX_MESSAGE_CHARS: usize = 1_000_000;

/// A conversation of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// The session it becomes, or is added to.
    pub session: SessionId,
    /// What lists show; made of the first message where there is none. Cut where it is too long.
    pub title: Option<String>,
    /// When it was begun; with its first message where nothing is said.
    pub created_at: Option<Timestamp>,
    /// What was said, in order.
    pub messages: Vec<NewMessage>,
}

/// A message of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// What the other system calls it. Within one session the same name is the same message.
    pub name: String,
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// When.
    pub created_at: Timestamp,
}

/// What became of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSession {
    /// The session.
    pub session: SessionId,
    /// Messages that are new.
    pub stored: u64,
    /// Messages that were there already.
    pub known: u64,
}

impl SessionService {
    /// Stores conversations of other systems, each in one transaction, at most 100. Importing again adds only messages
    /// that are not there. A conversation without messages is passed over.
    pub async fn import(
        &self,
        caller: &Caller,
        conversations: Vec<NewConversation>,
    ) -> Result<Vec<ImportedSession>, ChatError> {
        caller.require_change(Scope::Sessions)?;
        check(&conversations)?;
        let mut imported = Vec::with_capacity(conversations.len());
        for conversation in conversations {
            let (session, given) = (conversation.session.clone(), conversation.messages.len());
            let (mut stored, mut silent) = (Vec::new(), HashSet::new());
            if let Some(conversation) = into_stored(caller, conversation) {
                let now = self.chat.clock().now();
                stored = self.sessions.import(&conversation, now).await?;
                silent = system_messages(conversation);
            }
            let count = |messages: usize| u64::try_from(messages).unwrap_or(u64::MAX);
            imported.push(ImportedSession {
                session,
                stored: count(stored.len()),
                known: count(given.saturating_sub(stored.len())),
            });
            if let Some(embedding) = self.chat.embedding() {
                let said = stored.into_iter().filter(|id| !silent.contains(id));
                embedding.tell(&caller.user, said.map(RememberedId::Turn));
            }
        }
        Ok(imported)
    }
}

fn check(conversations: &[NewConversation]) -> Result<(), ChatError> {
    let wrong = |field: &str, error: String| Err(ChatError::Invalid(FieldError::new(field, error)));
    if conversations.len() > MAX_CONVERSATIONS {
        let error = format!("must not be more than {MAX_CONVERSATIONS}");
        return wrong("conversations", error);
    }
    for conversation in conversations {
        if conversation.messages.len() > MAX_MESSAGES {
            return wrong(
                "messages",
                format!("must not be more than {MAX_MESSAGES} of a conversation"),
            );
        }
        for message in &conversation.messages {
            if message.text.trim().is_empty() {
                return wrong("content", "cannot be empty".to_owned());
            }
            if message.text.chars().count() > MAX_MESSAGE_CHARS {
                return wrong(
                    "content",
                    format!("must not be longer than {MAX_MESSAGE_CHARS} characters"),
                );
            }
        }
    }
    Ok(())
}

/// As it is stored; `None` where nothing was said.
fn into_stored(caller: &Caller, conversation: NewConversation) -> Option<ImportedConversation> {
    let first = conversation.messages.first()?;
    let begun = conversation.created_at.unwrap_or(first.created_at);
    let asked = |message: &&NewMessage| message.role == Role::User;
    let title = conversation
        .title
        .as_deref()
        .map(|title| title.trim().chars().take(SessionTitle::MAX_CHARS).collect())
        .and_then(|title: String| SessionTitle::choose(&title).ok())
        .unwrap_or_else(|| {
            let opening = conversation.messages.iter().find(asked).unwrap_or(first);
            SessionTitle::derive(&opening.text)
        });
    let (owner, id) = (caller.user.clone(), conversation.session);
    let session = Session {
        title,
        ..Session::begin(id.clone(), owner.clone(), Channel::Import, begun)
    };
    let message = |new: NewMessage| {
        Some(Message {
            id: message_id(caller, &id, &new.name)?,
            owner: owner.clone(),
            session: id.clone(),
            seq: 0,
            role: new.role,
            text: new.text,
            images: Vec::new(),
            status: MessageStatus::Complete,
            created_at: new.created_at,
            run: None,
            model: None,
            usage: None,
        })
    };
    Some(ImportedConversation {
        messages: conversation
            .messages
            .into_iter()
            .filter_map(message)
            .collect(),
        session,
    })
}

/// The messages of the conversation that nobody said: they are no turns.
fn system_messages(conversation: ImportedConversation) -> HashSet<MessageId> {
    let messages = conversation.messages.into_iter();
    let system = messages.filter(|message| message.role == Role::System);
    system.map(|message| message.id).collect()
}

/// The id of an imported message: the same for the same name in the same session of the same user, another for all else.
fn message_id(caller: &Caller, session: &SessionId, name: &str) -> Option<MessageId> {
    let mut hash = Sha256::new();
    for part in [caller.user.as_str(), session.as_str(), name] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let (half, _) = digest.split_first_chunk::<16>()?;
    let hex = u128::from_be_bytes(*half);
    MessageId::parse(format!("import-{hex:032x}")).ok()
}
