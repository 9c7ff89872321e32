//! A turn that is not stored yet although work on it begins.

use tokio::sync::oneshot;

use crate::ports::NewTurn;

/// A turn that begins its session and is not stored yet.
pub(crate) struct Unstored {
    /// As it is to be stored, without events.
    pub(super) turn: NewTurn,
    sender: Sender,
}

/// Who sent the message.
enum Sender {
    /// Is told with the answer.
    Patient,
    /// Waits for the message to be stored.
    Waiting(oneshot::Sender<()>),
    /// Has been told that it was not stored.
    Refused,
}

impl Unstored {
    /// A turn that may be stored with its answer, when that comes soon.
    pub(crate) const fn held(turn: NewTurn) -> Self {
        let sender = Sender::Patient;
        Self { turn, sender }
    }

    /// A turn that is to be stored at once. What is returned tells when it is, or fails when it was not.
    pub(crate) fn announced(turn: NewTurn) -> (Self, oneshot::Receiver<()>) {
        let (sender, stored) = oneshot::channel();
        let sender = Sender::Waiting(sender);
        (Self { turn, sender }, stored)
    }

    pub(super) const fn is_awaited(&self) -> bool {
        matches!(self.sender, Sender::Waiting(_))
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.sender, Sender::Refused)
    }

    /// It is stored.
    pub(super) fn accept(self) {
        if let Sender::Waiting(sender) = self.sender {
            // Who waited for it may have gone.
            let _ = sender.send(());
        }
    }

    /// Storing it failed. Who waits for the answer may still get it.
    pub(super) fn refuse(&mut self) {
        if self.is_awaited() {
            self.sender = Sender::Refused;
        }
    }
}
