//! Sessions and their messages in memory.

use std::cmp::Reverse;

use async_trait::async_trait;
use majordomo_application::ports::{
    ImportedConversation, MessageWindow, RepositoryError, SearchHit, SearchQuery, SessionRepository,
};
use majordomo_domain::{
    AuditRecord, Message, MessageId, Session, SessionId, SessionTitle, Timestamp, UserId,
};

use super::{Conversation, InMemoryStore, count, search};

#[async_trait]
impl SessionRepository for InMemoryStore {
    async fn find(
        &self,
        owner: &UserId,
        id: &SessionId,
    ) -> Result<Option<Session>, RepositoryError> {
        let state = self.state();
        let found = state.conversation(owner, id);
        Ok(found.map(|conversation| conversation.session.clone()))
    }

    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<Session>, u64), RepositoryError> {
        let state = self.state();
        let mut sessions: Vec<&Session> = state
            .conversations
            .values()
            .map(|conversation| &conversation.session)
            .filter(|session| session.owner == *owner)
            .collect();
        sessions.sort_by_key(|session| Reverse(session.updated_at));
        let total = u64::try_from(sessions.len()).unwrap_or(u64::MAX);
        let page = sessions.into_iter().skip(count(offset)).take(count(limit));
        Ok((page.cloned().collect(), total))
    }

    async fn rename(
        &self,
        owner: &UserId,
        id: &SessionId,
        title: &SessionTitle,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Some(conversation) = state.conversation_mut(owner, id) else {
            return Ok(false);
        };
        conversation.session.title = title.clone();
        Ok(true)
    }

    async fn set_model(
        &self,
        owner: &UserId,
        id: &SessionId,
        model: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Some(conversation) = state.conversation_mut(owner, id) else {
            return Ok(false);
        };
        conversation.session.model = model.map(str::to_owned);
        Ok(true)
    }

    async fn delete(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        state.forget_runs(owner, id);
        let key = (owner.clone(), id.clone());
        let found = state.conversations.remove(&key).is_some();
        if found {
            state.append_audit(record);
        }
        Ok(found)
    }

    async fn clear(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        state.forget_runs(owner, id);
        let Some(conversation) = state.conversation_mut(owner, id) else {
            return Ok(false);
        };
        conversation.messages.clear();
        conversation.session.message_count = 0;
        state.append_audit(record);
        Ok(true)
    }

    async fn messages(
        &self,
        owner: &UserId,
        id: &SessionId,
        window: MessageWindow,
    ) -> Result<Vec<Message>, RepositoryError> {
        let state = self.state();
        let messages = state
            .conversation(owner, id)
            .map_or(&[][..], |conversation| &conversation.messages);
        let mut newest: Vec<Message> = messages
            .iter()
            .rev()
            .filter(|message| window.before.is_none_or(|before| message.seq < before))
            .take(count(window.limit))
            .cloned()
            .collect();
        newest.reverse();
        Ok(newest)
    }

    async fn import(
        &self,
        conversation: &ImportedConversation,
        at: Timestamp,
    ) -> Result<Vec<MessageId>, RepositoryError> {
        let mut state = self.state();
        let (session, mut stored) = (&conversation.session, Vec::new());
        let (owner, id) = (session.owner.clone(), session.id.clone());
        let key = (owner, id);
        state
            .conversations
            .entry(key.clone())
            .or_insert(Conversation {
                session: Session {
                    message_count: 0,
                    ..session.clone()
                },
                last_seq: 0,
                messages: Vec::new(),
                imported_at: None,
            });
        for message in &conversation.messages {
            if state.knows_message(&message.id) {
                continue;
            }
            let Some(kept) = state.conversations.get_mut(&key) else {
                break;
            };
            let active = kept.session.updated_at;
            kept.push(message.clone());
            kept.session.updated_at = active.max(message.created_at.min(at));
            kept.imported_at = Some(at);
            stored.push(message.id.clone());
        }
        Ok(stored)
    }

    async fn search(
        &self,
        owner: &UserId,
        query: &SearchQuery,
    ) -> Result<Vec<SearchHit>, RepositoryError> {
        let Some(words) = search::Words::of(&query.text) else {
            return Ok(Vec::new());
        };
        let state = self.state();
        let mut hits: Vec<SearchHit> = state
            .conversations
            .values()
            .filter(|conversation| conversation.session.owner == *owner)
            .flat_map(|conversation| {
                let session = &conversation.session;
                let messages = conversation.messages.iter();
                messages.filter_map(|message| words.hit(session, message))
            })
            .collect();
        hits.sort_by(|a, b| {
            let better = b.score.total_cmp(&a.score);
            better.then_with(|| b.created_at.cmp(&a.created_at))
        });
        hits.truncate(count(query.limit));
        Ok(hits)
    }
}
