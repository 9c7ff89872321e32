//! Statements that are prepared once per connection although diesel does not know that they may be.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};

/// A statement whose SQL is the same every time, only its values differ.
///
/// diesel prepares every UPDATE and every upsert anew, because the columns of a changeset may vary. Ours do not. Such a
/// statement is cached by its text, so a varying one would only waste memory, never run as another one.
pub(super) struct Cached<Q>(pub(super) Q);

impl<Q, DB> QueryFragment<DB> for Cached<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Cached<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}

/// Ids for `eq_any` in a [`Cached`] statement: the last one is repeated up to the next power of two, so that there are few
/// different lists to prepare.
pub(super) fn padded<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = ids.collect();
    if let Some(last) = ids.last().copied() {
        ids.resize(ids.len().next_power_of_two(), last);
    }
    ids
}
