//! Actions, carried out by the services; what comes of each is told to the connection as one value.

use std::sync::Arc;

use actix_web::web::Data;
use actix_ws::{CloseCode, CloseReason};
use majordomo_application::Caller;
use majordomo_application::access::Presented;
use majordomo_application::chat::{SendMessage, WhenBusy};
use majordomo_application::runs::RunStream;
use majordomo_domain::{
    Channel, CredentialKind, Message, RequestSource, Role, RunId, RunOptions, SessionId,
};
use majordomo_presentation_http::run_events::RunPosition;
use majordomo_presentation_http::{ApiError, ErrorClass, Kernel, LimitClass, Services};

use super::action::{Action, Chat};
use super::frame::{Frame, HistoryMessage, Settings};
use super::render::Style;
use crate::chat::media;
use crate::health::{health_of, latest_errors};
use crate::wire::wire_id;

/// Messages of a session shown when it is opened at most.
const HISTORY: u32 = 100;

/// Whose connection it is, and what carries its actions out.
pub(super) struct Context {
    pub(super) kernel: Data<Kernel>,
    pub(super) services: Data<Services>,
    pub(super) presented: Presented,
    pub(super) source: RequestSource,
}

/// A run to show, from after the last event that the client has.
pub(super) struct Follow {
    pub(super) events: RunStream,
    pub(super) after: u64,
    pub(super) style: Option<Style>,
}

/// What comes of an action.
#[derive(Default)]
pub(super) struct Effect {
    /// What to say.
    pub(super) frames: Vec<Frame>,
    /// Runs to show after that.
    pub(super) follow: Vec<Follow>,
    /// The session the conversation goes on in.
    pub(super) session: Option<SessionId>,
    /// Whether runs of other sessions are no longer shown.
    pub(super) only_session: bool,
    /// The session in which nothing is being written now: the client is told so unless a run of it is being shown.
    pub(super) idle: Option<SessionId>,
    /// Why the connection ends.
    pub(super) close: Option<CloseReason>,
}

impl Effect {
    fn saying(frame: Frame) -> Self {
        Self {
            frames: vec![frame],
            ..Self::default()
        }
    }

    /// What a failed action leaves behind. A credential that works no longer ends the connection.
    fn failed(error: &ApiError) -> Self {
        let lost = error.class() == ErrorClass::Unauthenticated;
        let words = error.issues().first().map_or_else(
            || error.message().to_owned(),
            |issue| format!("{}: {}", issue.field, issue.error),
        );
        Self {
            close: lost.then(|| CloseReason {
                code: CloseCode::Policy,
                description: Some("The credential works no longer".to_owned()),
            }),
            ..Self::saying(Frame::error(words))
        }
    }
}

impl From<&ApiError> for Effect {
    fn from(error: &ApiError) -> Self {
        Self::failed(error)
    }
}

/// Carries out one action of a connection whose session is `current`.
pub(super) async fn perform(context: &Context, current: SessionId, action: Action) -> Effect {
    let place = match &action {
        Action::Chat(chat) => Some(chat.session.as_ref().unwrap_or(&current).clone()),
        _ => None,
    };
    match attempt(context, current, action).await {
        Ok(effect) => effect,
        Err(error) => Effect {
            idle: place,
            ..Effect::failed(&error)
        },
    }
}

async fn attempt(
    context: &Context,
    current: SessionId,
    action: Action,
) -> Result<Effect, ApiError> {
    match action {
        Action::Ping => return Ok(Effect::saying(Frame::Pong {})),
        Action::Authenticate => return Ok(Effect::default()),
        Action::Unavailable(name) => {
            let words = format!("{name} is not available on this server");
            return Ok(Effect::saying(Frame::error(words)));
        }
        _ => {}
    }
    let caller = context.caller().await?;
    context.within_limits(&caller)?;
    match action {
        Action::Open { history, position } => {
            context.open(caller, current, history, position).await
        }
        Action::Chat(chat) => context.chat(caller, current, chat).await,
        Action::Stop(named) => context.stop(caller, named.unwrap_or(current)).await,
        Action::SwitchSession(session) => Ok(Effect {
            only_session: true,
            session: Some(session.clone()),
            ..context.show(caller, session, None).await?
        }),
        Action::NewSession => {
            let session = context.services.chat.reserve_session(&caller)?;
            Ok(Effect {
                session: Some(session.clone()),
                only_session: true,
                ..Effect::saying(Frame::NewSession {
                    id: wire_id(&session),
                })
            })
        }
        Action::Resume(position, style) => Ok(Effect {
            follow: vec![context.resume(caller, position, Some(style)).await?],
            ..Effect::default()
        }),
        Action::GetSettings => {
            let model = context.services.models.default_model().to_string();
            Ok(Effect::saying(Frame::Settings {
                content: Settings::new(model),
            }))
        }
        Action::GetHealth => context.health().await,
        Action::GetHealthErrors(wanted) => {
            let (kernel, services) = (&context.kernel, &context.services);
            let errors = latest_errors(kernel, services, caller, wanted).await?;
            Ok(Effect::saying(Frame::HealthErrors { errors }))
        }
        Action::Ping | Action::Authenticate | Action::Unavailable(_) => Ok(Effect::default()),
    }
}

impl Context {
    /// Who is asking, as of now: a key may have been revoked since the connection began.
    async fn caller(&self) -> Result<Caller, ApiError> {
        let access = Arc::clone(&self.services.access);
        if let Some(caller) = access.authenticate_now(&self.presented, self.source) {
            return Ok(caller);
        }
        let (presented, source) = (self.presented.clone(), self.source);
        self.kernel
            .core()
            .run(async move { access.authenticate(presented, source).await })
            .await
    }

