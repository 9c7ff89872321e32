//! The ports of a failing store: each method passes through [`FailingStore::call`].

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::settings_repository::{Resealed, SettingChange, StoredSetting};
use majordomo_application::ports::{
    Accepted, Answer, ApiKeyRepository, AuditFilter, AuditLog, Durability, ImportedConversation,
    KeyUse, MessageWindow, NewTurn, RepositoryError, RunJournal, SearchHit, SearchQuery,
    SelfAuditRepository, SessionRepository, SettingsRepository, StorageHealth, StorageStatus,
};
use majordomo_domain::{
    ApiKey, ApiKeyId, AuditChain, AuditEntry, AuditHash, AuditRecord, Budget, Message, MessageId,
    Run, RunEvent, RunId, SelfAuditReport, Session, SessionId, SessionTitle, Timestamp, UserId,
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

    async fn import(
        &self,
        conversation: &ImportedConversation,
        at: Timestamp,
    ) -> Result<Vec<MessageId>, RepositoryError> {
        self.call("sessions.import", self.sessions.import(conversation, at))
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

    async fn delete(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call("sessions.delete", self.sessions.delete(owner, id, record))
            .await
    }

    async fn clear(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call("sessions.clear", self.sessions.clear(owner, id, record))
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

    async fn record(&self, turn: NewTurn, answer: Answer) -> Result<(), RepositoryError> {
        self.call("journal.record", self.journal.record(turn, answer))
            .await
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
    async fn insert(
        &self,
        key: &ApiKey,
        digest: &Digest,
        budgets: &[Budget],
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call(
            "api_keys.insert",
            self.api_keys.insert(key, digest, budgets, record),
        )
        .await
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError> {
        self.call(
            "api_keys.find_by_digest",
            self.api_keys.find_by_digest(digest),
        )
        .await
    }

    async fn find(&self, owner: &UserId, id: &ApiKeyId) -> Result<Option<ApiKey>, RepositoryError> {
        self.call("api_keys.find", self.api_keys.find(owner, id))
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
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "api_keys.revoke",
            self.api_keys.revoke(owner, id, at, record),
        )
        .await
    }

    async fn set_enabled(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "api_keys.set_enabled",
            self.api_keys.set_enabled(owner, id, enabled, record),
        )
        .await
    }

    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
        end: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "api_keys.rotate",
            self.api_keys.rotate(id, successor, digest, at, end, record),
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

#[async_trait]
impl SettingsRepository for FailingStore {
    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.call("settings.list", self.settings.list(owner, limit))
            .await
    }

    async fn named(&self, name: &str, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.call("settings.named", self.settings.named(name, limit))
            .await
    }

    async fn change(
        &self,
        changes: &[SettingChange],
        at: Timestamp,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call("settings.change", self.settings.change(changes, at, audit))
            .await
    }

    async fn insert(
        &self,
        setting: &StoredSetting,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call("settings.insert", self.settings.insert(setting, audit))
            .await
    }

    async fn sealed(&self, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        self.call("settings.sealed", self.settings.sealed(limit))
            .await
    }

    async fn reseal(
        &self,
        changes: &[Resealed],
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call("settings.reseal", self.settings.reseal(changes, audit))
            .await
    }
}

#[async_trait]
impl AuditLog for FailingStore {
    async fn append(&self, record: &AuditRecord) -> Result<(), RepositoryError> {
        self.call("audit.append", self.audit.append(record)).await
    }

    async fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, RepositoryError> {
        self.call("audit.list", self.audit.list(filter)).await
    }

    async fn page(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, RepositoryError> {
        self.call("audit.page", self.audit.page(after, limit)).await
    }

    async fn chain(&self) -> Result<AuditChain, RepositoryError> {
        self.call("audit.chain", self.audit.chain()).await
    }

    async fn remove_archived(
        &self,
        last: u64,
        hash: &AuditHash,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "audit.remove_archived",
            self.audit.remove_archived(last, hash, record),
        )
        .await
    }
}

#[async_trait]
impl SelfAuditRepository for FailingStore {
    async fn put(
        &self,
        report: &SelfAuditReport,
        oldest: &str,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let put = self.self_audit.put(report, oldest, audit);
        self.call("self_audit.put", put).await
    }

    async fn find(&self, date: &str) -> Result<Option<SelfAuditReport>, RepositoryError> {
        self.call("self_audit.find", self.self_audit.find(date))
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<SelfAuditReport>, RepositoryError> {
        self.call("self_audit.list", self.self_audit.list(limit))
            .await
    }

    async fn keys_in_use(&self, limit: u32) -> Result<Vec<KeyUse>, RepositoryError> {
        self.call("self_audit.keys_in_use", self.self_audit.keys_in_use(limit))
            .await
    }
}
