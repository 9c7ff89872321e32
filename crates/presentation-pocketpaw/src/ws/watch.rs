//! The runs that a connection shows.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use majordomo_application::runs::RunStream;
use majordomo_domain::{Run, RunEvent, RunEventKind, SessionId};
use majordomo_presentation_http::Core;
use majordomo_presentation_http::run_events::batches;
use tokio::sync::mpsc;

use super::render::{Style, broken_off, ended, render};

/// Runs shown at the same time at most.
const MAX: usize = 32;

/// One run that is shown.
struct Watch {
    run: Run,
    style: Style,
    /// The last event shown, on this or an earlier connection.
    seq: u64,
    /// Whether this connection has shown any.
    shown: bool,
    ready: vec::IntoIter<Arc<RunEvent>>,
    batches: mpsc::Receiver<Vec<Arc<RunEvent>>>,
}

impl Watch {
    /// The next frames, and whether they are the last.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Vec<String>, bool)> {
        loop {
            if let Some(event) = self.ready.next() {
                self.seq = event.seq;
                self.shown = true;
                let last = matches!(event.kind, RunEventKind::Finished(_));
                return Poll::Ready((render(self.style, &self.run, &event), last));
            }
            match self.batches.poll_recv(context) {
                Poll::Ready(Some(batch)) => self.ready = batch.into_iter(),
                Poll::Ready(None) => return Poll::Ready((self.farewell(), true)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The frames of a run whose events ended without the last one: the client has it already, or it cannot be read.
    fn farewell(&self) -> Vec<String> {
        if self.shown || self.seq == 0 {
            broken_off(self.style, &self.run, self.seq)
        } else {
            vec![ended(self.style, &self.run, self.seq)]
        }
    }
}

/// The runs that a connection shows, oldest first. Those of one session are shown one after the other, those of several
/// sessions at the same time. Dropping it only stops watching.
#[derive(Default)]
pub(super) struct Watches {
    list: Vec<Watch>,
    /// Which one is asked first, so that none keeps the others waiting.
    next: usize,
}

impl Watches {
    /// Shows a run from its next event on; `after` is the last one the client has. `false` when there are too many.
    pub(super) fn follow(
        &mut self,
        core: &Core,
        events: RunStream,
        after: u64,
        style: Style,
    ) -> bool {
        let watch = Watch {
            run: events.run().clone(),
            style,
            seq: after,
            shown: false,
            ready: Vec::new().into_iter(),
            batches: batches(core, events),
        };
        if let Some(known) = self
            .list
            .iter_mut()
            .find(|known| known.run.id == watch.run.id)
        {
            *known = watch;
        } else if self.list.len() < MAX {
            self.list.push(watch);
        } else {
            return false;
        }
        true
    }

    /// Shows no longer what runs in other sessions.
    pub(super) fn keep_only(&mut self, session: &SessionId) {
        self.list.retain(|watch| watch.run.session == *session);
    }

    /// Whether a run of the session is shown.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.list.iter().any(|watch| watch.run.session == *session)
    }

    /// Whether a run is shown that has begun.
    pub(super) fn any_begun(&self) -> bool {
        self.list.iter().any(|watch| watch.seq > 0)
    }

    /// The next frames of any run; waits for ever when there is none.
    pub(super) async fn frames(&mut self) -> Vec<String> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Vec<String>> {
        let count = self.list.len();
        for offset in 0..count {
            let index = (self.next + offset) % count;
            if self.waits_for_another(index) {
                continue;
            }
            let Some(watch) = self.list.get_mut(index) else {
                continue;
            };
            if let Poll::Ready((frames, last)) = watch.poll(context) {
                if last {
                    self.list.remove(index);
                }
                self.next = if last { index } else { index + 1 };
                return Poll::Ready(frames);
            }
        }
        Poll::Pending
    }

    fn waits_for_another(&self, index: usize) -> bool {
        let mut before = self.list.iter().take(index);
        self.list
            .get(index)
            .is_some_and(|watch| before.any(|earlier| earlier.run.session == watch.run.session))
    }
}
