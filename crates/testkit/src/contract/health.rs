//! What [`StorageHealth`](majordomo_application::ports::StorageHealth) must do.

use super::Stores;

/// Storage that works answers with its name.
pub async fn a_working_store_says_so(stores: Stores) {
    let status = stores.health.check().await.unwrap();
    assert!(!status.backend.is_empty());
}
