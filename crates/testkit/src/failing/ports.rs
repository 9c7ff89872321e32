//! The ports of a failing store: each method passes through [`FailingStore::call`].

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{
    Accepted, Answer, ApiKeyRepository, Durability, MessageWindow, NewTurn, RepositoryError,
    RunJournal, SearchHit, SearchQuery, SessionRepository, StorageHealth, StorageStatus,
};
use majordomo_domain::{
    ApiKey, ApiKeyId, Message, MessageId, Run, RunEvent, RunId, Session, SessionId, SessionTitle,
    Timestamp, UserId,
};

use super::FailingStore;

#[async_trait]
impl SessionRepository for FailingStore {
    async fn find(
        &self,
        owner: &UserId,
        id: &SessionId,
    ) -> Result<Option<Session>, RepositoryError> {
        self.call("sessions.find", self.sessions.find(owner, id))
            .await
    }

    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<Session>, u64), RepositoryError> {
        self.call("sessions.list", self.sessions.list(owner, limit, offset))
            .await
    }

    async fn rename(
        &self,
        owner: &UserId,
        id: &SessionId,
        title: &SessionTitle,
    ) -> Result<bool, RepositoryError> {
        self.call("sessions.rename", self.sessions.rename(owner, id, title))
            .await
    }

    async fn set_model(
        &self,
        owner: &UserId,
        id: &SessionId,
        model: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "sessions.set_model",
            self.sessions.set_model(owner, id, model),
        )
        .await
    }

    async fn delete(&self, owner: &UserId, id: &SessionId) -> Result<bool, RepositoryError> {
        self.call("sessions.delete", self.sessions.delete(owner, id))
            .await
    }

    async fn clear(&self, owner: &UserId, id: &SessionId) -> Result<bool, RepositoryError> {
        self.call("sessions.clear", self.sessions.clear(owner, id))
            .await
    }

    async fn messages(
        &self,
        owner: &UserId,
        id: &SessionId,
        window: MessageWindow,
    ) -> Result<Vec<Message>, RepositoryError> {
        self.call(
            "sessions.messages",
            self.sessions.messages(owner, id, window),
        )
        .await
    }

    async fn search(
        &self,
        owner: &UserId,
        query: &SearchQuery,
    ) -> Result<Vec<SearchHit>, RepositoryError> {
        self.call("sessions.search", self.sessions.search(owner, query))
            .await
    }
}

#[async_trait]
impl RunJournal for FailingStore {
    async fn accept(&self, turn: NewTurn) -> Result<Accepted, RepositoryError> {
        self.call("journal.accept", self.journal.accept(turn)).await
    }

    async fn start(&self, run: &RunId, events: Vec<RunEvent>) -> Result<(), RepositoryError> {
        self.call("journal.start", self.journal.start(run, events))
            .await
    }

    async fn append(
        &self,
        run: &RunId,
        events: Vec<RunEvent>,
        durability: Durability,
    ) -> Result<(), RepositoryError> {
        self.call(
            "journal.append",
            self.journal.append(run, events, durability),
        )
        .await
    }

    async fn finish(&self, answer: Answer) -> Result<(), RepositoryError> {
        self.call("journal.finish", self.journal.finish(answer))
            .await
    }

    async fn find(&self, owner: &UserId, run: &RunId) -> Result<Option<Run>, RepositoryError> {
        self.call("journal.find", self.journal.find(owner, run))
            .await
    }

    async fn find_in_session(
        &self,
        owner: &UserId,
        session: &SessionId,
        message: Option<&MessageId>,
    ) -> Result<Option<Run>, RepositoryError> {
        self.call(
            "journal.find_in_session",
            self.journal.find_in_session(owner, session, message),
        )
        .await
    }

    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, RepositoryError> {
        self.call("journal.events", self.journal.events(run, after, limit))
            .await
    }

    async fn unfinished(&self) -> Result<Vec<Run>, RepositoryError> {
        self.call("journal.unfinished", self.journal.unfinished())
            .await
    }
}

#[async_trait]
impl ApiKeyRepository for FailingStore {
    async fn insert(&self, key: &ApiKey, digest: &Digest) -> Result<(), RepositoryError> {
        self.call("api_keys.insert", self.api_keys.insert(key, digest))
            .await
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError> {
        self.call(
            "api_keys.find_by_digest",
            self.api_keys.find_by_digest(digest),
        )
        .await
    }

    async fn list(&self, owner: &UserId, limit: u32) -> Result<Vec<ApiKey>, RepositoryError> {
        self.call("api_keys.list", self.api_keys.list(owner, limit))
            .await
    }

    async fn revoke(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, RepositoryError> {
        self.call("api_keys.revoke", self.api_keys.revoke(owner, id, at))
            .await
    }

    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "api_keys.rotate",
            self.api_keys.rotate(id, successor, digest, at),
        )
        .await
    }

    async fn touch(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), RepositoryError> {
        self.call("api_keys.touch", self.api_keys.touch(id, at))
            .await
    }
}

#[async_trait]
impl StorageHealth for FailingStore {
    async fn check(&self) -> Result<StorageStatus, RepositoryError> {
        self.call("health.check", self.health.check()).await
    }
}
