//! Slash commands: what a person can tell the server itself in the middle of a conversation. They are answered without
//! a model and not stored.

use std::fmt::Write as _;
use std::sync::Arc;

use majordomo_domain::{
    AuditRecord, Channel, Outcome, Run, RunEvent, RunEventKind, RunKind, RunOptions, RunStatus,
    Scope, Session, SessionId, SessionTitle, Usage,
};

use super::error::ChatError;
use super::reply::Turn;
use super::service::ChatService;
use crate::caller::Caller;
use crate::error::ServiceError as _;
use crate::ports::ImportedConversation;
use crate::runs::{RunLog, RunStream};

/// Sessions listed at most.
const LISTED: u32 = 20;

/// A command with what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command<'a> {
    name: Name,
    argument: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    New,
    Sessions,
    Resume,
    Help,
    Clear,
    Rename,
    Status,
    Delete,
    Model,
    Tools,
    Kill,
}

impl Name {
    /// Whether it reads or changes sessions, beyond talking in one.
    const fn concerns_sessions(self) -> bool {
        matches!(
            self,
            Self::Sessions | Self::Resume | Self::Clear | Self::Rename | Self::Delete
        )
    }
}

/// Every command: its word, what may follow, what it does.
const COMMANDS: [(Name, &str, &str, &str); 11] = [
    (Name::New, "new", "", "begin a new session"),
    (Name::Sessions, "sessions", "", "list your latest sessions"),
    (
        Name::Resume,
        "resume",
        "<number or id>",
        "go on in another session",
    ),
    (Name::Help, "help", "", "show this list"),
    (Name::Clear, "clear", "", "forget this session's messages"),
    (
        Name::Rename,
        "rename",
        "<title>",
        "give this session a title",
    ),
    (Name::Status, "status", "", "show this session's state"),
    (Name::Delete, "delete", "", "delete this session"),
    (
        Name::Model,
        "model",
        "[provider/model | default]",
        "show or choose this session's model",
    ),
    (Name::Tools, "tools", "", "list the agent's tools"),
    (Name::Kill, "kill", "", "stop what runs in this session"),
];

/// Reads `/name argument` or `!name argument`; anything else is a message for the model.
pub(super) fn parse(text: &str) -> Option<Command<'_>> {
    let text = text.trim();
    let rest = text.strip_prefix(['/', '!'])?;
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, ..) = COMMANDS
        .into_iter()
        .find(|(_, known, ..)| word.eq_ignore_ascii_case(known))?;
    Some(Command {
        name,
        argument: argument.trim(),
    })
}

/// What a command says, and the session the conversation goes on in.
struct Said {
    text: String,
    session: SessionId,
}

impl ChatService {
    /// Carries a command out. Its answer looks like any turn's.
    pub(super) async fn run_command(
        &self,
        caller: &Caller,
        session: SessionId,
        channel: Channel,
        command: Command<'_>,
    ) -> Result<Turn, ChatError> {
        let said = match self.obey(caller, session.clone(), channel, command).await {
            Ok(said) => said,
            Err(error) if matches!(error, ChatError::Storage(_)) => return Err(error),
            Err(error) => Said {
                text: error.public_message(),
                session,
            },
        };
        Ok(self.spoken(caller, said))
    }

