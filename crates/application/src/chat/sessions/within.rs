//! A text anywhere in what was said, also within words, which the full-text index does not know.

use majordomo_domain::{Message, Session};

use super::SessionService;
use crate::caller::Caller;
use crate::chat::ChatError;
use crate::ports::{MessageWindow, SearchHit};

/// Sessions looked through at most, those last active.
const SESSIONS: u32 = 20;
/// Messages of each looked through at most, the newest.
const MESSAGES: u32 = 50;
/// After so many bytes of text no further session is looked through.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest snippet, and how much of it stands before the match at most, in characters.
const SNIPPET: usize = 200;
const LEAD: usize = 60;

impl SessionService {
    /// As [`search`](Self::search). Where no message holds the words: the newest message of each session that holds
    /// `text` as it is, upper and lower case alike, among the newest messages of the sessions last active.
    pub async fn search_within(
        &self,
        caller: &Caller,
        text: &str,
        limit: u32,
    ) -> Result<Vec<SearchHit>, ChatError> {
        let mut hits = self.search(caller, text, limit).await?;
        let wanted = text.trim().to_lowercase();
        if !hits.is_empty() || wanted.is_empty() {
            return Ok(hits);
        }
        let mut read = 0;
        let (sessions, _) = self.sessions.list(&caller.user, SESSIONS, 0).await?;
        for session in sessions {
            let newest = MessageWindow::newest(MESSAGES);
            let said = self.sessions.messages(&caller.user, &session.id, newest);
            let said = said.await?;
            let mut newest_first = said.iter().rev();
            hits.extend(newest_first.find_map(|message| hit(&session, message, &wanted)));
            read += said.iter().map(|message| message.text.len()).sum::<usize>();
            if read > MAX_BYTES {
                break;
            }
        }
        hits.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(hits)
    }
}

/// The message as a hit, where it holds `wanted`, which is in lower case.
fn hit(session: &Session, message: &Message, wanted: &str) -> Option<SearchHit> {
    let place = place_of(&message.text, wanted)?;
    let start = place.saturating_sub(LEAD);
    let snippet: String = message.text.chars().skip(start).take(SNIPPET).collect();
    let end = place - start + wanted.chars().count();
    let highlight = (place - start, end.min(snippet.chars().count()));
    let shown = (snippet, vec![highlight]);
    Some(SearchHit::of(session, message, shown, 0.0))
}

/// Before how many characters of `text` the first `wanted` stands.
fn place_of(text: &str, wanted: &str) -> Option<usize> {
    let at = text.to_lowercase().find(wanted)?;
    let mut passed = 0;
    let before = text.chars().take_while(|character| {
        passed += character.to_lowercase().map(char::len_utf8).sum::<usize>();
        passed <= at
    });
    Some(before.count())
}
