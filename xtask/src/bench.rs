//! `bench`: the project's speed bars, measured in one run against the model server called directly.
//!
//! Load generator, mock model and server share this machine. Whatever is compared runs in turns, so that a slow moment
//! of the machine meets both sides.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::{report, tree};

mod http;
mod load;
mod machine;
mod options;
mod programs;
mod recall;
mod rounds;
mod running;
mod search;
mod server;
mod sockets;
mod start;
mod table;
mod throughput;

use options::{Group, Options};
use programs::Programs;
use running::Running;
use server::Installation;
use table::Row;

/// What `bench` understands.
pub(crate) const HELP: &str = options::HELP;

/// Where the last result is kept, from the root.
const RESULT: &str = "target/bench.json";
/// Databases and logs of the runs, from the root.
const FOLDER: &str = "target/bench";
/// Files and sockets that one process may have open: enough for the WebSocket rows on both ends.
const OPEN_FILES: u32 = 8_192;
/// How long the mock model may take to listen.
const MOCK_START: Duration = Duration::from_secs(10);

/// Measures what the arguments ask for, prints the table and keeps the result in `target/bench.json`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse(arguments)?;
    let programs = Programs::build(&options)?;
    raise_open_files();
    let bench = Bench::prepare(options, programs)?;
    let machine = machine::describe(&bench.folder)?;
    let Results { rows, problems } = bench.measure()?;
    let json = table::json(&machine, &rows, bench.options.quick);
    tree::write(RESULT, &json)?;
    if bench.options.json {
        report::line(json.trim_end());
    } else {
        report::line(table::text(&machine, &rows, bench.options.quick));
        report::line(format_args!("\nAlso in {RESULT}."));
    }
    Failure::from_problems(problems)
}

/// What `bench memory` understands.
pub(crate) const MEMORY_HELP: &str = "\
cargo xtask bench memory [--data FILE [--settings FILE]] [--quick]

  --data FILE      measure too how well the conversations of this LoCoMo file are recalled
  --settings FILE  more settings of the server that does so, for an embedding model
  --quick          few memories and no release build: shows that everything works, its numbers mean nothing";

/// Measures how fast memory stores and finds, and how well, with programs that are examples of other packages.
pub(crate) fn memory(arguments: &[&str]) -> Outcome {
    let (mut files, mut quick) = ([None, None], false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match (*argument, arguments.clone().next()) {
            ("--quick", _) => quick = true,
            (option @ ("--data" | "--settings"), Some(name)) => {
                let path = std::path::absolute(name);
                let path = path.map_err(|error| Failure::new(format!("{name}: {error}")))?;
                let [data, settings] = &mut files;
                let file = if option == "--data" { data } else { settings };
                *file = Some(path);
                arguments.next();
            }
            _ => {
                let problem = format!("`{argument}` is not understood\n\n{MEMORY_HELP}");
                return Err(Failure::new(problem));
            }
        }
    }
    if let [None, Some(_)] = files {
        return Err(Failure::new("--settings needs --data"));
    }
    let files: Vec<_> = files.into_iter().flatten().collect();
    programs::memory(&files, quick)
}

/// What was measured, and what could not be.
#[derive(Default)]
struct Results {
    rows: Vec<Row>,
    problems: Vec<String>,
}

impl Results {
    /// Adds a group's rows, or says that there are none: the other groups are measured all the same.
    fn add(&mut self, group: Group, rows: Outcome<Vec<Row>>) {
        match rows {
            Ok(rows) => self.rows.extend(rows),
            Err(failure) => self
                .problems
                .push(format!("{} was not measured: {failure}", group.name())),
        }
    }
}

/// What every measurement needs. The mock model dies with it.
struct Bench {
    options: Options,
    programs: Programs,
    folder: PathBuf,
    mock: SocketAddr,
    _mock: Running,
}

impl Bench {
    fn prepare(options: Options, programs: Programs) -> Outcome<Self> {
        let folder = tree::root().join(FOLDER);
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{FOLDER}: cannot be made: {error}")))?;
        let mock = free_address()?;
        let mut command = running::command(&programs.mock);
        command.arg(mock.port().to_string()).stdout(Stdio::null());
        let mut process = Running::start("mockllm", command)?;
        http::wait_for(mock, "/v1/models", MOCK_START, || process.check())?;
        Ok(Self {
            options,
            programs,
            folder,
            mock,
            _mock: process,
        })
    }

    /// The groups in the order of the table; the load comes first, so that the server starts on what it stored.
    fn measure(&self) -> Outcome<Results> {
        let mut results = Results::default();
        let installation = Installation::fresh(self, "server")?;
        throughput::measure(self, &installation, &mut results)?;
        if self.wants(Group::Start) {
            results.add(Group::Start, start::measure(self, &installation));
        }
        if self.wants(Group::Sockets) {
            results.add(Group::Sockets, sockets::measure(&installation));
        }
        if self.wants(Group::Search) {
            results.add(Group::Search, search::measure(self));
        }
        if self.wants(Group::Recall) {
            results.add(Group::Recall, recall::measure(self));
        }
        Ok(results)
    }

    fn wants(&self, group: Group) -> bool {
        self.options.only.is_empty() || self.options.only.contains(&group)
    }

    /// `long`, or with `--quick` as much as shows that it works.
    fn duration(&self, long: Duration) -> Duration {
        if self.options.quick { long / 4 } else { long }
    }

    /// `many`, or with `--quick` two.
    fn repetitions(&self, many: u32) -> u32 {
        if self.options.quick { 2 } else { many }
    }
}

/// A loopback address whose port nobody listens on.
fn free_address() -> Outcome<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::new(format!("no free port: {error}")))
}

/// Lets this process and those it starts open enough sockets; where that fails, the WebSocket row says what is missing.
fn raise_open_files() {
    let _ = Command::new("prlimit")
        .arg(format!("--pid={}", std::process::id()))
        .arg(format!("--nofile={OPEN_FILES}:"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