    async fn obey(
        &self,
        caller: &Caller,
        session: SessionId,
        channel: Channel,
        command: Command<'_>,
    ) -> Result<Said, ChatError> {
        if command.name.concerns_sessions() {
            caller.require(Scope::Sessions)?;
        }
        let stored = self.sessions.find(&caller.user, &session).await?;
        let text = match command.name {
            Name::Help => help(),
            Name::Tools => self.describe_tools(),
            Name::New => {
                let session = match channel {
                    Channel::WebSocket => self.ids.short_session_id(),
                    Channel::Api | Channel::Cli | Channel::Import => self.ids.session_id(),
                };
                return Ok(Said {
                    text: "A new session begins.".to_owned(),
                    session,
                });
            }
            Name::Sessions => self.describe_sessions(caller, &session).await?,
            Name::Resume => return self.resume(caller, session, command.argument).await,
            Name::Kill => {
                self.stop(caller, &session)?;
                "Stopped.".to_owned()
            }
            Name::Model => {
                self.choose_model(caller, stored, &session, channel, command.argument)
                    .await?
            }
            Name::Status => self.describe(stored.as_ref(), &session),
            Name::Clear if stored.is_none() => "There is nothing to clear.".to_owned(),
            Name::Clear => {
                let record = self.erasure(caller, "session.clear", &session);
                let clear = self.sessions.clear(&caller.user, &session, &record);
                require(self.while_stopped(&caller.user, &session, clear).await?)?;
                "This session's messages are forgotten.".to_owned()
            }
            Name::Rename if command.argument.is_empty() => usage(Name::Rename),
            Name::Rename => {
                let title = SessionTitle::choose(command.argument)?;
                self.begin(caller, stored.as_ref(), &session, channel)
                    .await?;
                require(self.sessions.rename(&caller.user, &session, &title).await?)?;
                format!("This session is now called \"{}\".", title.as_str())
            }
            Name::Delete if stored.is_none() => "There is nothing to delete.".to_owned(),
            Name::Delete => {
                let record = self.erasure(caller, "session.delete", &session);
                let delete = self.sessions.delete(&caller.user, &session, &record);
                require(self.while_stopped(&caller.user, &session, delete).await?)?;
                "This session is deleted.".to_owned()
            }
        };
        Ok(Said { text, session })
    }

    fn erasure(&self, caller: &Caller, action: &'static str, session: &SessionId) -> AuditRecord {
        caller
            .record(action, self.clock.now())
            .on("session", session)
    }

    fn describe_tools(&self) -> String {
        let specs = self.tools.specs();
        if specs.is_empty() {
            return "The agent has no tools.".to_owned();
        }
        specs
            .iter()
            .fold("The agent's tools:".to_owned(), |mut text, spec| {
                let _ = write!(text, "\n- {}: {}", spec.name, spec.description);
                text
            })
    }

    async fn describe_sessions(
        &self,
        caller: &Caller,
        current: &SessionId,
    ) -> Result<String, ChatError> {
        let (sessions, total) = self.sessions.list(&caller.user, LISTED, 0).await?;
        if sessions.is_empty() {
            return Ok("You have no sessions yet.".to_owned());
        }
        let mut text = format!("Your latest sessions ({total} in all):");
        for (index, session) in sessions.iter().enumerate() {
            let here = if session.id == *current {
                " (this one)"
            } else {
                ""
            };
            let (title, count) = (session.title.as_str(), session.message_count);
            let _ = write!(
                text,
                "\n{}. {title}{here}, {count} messages [{}]",
                index + 1,
                session.id
            );
        }
        text.push_str("\nGo on in one with /resume <number>.");
        Ok(text)
    }

    async fn resume(
        &self,
        caller: &Caller,
        current: SessionId,
        argument: &str,
    ) -> Result<Said, ChatError> {
        if argument.is_empty() {
            return Ok(Said {
                text: self.describe_sessions(caller, &current).await?,
                session: current,
            });
        }
        let chosen = match argument.parse::<u32>() {
            Ok(number @ 1..=LISTED) => {
                let (sessions, _) = self.sessions.list(&caller.user, 1, number - 1).await?;
                sessions.into_iter().next()
            }
            _ => match SessionId::parse(argument.strip_prefix("websocket_").unwrap_or(argument)) {
                Ok(id) => self.sessions.find(&caller.user, &id).await?,
                Err(_) => None,
            },
        };
        let session = chosen.ok_or(ChatError::SessionNotFound)?;
        Ok(Said {
            text: format!("Going on in \"{}\".", session.title.as_str()),
            session: session.id,
        })
    }

