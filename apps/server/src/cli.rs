//! The command line.

mod audit;
mod backup;
mod budgets;
mod chat;
mod context;
mod doctor;
mod keys;
mod memory;
mod migrate;
mod openapi;
mod output;
mod private_file;
mod secrets;
mod serve;
mod sessions;
mod sse;
mod token;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use context::{CliError, Context};
use output::Output;

/// A self-hosted AI agent server: chat with any model from any client, with everything stored on your own machine.
///
/// Begin with `majordomo chat "hello"`, which needs nothing, or `majordomo serve`, which answers the clients of
/// PocketPaw, PiSovereign, Pixcode and OpenAI.
#[derive(Parser)]
#[command(name = "majordomo", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every subcommand.
#[derive(Args, Clone)]
struct Global {
    /// Folder of the database, the access token and everything else that is kept
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Configuration file [default: config.toml in the data folder, if there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server
    Serve(ServeArgs),
    /// Ask the agent something; the answer is printed as it is written
    Chat(chat::ChatArgs),
    /// List, read, search, export and delete sessions
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    /// Add, find, list and forget memories; import and export them, import other systems' conversations
    #[command(subcommand)]
    Memory(memory::MemoryCommand),
    /// Add and list users, change their roles and passwords, disable them
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Make, list, replace and revoke API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Set, list and remove budgets
    #[command(subcommand)]
    Budgets(budgets::BudgetsCommand),
    /// Show or replace the master token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Look after the keys that seal stored secrets
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Read and check the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Copy the database into one file, while the server may run
    Backup(backup::BackupArgs),
    /// Fill the database from such a file; the server must be stopped
    Restore(backup::RestoreArgs),
    /// Read such a file to its end and say whether it is whole, and what it holds
    Verify {
        /// The file
        file: PathBuf,
    },
    /// Print the OpenAPI document of an API
    Openapi(openapi::OpenapiArgs),
    /// Bring the database up to date
    Migrate(migrate::MigrateArgs),
    /// Say what is configured, what answers, what is wrong and how to mend it
    Doctor(doctor::DoctorArgs),
    /// Print completions for your shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `serve` listens on.
#[derive(Args)]
struct ServeArgs {
    /// Listen on this address only, or on all addresses of this name [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Listen on this port only; 0 takes a free one [default: 8888]
    #[arg(long, short, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs the program. Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 130 interrupted.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let output = Output::new(cli.global.json);
    match run(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<(), CliError> {
    let global = cli.global;
    match cli.command {
        Command::Serve(args) => serve::run(&global, &args, output),
        Command::Chat(args) => {
            Context::load(&global)?.block_on(async |context| chat::run(context, args, output).await)
        }
        Command::Sessions(command) => Context::load(&global)?
            .block_on(async |context| sessions::run(context, command, output).await),
        Command::Memory(command) => Context::load(&global)?
            .block_on(async |context| memory::run(context, command, output).await),
        Command::Users(command) => Context::load(&global)?
            .block_on(async |context| users::run(context, command, output).await),
        Command::Keys(command) => Context::load(&global)?
            .block_on(async |context| keys::run(context, command, output).await),
        Command::Budgets(command) => Context::load(&global)?
            .block_on(async |context| budgets::run(context, command, output).await),
        Command::Token(command) => Context::load(&global)?
            .block_on(async |context| token::run(context, command, output).await),
        Command::Secrets(command) => Context::load(&global)?
            .block_on(async |context| secrets::run(context, command, output).await),
        Command::Audit(command) => Context::load(&global)?
            .block_on(async |context| audit::run(context, command, output).await),
        Command::Backup(args) => Context::load(&global)?
            .block_on(async |context| backup::back_up(context, args, output).await),
        Command::Restore(args) => Context::load(&global)?
            .block_on(async |context| backup::restore(context, args, output).await),
        Command::Verify { file } => backup::verify(&file, output),
        Command::Openapi(args) => openapi::run(&global, &args, output),
        Command::Migrate(args) => Context::load(&global)?
            .block_on(async |context| migrate::run(context, &args, output).await),
        Command::Doctor(args) => doctor::run(&global, args, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "majordomo", &mut script);
            output.text(&String::from_utf8_lossy(&script))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
