//! The programs of a run: built here, so that their numbers belong to this checkout and this compiler.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::options::Options;
use crate::failure::{Failure, Outcome};
use crate::{process, report, tree};

/// Longest time for one build.
const BUILD_LIMIT: Duration = Duration::from_hours(1);
/// Where the tools are built, from the root.
const TOOLS_TARGET: &str = "target/bench-tools";

/// Where the programs are.
pub(crate) struct Programs {
    /// The server under test.
    pub(crate) server: PathBuf,
    /// The load generator.
    pub(crate) load: PathBuf,
    /// The model server.
    pub(crate) mock: PathBuf,
}

impl Programs {
    /// Builds what is not there yet.
    pub(crate) fn build(options: &Options) -> Outcome<Self> {
        let load = tool(&options.tools, "loadgen")?;
        let mock = tool(&options.tools, "mockllm")?;
        let server = match &options.server {
            Some(server) if server.is_file() => server.clone(),
            Some(server) => {
                let problem = format!("{} is no file", server.display());
                return Err(Failure::new(problem));
            }
            None => {
                cargo(
                    &["build", "--release", "--package", "majordomo-server"],
                    &[],
                )?;
                tree::root().join("target/release/majordomo")
            }
        };
        Ok(Self { server, load, mock })
    }
}

/// The program that fills a database with messages.
pub(crate) fn fill() -> Outcome<PathBuf> {
    let package = "majordomo-infrastructure-sqlite";
    cargo(
        &[
            "build",
            "--release",
            "--package",
            package,
            "--example",
            "fill",
        ],
        &[],
    )?;
    Ok(tree::root().join("target/release/examples/fill"))
}

/// Memories of a quick measurement of very many.
const QUICK_MEMORIES: &str = "2000";
const QUICK_QUESTIONS: &str = "20";

/// Builds the server and the programs that measure its memory, and runs them; `files` are conversations and settings, if
/// any. `quick` shows that it works, without a release build.
pub(crate) fn memory(files: &[PathBuf], quick: bool) -> Outcome {
    let (profile, folder): (&[&str], _) = if quick {
        (&[], "target/debug")
    } else {
        (&["--release"], "target/release")
    };
    for what in [
        ["--package", "majordomo-server", "--bins"].as_slice(),
        &["--package", "majordomo-tests", "--example", "memory_bench"],
        &[
            "--package",
            "majordomo-application",
            "--example",
            "memory_search",
        ],
    ] {
        let arguments = [&["build"], profile, what].concat();
        cargo(&arguments, &[])?;
    }
    let built = tree::root().join(folder);
    let mut bench = Command::new(built.join("examples/memory_bench"));
    bench.args(quick.then_some("--quick"));
    bench.arg(built.join("majordomo")).args(files);
    process::run(&mut bench, BUILD_LIMIT)?;
    let mut many = Command::new(built.join("examples/memory_search"));
    if quick {
        many.args([QUICK_MEMORIES, QUICK_QUESTIONS]);
    }
    process::run(&mut many, BUILD_LIMIT)
}

/// Builds one of the tools. Cargo writes a lock file beside the manifest, and the tools' folder is not ours, so it
/// builds what is laid out below `target`.
fn tool(tools: &Path, name: &str) -> Outcome<PathBuf> {
    let source = tools.join(name);
    if !source.join("Cargo.toml").is_file() {
        return Err(Failure::new(format!(
            "{} is not there: name the folder of loadgen and mockllm with --tools or MAJORDOMO_BENCH_TOOLS",
            source.display()
        )));
    }
    let target = tree::root().join(TOOLS_TARGET);
    let layout = target.join("src").join(name);
    for file in ["Cargo.toml", "src/main.rs"] {
        place(&source.join(file), &layout.join(file))
            .map_err(|error| Failure::new(format!("{name}/{file} cannot be read: {error}")))?;
    }
    let manifest = layout.join("Cargo.toml").into_os_string();
    cargo(
        &["build", "--release"],
        &[
            OsString::from("--manifest-path"),
            manifest,
            "--target-dir".into(),
            target.clone().into(),
        ],
    )?;
    Ok(target.join("release").join(name))
}

/// Brings `to` up to date with `from`; an unchanged file is left alone, because its time makes cargo build again.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    let wanted = fs::read(from)?;
    if fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, wanted)
}

fn cargo(arguments: &[&str], more: &[OsString]) -> Outcome {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).args(more).current_dir(tree::root());
    report::note(format_args!("==> cargo {}", arguments.join(" ")));
    process::run(command.arg("--quiet"), BUILD_LIMIT)
}
