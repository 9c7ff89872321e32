//! What the application needs from the world, as traits. Adapters live in the infrastructure crates.

pub mod api_key_repository;
pub mod audit_log;
pub mod audit_vault;
pub mod budget_repository;
pub mod chat_model;
pub mod clock;
pub mod database_copy;
pub mod embedder;
pub mod embedding_provider;
pub mod error_log;
pub mod health_check;
pub mod id_generator;
pub mod machine_meter;
pub mod master_token_store;
pub mod memory_repository;
pub mod memory_vectors;
pub mod oauth_repository;
pub mod password_hasher;
pub mod process_meter;
pub mod repository_error;
pub mod run_journal;
pub mod secret_box;
pub mod security_check;
pub mod self_audit_repository;
pub mod session_repository;
pub mod settings_layers;
pub mod settings_repository;
pub mod signing_key_store;
pub mod storage_health;
pub mod tool;
pub mod turn_repository;
pub mod usage_ledger;
pub mod user_repository;

pub use api_key_repository::ApiKeyRepository;
pub use audit_log::{AuditFilter, AuditLog};
pub use audit_vault::{AuditVault, AuditVaultError};
pub use budget_repository::BudgetRepository;
pub use chat_model::{
    ChatModel, CompletionRelay, FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelInfo,
    ModelMessage, ModelRequest, ModelStream, RelayBody, RelayResponse, ResponseFormat, ToolChoice,
    ToolSpec,
};
pub use clock::Clock;
pub use database_copy::{
    Column, ColumnKind, CopyError, CopyStep, DatabaseCopy, DatabaseSchema, Table, TablePart,
};
pub use embedder::{Embedder, EmbeddingRole, Embeddings};
pub use embedding_provider::{EmbeddingModel, EmbeddingProvider, EmbeddingRelay};
pub use error_log::{ErrorLog, LoggedError, NewLoggedError};
pub use health_check::{CheckState, HealthCategory, HealthCheck, HealthCheckInfo, Severity};
pub use id_generator::IdGenerator;
pub use machine_meter::{Battery, Capacity, MachineMeter, MachineUsage, ProcessorTime};
pub use master_token_store::{MasterTokenError, MasterTokenStore};
pub use memory_repository::{MemoryFilter, MemoryInsert, MemoryOrder, MemoryRepository};
pub use memory_vectors::{
    MemoryVectors, NearVector, NewVector, RememberedId, RememberedKind, StoredVector, VectorCounts,
    VectorSpace,
};
pub use oauth_repository::{NewCode, NewTokens, OAuthRepository};
pub use password_hasher::PasswordHasher;
pub use process_meter::{ProcessMeter, ProcessUsage};
pub use repository_error::RepositoryError;
pub use run_journal::{Accepted, Answer, Durability, NewTurn, RunJournal};
pub use secret_box::{SecretBox, SecretError, SecretPlace, SecretText};
pub use security_check::SecurityCheck;
pub use self_audit_repository::{KeyUse, SelfAuditRepository};
pub use session_repository::{
    ImportedConversation, MessageWindow, SearchHit, SearchQuery, SessionRepository,
};
pub use settings_layers::{EffectiveSettings, ProviderSummary, SettingsLayers, StoredLayer};
pub use settings_repository::SettingsRepository;
pub use signing_key_store::{SigningKey, SigningKeyError, SigningKeyStore};
pub use storage_health::{StorageHealth, StorageStatus};
pub use tool::{Tool, ToolContext, ToolError};
pub use turn_repository::{SessionMark, TurnRepository};
pub use usage_ledger::{EndedCall, UsageLedger};
pub use user_repository::{UserRepository, UserWithPassword};
