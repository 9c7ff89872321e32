//! `arch`: holds the manifests to the architecture.
//!
//! Dialects know the web kernel, which knows the application, which knows the domain; infrastructure knows the
//! application and the domain; only the server knows everything. Never sideways, never back.

use crate::failure::{Failure, Outcome};
use crate::manifest::{self, Dependency, Kind, Setting};
use crate::report;
use crate::tree::{self, Source};

#[cfg(test)]
mod tests;

/// What the packages of one name pattern may depend on. A pattern is a name, or the start of a name and `*`.
struct Rule {
    packages: &'static str,
    /// Packages of this workspace it may import.
    edges: &'static [&'static str],
    /// Outside packages it must not ship with, whoever asks for them.
    banned: &'static [&'static str],
}

/// The packages of this workspace; any other dependency comes from outside.
const OWN: [&str; 2] = ["majordomo-*", "xtask"];

/// What every package may use in its tests.
const TESTKIT: &str = "majordomo-testkit";

/// What the dialects may use in their tests besides.
const PRESENTATION_TESTKIT: &str = "majordomo-presentation-testkit";

/// The first rule that fits a package counts.
const RULES: &[Rule] = &[
    Rule {
        packages: "majordomo-domain",
        edges: &[],
        banned: &[
            "serde*",
            "tokio*",
            "futures*",
            "actix*",
            "paperclip",
            "diesel*",
            "reqwest",
            "hyper*",
            "tracing*",
        ],
    },
    Rule {
        packages: "majordomo-application",
        edges: &["majordomo-domain"],
        banned: &[
            "serde",
            "actix*",
            "paperclip",
            "diesel*",
            "libsqlite3-sys",
            "reqwest",
            "hyper*",
        ],
    },
    Rule {
        packages: TESTKIT,
        edges: &["majordomo-application", "majordomo-domain"],
        banned: &["actix*", "paperclip", "diesel*"],
    },
    Rule {
        packages: "majordomo-settings",
        edges: &[],
        banned: &[
            "tokio*",
            "actix*",
            "paperclip",
            "diesel*",
            "reqwest",
            "hyper*",
        ],
    },
    Rule {
        packages: "majordomo-infrastructure-sqlite",
        edges: &["majordomo-application", "majordomo-domain"],
        banned: &["actix*", "paperclip", "reqwest", "hyper*"],
    },
    Rule {
        packages: "majordomo-infrastructure-postgres",
        edges: &["majordomo-application", "majordomo-domain"],
        banned: &["actix*", "paperclip", "reqwest", "hyper*"],
    },
    Rule {
        packages: "majordomo-infrastructure-*",
        edges: &["majordomo-application", "majordomo-domain"],
        banned: &["actix*", "paperclip", "diesel*", "libsqlite3-sys"],
    },
    Rule {
        packages: PRESENTATION_TESTKIT,
        edges: &[
            "majordomo-presentation-http",
            "majordomo-application",
            "majordomo-domain",
            TESTKIT,
        ],
        banned: &["diesel*", "libsqlite3-sys", "reqwest", "hyper*"],
    },
    Rule {
        packages: "majordomo-presentation-http",
        edges: &["majordomo-application", "majordomo-domain"],
        banned: &["diesel*", "libsqlite3-sys", "reqwest", "hyper*"],
    },
    Rule {
        packages: "majordomo-presentation-*",
        edges: &[
            "majordomo-presentation-http",
            "majordomo-application",
            "majordomo-domain",
        ],
        banned: &["diesel*", "libsqlite3-sys", "reqwest", "hyper*"],
    },
    Rule {
        packages: "majordomo-server",
        edges: &[
            "majordomo-presentation-*",
            "majordomo-infrastructure-*",
            "majordomo-application",
            "majordomo-domain",
            "majordomo-settings",
        ],
        banned: &["diesel*", "libsqlite3-sys"],
    },
    Rule {
        packages: "majordomo-tests",
        edges: &[
            "majordomo-application",
            "majordomo-infrastructure-*",
            TESTKIT,
        ],
        banned: &[],
    },
    Rule {
        packages: "xtask",
        edges: &[],
        banned: &["*"],
    },
];

