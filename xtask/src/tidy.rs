//! `tidy`: what a formatter and a linter do not see: long files, modules without a header, leftovers.

use crate::failure::{Failure, Outcome};
use crate::report;
use crate::tree::{self, Source};

/// The most lines a Rust file may have; above 400 it already deserves a second look.
const MAX_LINES: usize = 600;

/// Files that may be longer, each with a ceiling that may only be lowered.
const ALLOWED: &str = "xtask/tidy-allow.txt";

/// Marks of unfinished work, in halves so that this file does not hold them.
const LEFTOVERS: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ign", "ore"),
];

/// A file that may exceed [`MAX_LINES`].
#[derive(Debug, PartialEq, Eq)]
struct Exemption {
    path: String,
    ceiling: usize,
}

/// Checks every Rust file of the project.
pub(crate) fn run() -> Outcome {
    let exemptions = exemptions(&tree::read(ALLOWED)?)?;
    let sources = tree::rust_sources()?;
    let mut problems: Vec<String> = sources
        .iter()
        .flat_map(|source| source_problems(source, &exemptions))
        .collect();
    problems.extend(stale_exemptions(&exemptions, &sources));
    Failure::from_problems(problems)?;
    report::line(format_args!("tidy: {} files are tidy", sources.len()));
    Ok(())
}

/// One `path lines` a line; empty lines and lines that begin with `#` do not count.
fn exemptions(text: &str) -> Outcome<Vec<Exemption>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (path, ceiling) = line.split_once(' ').unwrap_or((line, ""));
            let ceiling = ceiling
                .trim()
                .parse()
                .map_err(|_| Failure::new(format!("{ALLOWED}: `{line}` is not `path lines`")))?;
            Ok(Exemption {
                path: path.to_owned(),
                ceiling,
            })
        })
        .collect()
}

fn source_problems(source: &Source, exemptions: &[Exemption]) -> Vec<String> {
    let path = &source.path;
    let mut problems = Vec::new();
    let lines = source.text.lines().count();
    let ceiling = exemptions
        .iter()
        .find(|exemption| exemption.path == *path)
        .map_or(MAX_LINES, |exemption| exemption.ceiling);
    if lines > ceiling {
        problems.push(format!(
            "{path}: {lines} lines, at most {ceiling}: split it by subject"
        ));
    }
    if !source.text.trim_start().starts_with("//!") {
        problems.push(format!("{path}: begin with `//!` and the module's role"));
    }
    if path.ends_with("/mod.rs") {
        problems.push(format!("{path}: name a module `foo.rs` beside `foo/`"));
    }
    for (index, line) in source.text.lines().enumerate() {
        for mark in LEFTOVERS.iter().filter(|mark| line.contains(**mark)) {
            problems.push(format!("{path}:{}: unfinished: `{mark}`", index + 1));
        }
    }
    problems
}

/// An exemption that is not needed has to go, so that the list can only shrink.
fn stale_exemptions(exemptions: &[Exemption], sources: &[Source]) -> Vec<String> {
    let needed = |exemption: &Exemption| {
        sources
            .iter()
            .any(|source| source.path == exemption.path && source.text.lines().count() > MAX_LINES)
    };
    exemptions
        .iter()
        .filter(|exemption| !needed(exemption))
        .map(|exemption| format!("{ALLOWED}: {} needs no exemption", exemption.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LEFTOVERS, MAX_LINES, Source, exemptions, source_problems, stale_exemptions};

    fn source(path: &str, lines: usize) -> Source {
        Source {
            path: path.to_owned(),
            text: "//! Role.\n".repeat(lines),
        }
    }

    #[test]
    fn a_file_within_bounds_is_tidy() {
        assert!(source_problems(&source("crates/a/src/lib.rs", MAX_LINES), &[]).is_empty());
    }

    #[test]
    fn a_long_file_needs_an_exemption_that_covers_it() {
        let long = source("crates/a/src/schema.rs", MAX_LINES + 10);
        assert_eq!(source_problems(&long, &[]).len(), 1);
        let enough = exemptions("# why\n\ncrates/a/src/schema.rs 610\n").expect("valid");
        assert!(source_problems(&long, &enough).is_empty());
        assert!(stale_exemptions(&enough, std::slice::from_ref(&long)).is_empty());
        let too_low = exemptions("crates/a/src/schema.rs 605").expect("valid");
        assert_eq!(source_problems(&long, &too_low).len(), 1);
    }

    #[test]
    fn exemptions_are_read_strictly_and_may_not_outlive_their_file() {
        assert!(exemptions("crates/a/src/schema.rs").is_err());
        let gone = exemptions("crates/gone.rs 700").expect("valid");
        assert_eq!(
            stale_exemptions(&gone, &[]),
            ["xtask/tidy-allow.txt: crates/gone.rs needs no exemption"]
        );
    }

    #[test]
    fn headers_names_and_leftovers_are_checked() {
        for mark in LEFTOVERS {
            let unfinished = Source {
                path: "crates/a/src/mod.rs".to_owned(),
                text: format!("fn main() {{\n    {mark}\n}}\n"),
            };
            let problems = source_problems(&unfinished, &[]);
            assert_eq!(problems.len(), 3, "{problems:?}");
            assert!(problems[2].starts_with("crates/a/src/mod.rs:2: unfinished"));
        }
    }
}
