//! What the application needs from the world, as traits. Adapters live in the infrastructure crates.

pub mod api_key_repository;
pub mod chat_model;
pub mod clock;
pub mod id_generator;
pub mod master_token_store;
pub mod password_hasher;
pub mod process_meter;
pub mod repository_error;
pub mod run_journal;
pub mod session_repository;
pub mod storage_health;
pub mod tool;

pub use api_key_repository::ApiKeyRepository;
pub use chat_model::{
    ChatModel, CompletionRelay, FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelInfo,
    ModelMessage, ModelRequest, ModelStream, RelayBody, RelayResponse, ResponseFormat, ToolChoice,
    ToolSpec,
};
pub use clock::Clock;
pub use id_generator::IdGenerator;
pub use master_token_store::{MasterTokenError, MasterTokenStore};
pub use password_hasher::PasswordHasher;
pub use process_meter::{ProcessMeter, ProcessUsage};
pub use repository_error::RepositoryError;
pub use run_journal::{Accepted, Answer, Durability, NewTurn, RunJournal};
pub use session_repository::{MessageWindow, SearchHit, SearchQuery, SessionRepository};
pub use storage_health::{StorageHealth, StorageStatus};
pub use tool::{Tool, ToolContext, ToolError};
