//! What of a session's history a model is shown.

use majordomo_domain::{Message, MessageStatus, Role};

use crate::models::estimate_message_tokens;
use crate::ports::ModelMessage;

/// Messages considered at most.
pub(super) const HISTORY_LIMIT: u32 = 400;

/// Puts a session's messages, oldest first, into the order of the conversation up to `current`: each answer right after
/// its question, nothing that was asked later.
fn conversation<'a>(messages: &'a [Message], current: &Message) -> Vec<&'a Message> {
    let mut ordered = Vec::with_capacity(messages.len());
    for message in messages
        .iter()
        .filter(|message| message.seq < current.seq && message.role != Role::Assistant)
    {
        ordered.push(message);
        let answers = messages
            .iter()
            .filter(|answer| answer.role == Role::Assistant && answer.run == message.run);
        ordered.extend(answers.filter(|_| message.run.is_some()));
    }
    // Answers without a question of their own (the question fell out of the window, or they were imported).
    let orphans = messages
        .iter()
        .take_while(|message| message.role == Role::Assistant);
    let known = |answer: &Message| ordered.iter().any(|message| message.id == answer.id);
    let mut orphans: Vec<&Message> = orphans.filter(|answer| !known(answer)).collect();
    orphans.append(&mut ordered);
    orphans
}

/// The newest messages that fit `budget` tokens, after the system prompt and before the current message, which are
/// always there.
pub(super) fn build(
    system_prompt: &str,
    history: &[Message],
    current: &Message,
    budget: u64,
) -> Vec<ModelMessage> {
    let system = ModelMessage::System(system_prompt.to_owned());
    let question = to_model(current);
    let mut left = budget
        .saturating_sub(estimate_message_tokens(&system))
        .saturating_sub(estimate_message_tokens(&question));
    let mut kept = Vec::new();
    for message in conversation(history, current).into_iter().rev() {
        let message = to_model(message);
        let Some(rest) = left.checked_sub(estimate_message_tokens(&message)) else {
            break;
        };
        left = rest;
        kept.push(message);
    }
    let mut messages = Vec::with_capacity(kept.len() + 2);
    if !system_prompt.is_empty() {
        messages.push(system);
    }
    messages.extend(kept.into_iter().rev());
    messages.push(question);
    messages
}

fn to_model(message: &Message) -> ModelMessage {
    match message.role {
        Role::User => ModelMessage::User {
            text: message.text.clone(),
            images: message.images.clone(),
        },
        Role::System => ModelMessage::System(message.text.clone()),
        Role::Assistant => {
            let broken_off = message.status != MessageStatus::Complete;
            let text = if broken_off {
                format!("{} [broken off]", message.text)
            } else {
                message.text.clone()
            };
            ModelMessage::Assistant {
                text,
                tool_calls: Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use majordomo_domain::{MessageId, RunId, SessionId, Timestamp, UserId};

    use super::*;

    fn message(seq: u64, role: Role, run: &str, text: &str) -> Message {
        Message {
            id: MessageId::parse(format!("m{seq}")).unwrap(),
            owner: UserId::operator(),
            session: SessionId::parse("s").unwrap(),
            seq,
            role,
            text: text.to_owned(),
            images: Vec::new(),
            status: MessageStatus::Complete,
            created_at: Timestamp::EPOCH,
            run: Some(RunId::parse(run).unwrap()),
            model: None,
            usage: None,
        }
    }

    fn texts(messages: &[ModelMessage]) -> Vec<&str> {
        messages
            .iter()
            .map(|message| match message {
                ModelMessage::System(text)
                | ModelMessage::User { text, .. }
                | ModelMessage::Assistant { text, .. }
                | ModelMessage::Tool { content: text, .. } => text.as_str(),
            })
            .collect()
    }

    #[test]
    fn an_answer_follows_its_question_even_when_questions_were_queued() {
        let history = [
            message(1, Role::User, "r1", "one"),
            message(2, Role::User, "r2", "two"),
            message(3, Role::User, "r3", "three"),
            message(4, Role::Assistant, "r1", "ONE"),
        ];
        let context = build("sys", &history, &history[1], 10_000);
        assert_eq!(texts(&context), ["sys", "one", "ONE", "two"]);
    }

    #[test]
    fn the_oldest_messages_are_left_out_first() {
        let history: Vec<_> = (1..=9)
            .map(|n| {
                message(
                    n,
                    Role::User,
                    &format!("r{n}"),
                    &format!("{n}{}", "x".repeat(39)),
                )
            })
            .collect();
        let current = message(10, Role::User, "r10", "now");
        let context = build("", &history, &current, 14 * 2 + 9);
        let starts: Vec<_> = texts(&context)
            .iter()
            .map(|text| text.chars().next().unwrap())
            .collect();
        assert_eq!(starts, ['8', '9', 'n']);
    }
}
