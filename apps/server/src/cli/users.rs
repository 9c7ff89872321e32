//! `majordomo users`.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::{Output, field};
use crate::client::Client;

const PATH: &str = "/api/v1/users";
/// Longest password that is read, in bytes: more than any that is accepted.
const LONGEST_LINE: u64 = 4096;

/// What to do with users. Passwords are asked for, or read from standard input: they never stand in the command line,
/// which other programs on this machine can see.
#[derive(Subcommand)]
pub(super) enum UsersCommand {
    /// Add a user; their password is asked for, or read from standard input
    Add {
        /// What they sign in with
        name: String,
        /// What they may do at most
        #[arg(long, value_enum, default_value_t = Role::Member)]
        role: Role,
    },
    /// List users
    List,
    /// Give a user another role; their tokens and cookies end at once
    Role {
        /// What they sign in with
        name: String,
        /// What they may do at most
        #[arg(value_enum)]
        role: Role,
    },
    /// Let none of a user's credentials open anything
    Disable {
        /// What they sign in with
        name: String,
    },
    /// Let a user's credentials work again; they sign in anew
    Enable {
        /// What they sign in with
        name: String,
    },
    /// Give a user another password, asked for or read from standard input; their tokens and cookies end at once
    Passwd {
        /// What they sign in with
        name: String,
    },
}

/// What a user may do at most.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Owns the server: everything; there is one
    Owner,
    /// Administers the server and its users, but not the owner
    Admin,
    /// Uses the server
    Member,
    /// Sees what is theirs and changes nothing
    Viewer,
    /// A program: API keys and no password
    Service,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Service => "service",
        }
    }
}

pub(super) async fn run(
    context: Context,
    command: UsersCommand,
    output: &Output,
) -> Result<(), CliError> {
    // Before a server is asked: it may be one that is started for this.
    let password = match &command {
        UsersCommand::Add { role, .. } if *role != Role::Service => Some(read_password()?),
        UsersCommand::Passwd { .. } => Some(read_password()?),
        _ => None,
    };
    context
        .with_server(async |client| act(&client, command, password, output).await)
        .await
}

async fn act(
    client: &Client,
    command: UsersCommand,
    password: Option<String>,
    output: &Output,
) -> Result<(), CliError> {
    let (name, what, body, done) = match command {
        UsersCommand::Add { name, role } => {
            let mut body = json!({ "username": name, "role": role.as_str() });
            if let (Some(password), Some(body)) = (password, body.as_object_mut()) {
                body.insert("password".to_owned(), password.into());
            }
            let data = client.json(Method::POST, PATH, Some(&body)).await?;
            return output.data(&data, |_| format!("Added {name} as {}.\n", role.as_str()));
        }
        UsersCommand::List => {
            let data = client.json(Method::GET, PATH, None).await?;
            return output.data(&data, list);
        }
        UsersCommand::Role { name, role } => {
            let role = role.as_str();
            let done = format!("{name} is {role} now.\n");
            (name, "role", json!({ "role": role }), done)
        }
        UsersCommand::Disable { name } => {
            let done = format!("{name} is disabled.\n");
            (name, "enabled", json!({ "enabled": false }), done)
        }
        UsersCommand::Enable { name } => {
            let done = format!("{name} is enabled.\n");
            (name, "enabled", json!({ "enabled": true }), done)
        }
        UsersCommand::Passwd { name } => {
            let done = format!("{name} has another password.\n");
            (name, "password", json!({ "password": password }), done)
        }
    };
    let id = id_of(client, &name).await?;
    let path = format!("{PATH}/{id}/{what}");
    let data = client.json(Method::PUT, &path, Some(&body)).await?;
    output.data(&data, |_| done)
}

/// The id of the user with this name, whatever its case.
async fn id_of(client: &Client, name: &str) -> Result<String, CliError> {
    let users = client.json(Method::GET, PATH, None).await?;
    let users = users.as_array().map(Vec::as_slice).unwrap_or_default();
    users
        .iter()
        .find(|user| field(user, "username").eq_ignore_ascii_case(name))
        .map(|user| field(user, "id").to_owned())
        .ok_or_else(|| CliError::Other(format!("there is no user {name:?}")))
}

/// The password: asked for twice at a terminal, else the first line of standard input.
fn read_password() -> Result<String, CliError> {
    let failed = |error: std::io::Error| CliError::Other(format!("no password: {error}"));
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let password = rpassword::prompt_password("Password: ").map_err(failed)?;
        let again = rpassword::prompt_password("Once more: ").map_err(failed)?;
        if password != again {
            return Err(CliError::Other("the two passwords differ".to_owned()));
        }
        return Ok(password);
    }
    let mut line = String::new();
    let mut input = stdin.lock().take(LONGEST_LINE);
    input.read_line(&mut line).map_err(failed)?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        let words = "no password: give it on standard input".to_owned();
        return Err(CliError::Other(words));
    }
    Ok(password)
}

fn list(data: &Value) -> String {
    let users = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if users.is_empty() {
        return "No users yet.\n".to_owned();
    }
    users.iter().fold(String::new(), |mut text, user| {
        let enabled = user.get("enabled").and_then(Value::as_bool);
        let state = if enabled.unwrap_or_default() {
            "enabled"
        } else {
            "disabled"
        };
        let used = match field(user, "last_login_at") {
            "" => "never",
            at => at,
        };
        let _ = writeln!(
            text,
            "{}  {:7}  {state:8}  signed in {used}  {}",
            field(user, "id"),
            field(user, "role"),
            field(user, "username"),
        );
        text
    })
}
