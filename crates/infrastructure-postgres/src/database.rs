//! Runs pieces of work on pooled connections.

use std::time::Duration;

use diesel::ConnectionError;
use diesel::result::Error as DieselError;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use majordomo_application::ports::{Durability, RepositoryError};

use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::backend::{Conn, classify, is_connection_lost, is_deadlock};
use crate::connect::Connector;
use crate::repositories::{Outcome, QueryError};
use crate::store::{PostgresConfig, StoreError};

type Transaction = <Conn as AsyncConnection>::TransactionManager;

/// A piece of work: what to do with an input, on a connection. It may be done more than once.
pub(crate) type Work<I, T> = for<'a> fn(&'a mut Conn, &'a I) -> BoxFuture<'a, Outcome<T>>;

/// How often work is tried when its connection is lost or another transaction was in the way.
const TRIES: u32 = 3;
/// What the client adds to the server's own time limit for a statement.
const GRACE: Duration = Duration::from_secs(5);

/// A pool of connections.
pub(crate) struct Database {
    pool: Pool<Conn>,
    wait: Duration,
    work: Duration,
}

/// Why a try failed.
struct Failure {
    error: QueryError,
    /// Nothing was committed, and another try may do better.
    may_retry: bool,
}

impl Failure {
    fn of(error: QueryError) -> Self {
        let may_retry = match &error {
            QueryError::Statement(error) => is_connection_lost(error) || is_deadlock(error),
            QueryError::Repository(_) => false,
        };
        Self { error, may_retry }
    }

    fn last(error: impl Into<QueryError>) -> Self {
        Self {
            error: error.into(),
            may_retry: false,
        }
    }
}

impl Database {
    /// A pool that opens connections as they are needed, on the runtime it is made on: they live as long as that, whoever
    /// needed them first.
    pub(crate) fn new(connector: Connector, config: &PostgresConfig) -> Result<Self, StoreError> {
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        let runtime = Handle::current();
        manager.custom_setup = Box::new(move |_| {
            let connector = connector.clone();
            let opened = runtime.spawn(async move { connector.connect().await });
            async move {
                let ended = |error: JoinError| ConnectionError::BadConnection(error.to_string());
                opened.await.map_err(ended)?
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
        let pool = Pool::builder(manager)
            .max_size(config.max_connections.max(1))
            .build()
            .map_err(|error| StoreError::Connect {
                reason: error.to_string(),
            })?;
        Ok(Self {
            pool,
            wait: config.connect_timeout,
            work: config.statement_timeout + GRACE,
        })
    }

    /// Runs `work` on a connection.
    pub(crate) async fn read<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, RepositoryError>
    where
        I: Send + Sync,
        T: Send,
    {
        let mut tries = 0;
        loop {
            let mut conn = self.connection().await?;
            let reading = async { work(&mut conn, &input).await.map_err(Failure::of) };
            match self.limited(reading).await {
                Err(failure) if failure.may_retry && tries < TRIES => self.discard(conn),
                done => return done.map_err(|failure| classify(failure.error)),
            }
            tries += 1;
        }
    }

    /// Runs `work` in a transaction; on an error nothing of it stays. It is tried again only while nothing can have
    /// been committed: an error of COMMIT itself is final.
    pub(crate) async fn write<I, T>(
        &self,
        durability: Durability,
        input: I,
        work: Work<I, T>,
    ) -> Result<T, RepositoryError>
    where
        I: Send + Sync,
        T: Send,
    {
        let mut tries = 0;
        loop {
            let mut conn = self.connection().await?;
            let writing = transact(&mut conn, durability, &input, work);
            match self.limited(writing).await {
                Err(failure) if failure.may_retry && tries < TRIES => {
                    if matches!(&failure.error, QueryError::Statement(error) if is_connection_lost(error))
                    {
                        self.discard(conn);
                    }
                }
                done => return done.map_err(|failure| classify(failure.error)),
            }
            tries += 1;
        }
    }

    /// Nothing to do: messages are put into the search index in their own transaction.
    pub(crate) async fn catch_up_search(&self) {}

    async fn connection(&self) -> Result<Object<Conn>, RepositoryError> {
        match tokio::time::timeout(self.wait, self.pool.get()).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(RepositoryError::Unavailable(Box::new(error))),
            Err(_) => Err(RepositoryError::Unavailable(
                "no connection became free in time".into(),
            )),
        }
    }

    /// Closes a lost connection and all idle ones, which were most likely lost with it.
    fn discard(&self, conn: Object<Conn>) {
        drop(Object::take(conn));
        let _ = self.pool.retain(|_, _| false);
    }

    async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.work, work).await {
            Ok(done) => done,
            Err(_) => Err(Failure::last(RepositoryError::Unavailable(
                "the database does not answer in time".into(),
            ))),
        }
    }
}

/// Runs `work` in a transaction. A connection dropped within it is noticed by the pool and closed.
async fn transact<I, T>(
    conn: &mut Conn,
    durability: Durability,
    input: &I,
    work: Work<I, T>,
) -> Result<T, Failure> {
    let failed = |error: DieselError| Failure::of(error.into());
    Transaction::begin_transaction(conn).await.map_err(failed)?;
    let done = match set_durability(conn, durability).await {
        Ok(()) => work(conn, input).await,
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(value) => {
            Transaction::commit_transaction(conn)
                .await
                .map_err(Failure::last)?;
            Ok(value)
        }
        Err(error) => {
            // A connection whose rollback fails is closed by the pool.
            let _ = Transaction::rollback_transaction(conn).await;
            Err(Failure::of(error))
        }
    }
}

/// Sessions begin with `synchronous_commit` on; a transaction that need not reach the disk turns it off for itself.
async fn set_durability(conn: &mut Conn, durability: Durability) -> Result<(), DieselError> {
    match durability {
        Durability::Flushed => Ok(()),
        Durability::Written => {
            conn.batch_execute("SET LOCAL synchronous_commit TO OFF")
                .await
        }
    }
}