/// Whether packages of the pattern `packages` may use `name` in their tests.
fn is_testkit_of(packages: &str, name: &str) -> bool {
    name == TESTKIT || (name == PRESENTATION_TESTKIT && packages == "majordomo-presentation-*")
}

/// The packages that compile the repositories they share, and the folder that holds those.
const SHARING_FOLDERS: [&str; 2] = [
    "crates/infrastructure-sqlite/",
    "crates/infrastructure-postgres/",
];
const SHARED_SOURCES: &str = "infrastructure-diesel/src/";

/// Checks every member of the workspace.
pub(crate) fn run() -> Outcome {
    let manifests: Vec<Source> = ["crates", "apps", "tests", "xtask"]
        .into_iter()
        .map(|folder| tree::sources_below(folder, "Cargo.toml"))
        .collect::<Outcome<Vec<_>>>()?
        .concat();
    let mut problems: Vec<String> = manifests.iter().flat_map(manifest_problems).collect();
    problems.extend(
        tree::rust_sources()?
            .iter()
            .flat_map(path_attribute_problems),
    );
    Failure::from_problems(problems)?;
    report::line(format_args!(
        "arch: {} manifests keep to the architecture",
        manifests.len()
    ));
    Ok(())
}

fn manifest_problems(manifest: &Source) -> Vec<String> {
    let settings = manifest::settings(&manifest.text);
    let Some(name) = manifest::value(&settings, "package", "name") else {
        return vec![format!("{}: has no package name", manifest.path)];
    };
    let name = name.trim_matches('"');
    let mut problems = form_problems(&manifest.path, name, &settings);
    let Some(rule) = RULES.iter().find(|rule| fits(rule.packages, name)) else {
        problems.push(format!(
            "{name} is not in the table of allowed edges: add it to RULES in xtask/src/arch.rs"
        ));
        return problems;
    };
    for dependency in manifest::dependencies(&settings) {
        problems.extend(dependency_problem(name, rule, &dependency));
    }
    problems
}

/// What every manifest has to look like, whatever it depends on.
fn form_problems(path: &str, name: &str, settings: &[Setting]) -> Vec<String> {
    let mut problems = Vec::new();
    if manifest::value(settings, "lints", "workspace") != Some("true") {
        problems.push(format!("{path}: needs `[lints] workspace = true`"));
    }
    for key in ["version", "edition", "rust-version", "license"] {
        if manifest::value(settings, "package", &format!("{key}.workspace")) != Some("true") {
            problems.push(format!("{path}: needs `{key}.workspace = true`"));
        }
    }
    let folder = path
        .strip_prefix("crates/")
        .and_then(|rest| rest.strip_suffix("/Cargo.toml"));
    if let Some(folder) = folder.filter(|folder| name != format!("majordomo-{folder}")) {
        problems.push(format!(
            "{path}: the package in crates/{folder} is to be named majordomo-{folder}"
        ));
    }
    problems
}

fn dependency_problem(package: &str, rule: &Rule, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if !dependency.inherited {
        return Some(format!(
            "{package}: write `{name}.workspace = true`; versions stand in the root Cargo.toml only"
        ));
    }
    let in_tests = dependency.kind == Kind::Development;
    if fits_any(&OWN, name) {
        let allowed =
            fits_any(rule.edges, name) || (in_tests && is_testkit_of(rule.packages, name));
        return (!allowed).then(|| format!("{package} must not depend on {name}"));
    }
    (!in_tests && fits_any(rule.banned, name)).then(|| format!("{package} must not use {name}"))
}

/// `#[path]` hides where a module lives, so it stays with the two crates that compile the same repositories.
fn path_attribute_problems(source: &Source) -> Vec<String> {
    let sharing = SHARING_FOLDERS
        .iter()
        .any(|folder| source.path.starts_with(folder));
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("#[path"))
        .filter(|(_, line)| !(sharing && line.contains(SHARED_SOURCES)))
        .map(|(index, _)| {
            format!(
                "{}:{}: #[path] is only for the repositories that SQLite and PostgreSQL share",
                source.path,
                index + 1
            )
        })
        .collect()
}

fn fits_any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, name))
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}
