//! Conversations of other systems.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::ImportedConversation;
use majordomo_domain::{Message, MessageId, Timestamp};

use super::super::cached::Cached;
use super::super::error::Outcome;
use super::super::messages as message_rows;
use super::super::schema::{messages, sessions};
use super::SessionRow;
use crate::backend::Conn;

/// Stores the messages that are not there, and names them.
pub(super) async fn import(
    conn: &mut Conn,
    conversation: &ImportedConversation,
    at: Timestamp,
) -> Outcome<Vec<MessageId>> {
    // First, so that two imports of one conversation wait for each other.
    let begin = diesel::insert_into(sessions::table)
        .values(SessionRow::begin(&conversation.session))
        .on_conflict((sessions::owner, sessions::id))
        .do_update()
        .set(sessions::last_seq.eq(sessions::last_seq))
        .returning(SessionRow::as_returning());
    let session = Cached(begin).get_result(conn).await?;
    let known = known(conn, &session.owner, &conversation.messages).await?;
    let mut taken = HashSet::new();
    let fresh = conversation.messages.iter().filter(|message| {
        let id = message.id.as_str();
        !known.contains(id) && taken.insert(id)
    });
    let (mut seq, mut updated_at) = (session.last_seq, session.updated_at);
    let mut stored = Vec::new();
    for message in fresh {
        seq += 1;
        // A time that is still to come says nothing of when the session was last active.
        updated_at = updated_at.max(message.created_at.min(at).as_micros());
        message_rows::insert(conn, &session.owner, &session.id, seq, message).await?;
        stored.push(message.id.clone());
    }
    let count = seq - session.last_seq;
    if count > 0 {
        let counted = diesel::update(sessions::table.find((&session.owner, &session.id))).set((
            sessions::message_count.eq(session.message_count + count),
            sessions::last_seq.eq(seq),
            sessions::updated_at.eq(updated_at),
            sessions::imported_at.eq(Some(at.as_micros())),
        ));
        Cached(counted).execute(conn).await?;
    }
    Ok(stored)
}

/// The ids of those of the messages that are stored.
async fn known(conn: &mut Conn, owner: &str, asked: &[Message]) -> Outcome<HashSet<String>> {
    // The owner is compared here: SQLite would read all that the owner has instead of these.
    let found: Vec<(String, String)> = messages::table
        .filter(messages::id.eq_any(asked.iter().map(|message| message.id.as_str())))
        .select((messages::id, messages::owner))
        .load(conn)
        .await?;
    let own = found.into_iter().filter(|(_, of)| of == owner);
    Ok(own.map(|(id, _)| id).collect())
}
