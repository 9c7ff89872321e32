//! The audit log against somebody who writes to the database.

use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore};
use majordomo_testkit::postgres::PostgresCluster;
use majordomo_testkit::tampering;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_with_the_database_is_found() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let address = cluster.database().await;
    let store = PostgresStore::open(&PostgresConfig::new(address.clone()))
        .await
        .unwrap();
    let client = cluster.client(address.rsplit('/').next().unwrap()).await;
    tampering::tampering_is_found(store.audit(), async |sql: &str| {
        client.batch_execute(sql).await.unwrap();
    })
    .await;
}
