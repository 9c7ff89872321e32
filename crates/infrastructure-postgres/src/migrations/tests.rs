//! The way up, down and up again.

use std::time::Duration;

use majordomo_testkit::postgres::PostgresCluster;

use super::*;
use crate::connect::Connector;
use crate::store::PostgresConfig;

/// Columns, indexes and constraints, as the server describes them.
async fn schema(cluster: &PostgresCluster, address: &str) -> Vec<String> {
    let name = address.rsplit('/').next().unwrap();
    let client = cluster.client(name).await;
    let rows = client
        .query(
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || \
             ' ' || coalesce(collation_name, '') FROM information_schema.columns \
             WHERE table_schema = 'public' \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
             UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
             UNION ALL SELECT cfgname::text FROM pg_ts_config \
             WHERE cfgnamespace = 'public'::regnamespace ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|entry| !entry.contains("__diesel_schema_migrations"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_undoes_up() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let address = cluster.database().await;
    let connector = Connector::new(&PostgresConfig {
        connect_timeout: Duration::from_secs(30),
        ..PostgresConfig::new(address.clone())
    })
    .unwrap();
    let all = pending(connector.connect().await.unwrap()).await.unwrap();
    assert!(!all.is_empty());
    assert_eq!(
        apply(connector.connect().await.unwrap()).await.unwrap(),
        all
    );
    let up = schema(&cluster, &address).await;
    assert!(up.iter().any(|entry| entry.contains("messages")));
    revert_all(connector.connect().await.unwrap()).await;
    assert_eq!(schema(&cluster, &address).await, Vec::<String>::new());
    apply(connector.connect().await.unwrap()).await.unwrap();
    assert_eq!(schema(&cluster, &address).await, up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_take_turns() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let connector = Connector::new(&PostgresConfig::new(cluster.database().await)).unwrap();
    let migrating = (0..4).map(|_| async { apply(connector.connect().await.unwrap()).await });
    let applied: Vec<usize> = futures_util::future::join_all(migrating)
        .await
        .into_iter()
        .map(|names| names.unwrap().len())
        .collect();
    assert_eq!(applied.iter().filter(|count| **count > 0).count(), 1);
}
