//! Runs and their events in memory.

use async_trait::async_trait;
use majordomo_application::ports::{
    Accepted, Answer, Durability, NewTurn, RepositoryError, RunJournal,
};
use majordomo_domain::{
    MessageId, Role, Run, RunEvent, RunId, RunStatus, SessionId, SessionTitle, UserId,
};

use super::{Conversation, InMemoryStore, Journal, State, count};

impl State {
    pub(super) fn knows_message(&self, id: &MessageId) -> bool {
        let mut messages = self.conversations.values().flat_map(|c| &c.messages);
        messages.any(|message| message.id == *id)
    }

    fn wrote(&mut self, durability: Durability) {
        self.unflushed = durability == Durability::Written;
    }

    /// The run's journal; `Conflict` when it is gone, for there it has no next position.
    fn journal_mut(&mut self, run: &RunId) -> Result<&mut Journal, RepositoryError> {
        self.journals.get_mut(run).ok_or(RepositoryError::Conflict)
    }
}

#[async_trait]
impl RunJournal for InMemoryStore {
    async fn accept(&self, turn: NewTurn) -> Result<Accepted, RepositoryError> {
        let mut state = self.state();
        let (id, message) = (turn.run.id.clone(), turn.message);
        if state.journals.contains_key(&id) || state.knows_message(&message.id) {
            return Err(RepositoryError::Conflict);
        }
        let mut journal = Journal {
            run: turn.run,
            events: Vec::new(),
        };
        journal.append(turn.events)?;
        state.journals.insert(id, journal);
        state.wrote(turn.durability);

        let key = (message.owner.clone(), message.session.clone());
        let conversation = state.conversations.entry(key).or_insert(Conversation {
            session: turn.session,
            last_seq: 0,
            messages: Vec::new(),
            imported_at: None,
        });
        let session = &mut conversation.session;
        if session.message_count == 0 && message.role == Role::User && !session.title.is_chosen() {
            session.title = SessionTitle::derive(&message.text);
        }
        let seq = conversation.push(message);
        Ok(Accepted {
            session: conversation.session.clone(),
            seq,
        })
    }

    async fn record(&self, turn: NewTurn, answer: Answer) -> Result<(), RepositoryError> {
        let key = (turn.session.owner.clone(), turn.session.id.clone());
        let answered = answer.message.as_ref();
        let taken = answered.is_some_and(|message| self.state().knows_message(&message.id));
        if taken || self.state().conversations.contains_key(&key) {
            return Err(RepositoryError::Conflict);
        }
        let events = Vec::new();
        let mut journal = Journal {
            run: turn.run.clone(),
            events: Vec::new(),
        };
        journal.append(answer.events.clone())?;
        self.accept(NewTurn { events, ..turn }).await?;
        self.finish(answer).await
    }

    async fn start(&self, run: &RunId, events: Vec<RunEvent>) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let journal = state.journal_mut(run)?;
        journal.append(events)?;
        journal.run.status = RunStatus::Running;
        state.wrote(Durability::Written);
        Ok(())
    }

    async fn append(
        &self,
        run: &RunId,
        events: Vec<RunEvent>,
        durability: Durability,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        state.journal_mut(run)?.append(events)?;
        state.wrote(durability);
        Ok(())
    }

    async fn finish(&self, answer: Answer) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let taken = answer.message.as_ref();
        if taken.is_some_and(|message| state.knows_message(&message.id)) {
            let ended = state.journals.get(&answer.run);
            let open = ended.is_some_and(|journal| !journal.run.status.is_final());
            return if open {
                Err(RepositoryError::Conflict)
            } else {
                Ok(())
            };
        }
        let Some(journal) = state.journals.get_mut(&answer.run) else {
            state.books.append(answer.calls);
            return Ok(());
        };
        if journal.run.status.is_final() {
            return Ok(());
        }
        journal.append(answer.events)?;
        journal.run.status = answer.status;
        journal.run.finished_at = Some(answer.finished_at);
        let (owner, session) = (journal.run.owner.clone(), journal.run.session.clone());
        state.books.append(answer.calls);
        state.wrote(Durability::Flushed);
        let conversation = state.conversation_mut(&owner, &session);
        if let (Some(conversation), Some(message)) = (conversation, answer.message) {
            conversation.push(message);
        }
        Ok(())
    }

    async fn find(&self, owner: &UserId, run: &RunId) -> Result<Option<Run>, RepositoryError> {
        let state = self.state();
        let found = state.journals.get(run).map(|journal| &journal.run);
        Ok(found.filter(|run| run.owner == *owner).cloned())
    }

    async fn find_in_session(
        &self,
        owner: &UserId,
        session: &SessionId,
        message: Option<&MessageId>,
    ) -> Result<Option<Run>, RepositoryError> {
        let state = self.state();
        let runs = state.journals.values().map(|journal| &journal.run);
        let mut of_session = runs.filter(|run| run.owner == *owner && run.session == *session);
        let Some(message) = message else {
            let latest = of_session.max_by_key(|run| (run.created_at, run.id.clone()));
            return Ok(latest.cloned());
        };
        let messages = state
            .conversation(owner, session)
            .map_or(&[][..], |conversation| &conversation.messages);
        let written = messages.iter().find(|one| one.id == *message);
        let writer = written.and_then(|one| one.run.as_ref());
        let found = of_session.find(|run| run.message == *message || Some(&run.id) == writer);
        Ok(found.cloned())
    }

    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, RepositoryError> {
        let state = self.state();
        let events = state
            .journals
            .get(run)
            .map_or(&[][..], |journal| &journal.events);
        let later = events.iter().filter(|event| event.seq > after);
        Ok(later.take(count(limit)).cloned().collect())
    }

    async fn unfinished(&self) -> Result<Vec<Run>, RepositoryError> {
        let state = self.state();
        let runs = state.journals.values().map(|journal| &journal.run);
        let mut open: Vec<Run> = runs.filter(|run| !run.status.is_final()).cloned().collect();
        open.sort_by_key(|run| run.created_at);
        Ok(open)
    }
}