    async fn choose_model(
        &self,
        caller: &Caller,
        stored: Option<Session>,
        session: &SessionId,
        channel: Channel,
        argument: &str,
    ) -> Result<String, ChatError> {
        if argument.is_empty() {
            let model = stored.and_then(|session| session.model);
            let model = self.models.resolve(model.as_deref())?;
            return Ok(format!("This session's model is {model}."));
        }
        let model = match argument {
            "default" => None,
            name => Some(self.models.resolve_for(caller, Some(name))?.to_string()),
        };
        self.begin(caller, stored.as_ref(), session, channel)
            .await?;
        require(
            self.sessions
                .set_model(&caller.user, session, model.as_deref())
                .await?,
        )?;
        Ok(format!(
            "This session's model is now {}.",
            self.models.resolve(model.as_deref())?
        ))
    }

    /// Begins the session where it is not stored yet, so that it can keep what is chosen for it.
    async fn begin(
        &self,
        caller: &Caller,
        stored: Option<&Session>,
        session: &SessionId,
        channel: Channel,
    ) -> Result<(), ChatError> {
        if stored.is_none() {
            let now = self.clock.now();
            let empty = ImportedConversation {
                session: Session::begin(session.clone(), caller.user.clone(), channel, now),
                messages: Vec::new(),
            };
            self.sessions.import(&empty, now).await?;
        }
        Ok(())
    }

    fn describe(&self, stored: Option<&Session>, session: &SessionId) -> String {
        let Some(stored) = stored else {
            return format!("Session {session} has no messages yet.");
        };
        let model = stored
            .model
            .clone()
            .unwrap_or_else(|| self.models.default_model().to_string());
        let running = self
            .queues
            .get(&stored.owner, session)
            .is_some_and(|queue| queue.is_busy());
        format!(
            "Session {session}: \"{}\"\nMessages: {}\nModel: {model}\nState: {}",
            stored.title.as_str(),
            stored.message_count,
            if running { "running" } else { "idle" },
        )
    }

    /// A turn that has ended already, with these words.
    fn spoken(&self, caller: &Caller, said: Said) -> Turn {
        let now = self.clock.now();
        let run = Run {
            id: self.ids.run_id(),
            owner: caller.user.clone(),
            kind: RunKind::ChatTurn,
            session: said.session,
            message: self.ids.message_id(),
            options: RunOptions::default(),
            status: RunStatus::Completed,
            created_at: now,
            finished_at: Some(now),
        };
        let outcome = Outcome {
            status: RunStatus::Completed,
            message: None,
            model: None,
            usage: Usage::default(),
            reason: "stop".to_owned(),
            error: None,
        };
        let kinds = [
            RunEventKind::Started,
            RunEventKind::Text(said.text),
            RunEventKind::Finished(outcome),
        ];
        let log = RunLog::new(run.clone(), 0, self.event_bus().clone());
        log.publish(
            (1..)
                .zip(kinds)
                .map(|(seq, kind)| RunEvent { seq, at: now, kind }),
        );
        log.close();
        let stream = RunStream::live(Arc::clone(&log), self.journal.clone(), 0, false);
        Turn {
            run: run.id,
            session: run.session,
            created_at: now,
            stored: None,
            stream,
        }
    }
}

fn require(found: bool) -> Result<(), ChatError> {
    if found {
        Ok(())
    } else {
        Err(ChatError::SessionNotFound)
    }
}

fn help() -> String {
    COMMANDS
        .iter()
        .fold("Commands:".to_owned(), |text, command| {
            format!("{text}\n{}", explain(command))
        })
}

/// How one command is used.
fn usage(name: Name) -> String {
    let command = COMMANDS.iter().find(|(known, ..)| *known == name);
    command.map(explain).unwrap_or_default()
}

fn explain((_, word, argument, meaning): &(Name, &str, &str, &str)) -> String {
    let space = if argument.is_empty() { "" } else { " " };
    format!("/{word}{space}{argument}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_other_text_is_not() {
        let rename = Command {
            name: Name::Rename,
            argument: "My trip",
        };
        assert_eq!(parse(" /rename  My trip "), Some(rename.clone()));
        assert_eq!(parse("!RENAME My trip"), Some(rename));
        assert_eq!(parse("/usr/bin is a folder"), None);
        assert_eq!(parse("/newer"), None);
        assert_eq!(parse("help"), None);
    }
}
