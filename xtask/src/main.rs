//! The project's own commands, started with `cargo xtask`; `cargo xtask help` lists them.
//!
//! One file per command. A command returns [`failure::Outcome`]; this file alone decides the exit code.

use std::process::ExitCode;

mod arch;
mod bench;
mod ci;
mod endpoints;
mod failure;
mod locate;
mod manifest;
mod migrations;
mod openapi;
mod process;
mod report;
mod routes;
mod setup;
mod tidy;
mod tree;

use failure::{Failure, Outcome};

const HELP: &str = "\
cargo xtask <command>

  ci                     everything that has to hold before a change lands, stopping at the first failure
  setup                  install what the tests use besides Rust: PostgreSQL, nginx, caddy, Python and Node packages
  arch                   check the crates' manifests against the allowed dependency edges
  tidy                   check file lengths, module headers and leftovers
  migrations             check that the SQLite and PostgreSQL migrations are paired and well named
  endpoints [--check]    write docs/api/endpoints.md from the handlers' doc comments, or compare it
  bench [OPTION]...      measure the speed bars; `bench --help` says more
  bench memory [OPTION]...
                         measure how fast and how well memory finds; `bench memory --help` says more
  where <METHOD> <URL>   print the handler that answers a request
  help                   this text";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::error(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        ["ci"] => ci::run(),
        ["setup"] => setup::run(),
        ["arch"] => arch::run(),
        ["tidy"] => tidy::run(),
        ["migrations"] => migrations::run(),
        ["endpoints"] => endpoints::write(),
        ["endpoints", "--check"] => endpoints::check(),
        ["bench", "help" | "--help" | "-h"] => {
            report::line(bench::HELP);
            Ok(())
        }
        ["bench", "memory", "--help" | "-h"] => {
            report::line(bench::MEMORY_HELP);
            Ok(())
        }
        ["bench", "memory", options @ ..] => bench::memory(options),
        ["bench", options @ ..] => bench::run(options),
        ["where", method, url] => locate::run(method, url),
        [] | ["help" | "--help" | "-h"] => {
            report::line(HELP);
            Ok(())
        }
        _ => Err(Failure::new(format!(
            "`{}` is not a command of xtask\n\n{HELP}",
            arguments.join(" ")
        ))),
    }
}
