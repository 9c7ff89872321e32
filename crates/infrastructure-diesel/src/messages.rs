//! Rows of `messages`.

use std::borrow::Cow;

use diesel::prelude::{Insertable, Queryable, Selectable};
use diesel_async::RunQueryDsl;
use majordomo_application::ports::RepositoryError;
use majordomo_domain::{
    Message, MessageId, MessageStatus, Role, RunId, SessionId, Timestamp, Usage, UserId,
};

use super::codec;
use super::error::{Outcome, corrupt, to_stored};
use super::schema::messages;
use crate::backend::{self, Conn};

/// A message as it is written.
#[derive(Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
struct NewMessageRow<'a> {
    id: &'a str,
    owner: &'a str,
    session_id: &'a str,
    seq: i64,
    role: &'a str,
    text: Cow<'a, str>,
    images: Option<String>,
    status: &'a str,
    created_at: i64,
    run_id: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
}

/// Stores `message` at the position `seq` of `session`, and makes it findable.
pub(super) async fn insert(
    conn: &mut Conn,
    owner: &str,
    session: &str,
    seq: i64,
    message: &Message,
) -> Outcome<()> {
    let images = codec::encode_images(&message.images)
        .map_err(|error| RepositoryError::Other(Box::new(error)))?;
    let row = NewMessageRow {
        id: message.id.as_str(),
        owner,
        session_id: session,
        seq,
        role: message.role.as_str(),
        text: backend::encode_text(&message.text),
        images,
        status: message.status.as_str(),
        created_at: message.created_at.as_micros(),
        run_id: message.run.as_ref().map(|run| Cow::Borrowed(run.as_str())),
        model: message.model.as_deref().map(backend::encode_text),
        input_tokens: message.usage.map(|usage| to_stored(usage.input_tokens)),
        output_tokens: message.usage.map(|usage| to_stored(usage.output_tokens)),
        cached_input_tokens: message
            .usage
            .map(|usage| to_stored(usage.cached_input_tokens)),
    };
    diesel::insert_into(messages::table)
        .values(row)
        .execute(conn)
        .await?;
    backend::index_inserted_message(conn, owner, message.id.as_str(), &message.text).await?;
    Ok(())
}

/// A message as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
pub(super) struct MessageRow {
    id: String,
    owner: String,
    session_id: String,
    seq: i64,
    role: String,
    text: String,
    images: Option<String>,
    status: String,
    created_at: i64,
    run_id: Option<String>,
    model: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
}

impl TryFrom<MessageRow> for Message {
    type Error = RepositoryError;

    fn try_from(row: MessageRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("messages", column, &row.id);
        let count = |number: Option<i64>, column| match number.map(u64::try_from) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(bad(column)),
        };
        let input = count(row.input_tokens, "input_tokens")?;
        let output = count(row.output_tokens, "output_tokens")?;
        let cached = count(row.cached_input_tokens, "cached_input_tokens")?;
        let usage = input.map(|input_tokens| Usage {
            input_tokens,
            output_tokens: output.unwrap_or_default(),
            cached_input_tokens: cached.unwrap_or_default(),
        });
        Ok(Self {
            id: MessageId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            session: SessionId::parse(row.session_id).map_err(|_| bad("session_id"))?,
            seq: u64::try_from(row.seq).map_err(|_| bad("seq"))?,
            role: Role::parse(&row.role).ok_or_else(|| bad("role"))?,
            images: codec::decode_images(row.images.as_deref()).map_err(|_| bad("images"))?,
            status: MessageStatus::parse(&row.status).ok_or_else(|| bad("status"))?,
            created_at: Timestamp::from_micros(row.created_at),
            run: row
                .run_id
                .map(RunId::parse)
                .transpose()
                .map_err(|_| bad("run_id"))?,
            model: row.model.map(backend::decode_text),
            usage,
            text: backend::decode_text(row.text),
        })
    }
}