    /// An action costs what a request costs.
    fn within_limits(&self, caller: &Caller) -> Result<(), ApiError> {
        let limits = self.kernel.limits();
        if let CredentialKind::ApiKey(key) = &caller.credential {
            let own = caller.limits.requests_per_minute;
            limits.check_api_key(LimitClass::Api, key, own)?;
        }
        let decision = limits.check(LimitClass::Api, self.source.address);
        match decision.and_then(|decision| decision.retry_after) {
            Some(wait) => Err(ApiError::rate_limited(wait)),
            None => Ok(()),
        }
    }

    async fn open(
        &self,
        caller: Caller,
        session: SessionId,
        history: bool,
        position: Option<RunPosition>,
    ) -> Result<Effect, ApiError> {
        let mut refused = None;
        let resumed = match position {
            None => None,
            Some(position) => match self.resume(caller.clone(), position, None).await {
                Ok(follow) => Some(follow),
                Err(error) => {
                    refused = Some(Frame::error(error.message()));
                    None
                }
            },
        };
        let mut effect = if history {
            self.show(caller, session, resumed).await?
        } else {
            Effect {
                follow: resumed.into_iter().collect(),
                ..Effect::default()
            }
        };
        effect.frames.extend(refused);
        Ok(effect)
    }

    /// What was said in a session, and what is being said. An answer that is being written comes with its run, so it is
    /// left out of the history, even when it ends in this moment.
    async fn show(
        &self,
        caller: Caller,
        session: SessionId,
        resumed: Option<Follow>,
    ) -> Result<Effect, ApiError> {
        let mut follow: Vec<Follow> = self
            .services
            .chat
            .unfinished(&caller, &session)?
            .into_iter()
            .map(|events| Follow {
                events,
                after: 0,
                style: None,
            })
            .collect();
        if let Some(resumed) = resumed {
            let known = |follow: &Follow| follow.events.run().id == resumed.events.run().id;
            match follow
                .iter()
                .position(known)
                .and_then(|place| follow.get_mut(place))
            {
                Some(same) => *same = resumed,
                None => follow.insert(0, resumed),
            }
        }
        let runs: Vec<RunId> = follow
            .iter()
            .map(|follow| follow.events.run().id.clone())
            .collect();
        let frame = match self.history(caller, session, &runs).await {
            Ok(frame) => frame,
            Err(error) if error.class() == ErrorClass::Forbidden => Frame::error(error.message()),
            Err(error) => return Err(error),
        };
        Ok(Effect {
            follow,
            ..Effect::saying(frame)
        })
    }

    async fn history(
        &self,
        caller: Caller,
        session: SessionId,
        shown: &[RunId],
    ) -> Result<Frame, ApiError> {
        let (sessions, id) = (Arc::clone(&self.services.sessions), session.clone());
        let messages = self
            .kernel
            .core()
            .run(async move { sessions.history(&caller, &id, HISTORY).await })
            .await?;
        let comes_with_its_run = |message: &Message| {
            message.role == Role::Assistant
                && message.run.as_ref().is_some_and(|run| shown.contains(run))
        };
        Ok(Frame::SessionHistory {
            session_id: wire_id(&session),
            messages: messages
                .into_iter()
                .filter(|message| message.role != Role::System && !comes_with_its_run(message))
                .map(HistoryMessage::from)
                .collect(),
        })
    }

    async fn resume(
        &self,
        caller: Caller,
        position: RunPosition,
        style: Option<Style>,
    ) -> Result<Follow, ApiError> {
        let (chat, after) = (Arc::clone(&self.services.chat), position.after);
        let events = self
            .kernel
            .core()
            .run(async move { chat.watch(&caller, &position.run, after).await })
            .await?;
        Ok(Follow {
            events,
            after,
            style,
        })
    }

    async fn chat(
        &self,
        caller: Caller,
        current: SessionId,
        said: Chat,
    ) -> Result<Effect, ApiError> {
        let (images, ignored) = media::images(said.media)?;
        let message = SendMessage {
            session: Some(said.session.unwrap_or(current)),
            channel: Channel::WebSocket,
            text: said.text,
            images,
            options: RunOptions::default(),
            when_busy: WhenBusy::Queue,
        };
        let chat = Arc::clone(&self.services.chat);
        let turn = self
            .kernel
            .core()
            .run_here(async move { chat.send(&caller, message).await })
            .await?;
        let frames = ignored
            .iter()
            .map(|name| Frame::Notification {
                content: format!("{name} was left out: only pictures can be sent"),
            })
            .collect();
        Ok(Effect {
            frames,
            session: Some(turn.session.clone()),
            follow: vec![Follow {
                events: turn.into_events(),
                after: 0,
                style: Some(said.style),
            }],
            ..Effect::default()
        })
    }

    /// Stopping where nothing runs is no failure: the client wants silence and has it.
    async fn stop(&self, caller: Caller, session: SessionId) -> Result<Effect, ApiError> {
        let (chat, id) = (Arc::clone(&self.services.chat), session.clone());
        let stopped = self
            .kernel
            .core()
            .run(async move { chat.stop(&caller, &id) })
            .await;
        match stopped {
            Err(error) if error.class() != ErrorClass::NotFound => Err(error),
            _ => Ok(Effect {
                idle: Some(session),
                ..Effect::default()
            }),
        }
    }

    async fn health(&self) -> Result<Effect, ApiError> {
        let health = Arc::clone(&self.services.health);
        let report = self
            .kernel
            .core()
            .join(async move { health.check_recent().await })
            .await?;
        let data = health_of(&report);
        Ok(Effect::saying(Frame::HealthUpdate { data }))
    }
}
