//! A server that has all it can do.

use std::sync::Arc;

use majordomo_application::Caller;
use majordomo_application::chat::{ChatService, SendMessage, WhenBusy};
use majordomo_domain::{Channel, CredentialKind, RunOptions, Scopes, UserRole};

use crate::builders::user;

/// Lets users say something until no more turns are accepted, and tells how many were. The model must never answer.
///
/// # Panics
/// When 10,000 turns are accepted.
pub async fn occupy(chat: &Arc<ChatService>) -> usize {
    for accepted in 0..10_000 {
        let caller = Caller::new(
            user(&format!("busy-{accepted}")),
            UserRole::Member,
            Scopes::full(),
            CredentialKind::MasterToken,
        );
        let message = SendMessage {
            session: None,
            channel: Channel::Api,
            text: "hello".to_owned(),
            images: Vec::new(),
            options: RunOptions::default(),
            when_busy: WhenBusy::Queue,
        };
        if chat.send(&caller, message).await.is_err() {
            return accepted;
        }
    }
    panic!("the server accepts whatever comes");
}
