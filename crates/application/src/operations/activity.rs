//! What the agent does for a user right now.

use std::time::Duration;

use majordomo_domain::{RunEvent, RunEventKind, RunId, Scope, SessionId};

use crate::caller::{Caller, ScopeDenied};
use crate::chat::{ChatService, Failure};
use crate::events::EventStream;

/// What the agent is about in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityState {
    /// It waits for the model, or the model thinks.
    Thinking,
    /// A tool works.
    UsingTool {
        /// The tool's name.
        tool: String,
    },
    /// The answer is being written.
    Streaming,
    /// It works no longer: its latest turn failed, less than a minute ago.
    Failed {
        /// Why, in words fit for the user.
        words: String,
    },
}

/// One session in which the agent works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionActivity {
    /// The run.
    pub run: RunId,
    /// The session it speaks in.
    pub session: SessionId,
    /// What it is about.
    pub state: ActivityState,
    /// Time since the run was accepted, or from then to its failure.
    pub running_for: Duration,
}

/// What the agent does for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentActivity {
    /// The user's sessions in which it works, oldest run first, and those in which it has failed a moment ago.
    pub sessions: Vec<SessionActivity>,
    /// Runs the server works on at the same time at most, over all users.
    pub max_concurrent: usize,
}

impl ChatService {
    /// What the agent does for the caller. Of other users nothing is told, not even how many there are.
    pub fn activity(&self, caller: &Caller) -> Result<AgentActivity, ScopeDenied> {
        caller.require(Scope::Chat)?;
        let now = self.clock().now();
        let own: Vec<_> = self
            .live()
            .values()
            .filter(|log| log.run().owner == caller.user)
            .cloned()
            .collect();
        let mut sessions: Vec<_> = own
            .iter()
            .filter_map(|log| {
                let run = log.run();
                let state = state(&*log.latest()?)?;
                Some((
                    run.created_at,
                    SessionActivity {
                        run: run.id.clone(),
                        session: run.session.clone(),
                        state,
                        running_for: now.since(run.created_at),
                    },
                ))
            })
            .collect();
        sessions.sort_by_key(|(accepted, _)| *accepted);
        let mut sessions: Vec<_> = sessions.into_iter().map(|(_, session)| session).collect();
        for Failure { run, words, at } in self.failed_lately(&caller.user) {
            if sessions
                .iter()
                .any(|working| working.session == run.session)
            {
                continue;
            }
            sessions.push(SessionActivity {
                running_for: at.since(run.created_at),
                run: run.id,
                session: run.session,
                state: ActivityState::Failed { words },
            });
        }
        Ok(AgentActivity {
            sessions,
            max_concurrent: self.max_concurrent_runs(),
        })
    }

    /// What happens in the caller's runs, and on the server as far as it concerns everyone: above `after`, as far as it
    /// is held, or from now on.
    pub fn listen(&self, caller: &Caller, after: Option<u64>) -> Result<EventStream, ScopeDenied> {
        caller.require(Scope::Chat)?;
        Ok(self.event_bus().listen(&caller.user, after))
    }
}

/// What a run is about, as its newest event tells; `None` when it has ended.
fn state(newest: &RunEvent) -> Option<ActivityState> {
    Some(match &newest.kind {
        RunEventKind::Started
        | RunEventKind::Hop(_)
        | RunEventKind::Recalled(_)
        | RunEventKind::Reasoning(_)
        | RunEventKind::ToolReturned(_) => ActivityState::Thinking,
        RunEventKind::ToolCalled(call) => ActivityState::UsingTool {
            tool: call.name.clone(),
        },
        RunEventKind::Text(_) => ActivityState::Streaming,
        RunEventKind::Finished(_) => return None,
    })
}
