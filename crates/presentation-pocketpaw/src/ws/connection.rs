//! The task of one connection.
//!
//! It waits for whatever comes first: room in the socket, the end of an action, frames of the runs it shows, the client's
//! next word, the time to ping, the server's end. Actions are carried out one after the other. Runs are read only when
//! there is room for their frames, and the client only when it takes what it is told.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessage, CloseCode, CloseReason};
use majordomo_domain::SessionId;
use tokio::time::{Instant, sleep, timeout};

use super::SocketTiming;
use super::action::Action;
use super::frame::Frame;
use super::incoming::{Fault, Incoming};
use super::outgoing::{Progress, Writer};
use super::perform::{Context, Effect, perform};
use super::render::Style;
use super::watch::Watches;

/// How long a connection that ends waits for the client to take the last frames, and for runs to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// An action being carried out.
type Performing = Pin<Box<dyn Future<Output = Effect>>>;

/// One connection.
pub(super) struct Connection {
    context: Rc<Context>,
    writer: Writer,
    incoming: Incoming,
    watches: Watches,
    performing: Option<Performing>,
    /// The session in which messages that name none are said.
    session: SessionId,
    /// The protocol, once the client has shown it.
    style: Option<Style>,
    timing: SocketTiming,
    /// When the client last said or took something.
    heard: Instant,
}

/// What a connection waits for.
enum Event {
    Progress(Progress),
    Done(Effect),
    Heard(Option<Result<AggregatedMessage, Fault>>),
    Frames(Vec<String>),
    Tick,
    ShuttingDown,
}

/// How a connection ends.
enum Ending {
    /// The client is gone, or takes no more.
    Dropped,
    /// With a last word.
    Closed(Option<CloseReason>),
    /// With the server.
    ShuttingDown,
}

impl Connection {
    /// A connection that is not open yet.
    pub(super) fn new(
        context: Context,
        writer: Writer,
        incoming: Incoming,
        session: SessionId,
        timing: SocketTiming,
    ) -> Self {
        Self {
            context: Rc::new(context),
            writer,
            incoming,
            watches: Watches::default(),
            performing: None,
            session,
            style: None,
            timing,
            heard: Instant::now(),
        }
    }

    /// Speaks the protocol `style` from the beginning, where the client has named one.
    pub(super) fn speaking(self, style: Option<Style>) -> Self {
        Self { style, ..self }
    }

    /// Greets the client and begins with `opening`.
    pub(super) fn open(&mut self, opening: Action) {
        self.say(&Frame::connection_info(&self.session));
        self.begin(opening);
    }

    /// Serves the connection to its end. What it started goes on without it.
    pub(super) async fn run(&mut self) {
        match self.serve().await {
            Ending::Dropped => return,
            Ending::Closed(reason) => self.writer.close(reason),
            Ending::ShuttingDown => {
                // Runs end now, each with its last event; those that wait will run after the next start.
                if timeout(FAREWELL, self.show_the_rest()).await.is_err() {
                    tracing::debug!("a client did not take the end of a run");
                }
                let reason = (CloseCode::Away, "The server is shutting down");
                self.writer.close(Some(reason.into()));
            }
        }
        if timeout(FAREWELL, self.writer.drained()).await.is_err() {
            tracing::debug!("a client did not take the last frames");
        }
    }

    async fn serve(&mut self) -> Ending {
        let chat = Arc::clone(&self.context.services.chat);
        let mut shutting_down = pin!(chat.shutting_down());
        let mut tick = pin!(sleep(self.timing.ping_interval));
        loop {
            let attentive = self.performing.is_none() && !self.writer.is_full();
            let has_room = self.writer.has_room();
            let event = tokio::select! {
                biased;
                () = &mut shutting_down => Event::ShuttingDown,
                () = &mut tick => Event::Tick,
                progress = self.writer.progress() => Event::Progress(progress),
                effect = performed(&mut self.performing) => Event::Done(effect),
                message = self.incoming.next(), if attentive => Event::Heard(message),
                frames = self.watches.frames(), if has_room => Event::Frames(frames),
            };
            let ending = match event {
                Event::Progress(Progress::Gone) => Some(Ending::Dropped),
                Event::Progress(Progress::Taken(spoke)) => {
                    if spoke {
                        self.heard = Instant::now();
                    }
                    None
                }
                Event::Done(effect) => {
                    self.performing = None;
                    self.apply(effect)
                }
                Event::Heard(message) => self.listen(message),
                Event::Frames(frames) => {
                    for frame in frames {
                        self.writer.run(&frame);
                    }
                    None
                }
                Event::Tick => {
                    tick.as_mut()
                        .reset(Instant::now() + self.timing.ping_interval);
                    self.check_pulse()
                }
                Event::ShuttingDown => Some(Ending::ShuttingDown),
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Shows the runs that have begun to their end.
    async fn show_the_rest(&mut self) {
        while self.writer.drained().await && self.watches.any_begun() {
            for frame in self.watches.frames().await {
                self.writer.run(&frame);
            }
        }
    }

    fn check_pulse(&mut self) -> Option<Ending> {
        if self.heard.elapsed() >= self.timing.silence {
            return Some(Ending::Dropped);
        }
        self.writer.ping();
        None
    }

    fn listen(&mut self, message: Option<Result<AggregatedMessage, Fault>>) -> Option<Ending> {
        self.heard = Instant::now();
        match message {
            None => return Some(Ending::Dropped),
            Some(Err(fault)) => return Some(Ending::Closed(Some(fault.into()))),
            Some(Ok(AggregatedMessage::Close(reason))) => return Some(Ending::Closed(reason)),
            Some(Ok(AggregatedMessage::Ping(payload))) => self.writer.pong(&payload),
            Some(Ok(AggregatedMessage::Pong(_))) => {}
            Some(Ok(AggregatedMessage::Binary(_))) => {
                self.say(&Frame::error("Expected text: frames are JSON"));
            }
            Some(Ok(AggregatedMessage::Text(text))) => match Action::parse(&text) {
                Ok(action) => self.begin(action),
                Err(error) => return self.apply(Effect::from(&error)),
            },
        }
        None
    }

    fn say(&mut self, frame: &Frame) {
        self.writer.text(&frame.text());
    }

    fn begin(&mut self, action: Action) {
        if let Action::Chat(chat) = &action {
            self.style.get_or_insert(chat.style);
        }
        let (context, current) = (Rc::clone(&self.context), self.session.clone());
        self.performing = Some(Box::pin(
            async move { perform(&context, current, action).await },
        ));
    }

    fn apply(&mut self, effect: Effect) -> Option<Ending> {
        if let Some(session) = effect.session {
            self.session = session;
        }
        if effect.only_session {
            self.watches.keep_only(&self.session);
        }
        for frame in effect.frames {
            self.say(&frame);
        }
        for follow in effect.follow {
            let style = self.style.or(follow.style).unwrap_or_default();
            let core = self.context.kernel.core();
            if !self
                .watches
                .follow(core, follow.events, follow.after, style)
            {
                let words = "Too many runs are shown on this connection";
                self.say(&Frame::error(words));
            }
        }
        if effect
            .idle
            .is_some_and(|session| !self.watches.has(&session))
        {
            self.say(&Frame::StreamEnd {});
        }
        effect.close.map(|reason| Ending::Closed(Some(reason)))
    }
}

/// Waits for the action that is being carried out, for ever when there is none.
async fn performed(performing: &mut Option<Performing>) -> Effect {
    match performing {
        Some(action) => action.await,
        None => pending().await,
    }
}
