//! The row about search in very many stored messages.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Bench;
use super::http::Connection;
use super::options::Group;
use super::programs;
use super::rounds::{median, percentile};
use super::server::{Installation, Server};
use super::table::{Bar, Row, Unit};
use crate::failure::{Failure, Outcome};
use crate::{process, report, tree};

/// How long filling the database may take.
const FILL_LIMIT: Duration = Duration::from_hours(1);
/// What decides how a filled database looks, from the root; a database made by other text is made anew.
const MAKERS: [&str; 2] = ["crates/infrastructure-sqlite/examples", "migrations/sqlite"];

/// A query and what kind it is.
struct Query {
    kind: String,
    text: String,
}

/// Fills a database, unless that was done before, and sends every query to a server on it, one after the other.
pub(crate) fn measure(bench: &Bench) -> Outcome<Vec<Row>> {
    let messages = bench.options.messages;
    let installation = Installation::existing(bench, &format!("search-{messages}"))?;
    let queries = filled(&installation, messages)?;
    report::note(format_args!("==> {} searches", queries.len()));
    let server = installation.start()?;
    // The first pass fills caches, as the first minutes of use do.
    ask(&server, &queries)?;
    let times = ask(&server, &queries)?;
    server.process.stop()?;
    let all: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    let by_kind: Vec<String> = kinds(&queries)
        .into_iter()
        .map(|kind| {
            let of_kind = times.iter().filter(|(query, _)| query.kind == kind);
            let p99 = percentile(of_kind.map(|(_, time)| *time).collect(), 99);
            format!("{kind} {p99:.1}")
        })
        .collect();
    Ok(vec![Row {
        group: Group::Search,
        name: format!("search in {messages} messages, p99"),
        bar: Bar::AtMost(30.0),
        unit: Unit::Milliseconds,
        value: percentile(all.clone(), 99),
        detail: format!(
            "p50 {:.1} ms; p99 by kind: {}",
            median(all),
            by_kind.join(", ")
        ),
    }])
}

/// Makes sure that the installation's database holds the messages; the queries that were made with them.
fn filled(installation: &Installation<'_>, messages: u32) -> Outcome<Vec<Query>> {
    let database = installation.database();
    let folder = database.parent().unwrap_or(&database).to_path_buf();
    let (queries, mark) = (folder.join("queries.txt"), folder.join("filled"));
    let maker = maker()?;
    if fs::read_to_string(&mark).is_ok_and(|mark| mark == maker) {
        return read_queries(&queries);
    }
    let fill = programs::fill()?;
    report::note(format_args!("==> storing {messages} messages, once"));
    let failed = |error| Failure::new(format!("{}: {error}", folder.display()));
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name != "config.toml") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    let mut command = Command::new(fill);
    command
        .arg(&database)
        .arg(messages.to_string())
        .arg(&queries);
    process::run(&mut command, FILL_LIMIT)?;
    fs::write(&mark, maker).map_err(failed)?;
    read_queries(&queries)
}

/// A fingerprint of what makes the database.
fn maker() -> Outcome<String> {
    let mut hasher = DefaultHasher::new();
    for folder in MAKERS {
        for source in tree::sources_below(folder, "")? {
            source.text.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn read_queries(path: &Path) -> Outcome<Vec<Query>> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let queries: Vec<Query> = text.lines().filter_map(query).collect();
    if queries.is_empty() {
        return Err(Failure::new(format!("{} holds no query", path.display())));
    }
    Ok(queries)
}

/// `kind`, a tab, words of plain letters.
fn query(line: &str) -> Option<Query> {
    let (kind, text) = line.split_once('\t')?;
    Some(Query {
        kind: kind.to_owned(),
        text: text.to_owned(),
    })
}

/// The time of every query, in milliseconds.
fn ask<'a>(server: &Server, queries: &'a [Query]) -> Outcome<Vec<(&'a Query, f64)>> {
    let failed = |error| Failure::new(format!("a search failed: {error}"));
    let mut connection = Connection::open(server.address).map_err(failed)?;
    let mut times = Vec::new();
    let mut found = 0_usize;
    for query in queries {
        let words = query.text.replace(' ', "%20");
        let target = format!("/api/v1/sessions/search?q={words}&limit=20");
        let begun = Instant::now();
        let answer = connection.get(&target).map_err(failed)?;
        times.push((query, begun.elapsed().as_secs_f64() * 1e3));
        if answer.status != 200 {
            return Err(Failure::new(format!("{target} answers {}", answer.status)));
        }
        found += usize::from(String::from_utf8_lossy(&answer.body).contains("\"id\""));
    }
    // Words that are rare may be in no message; when most queries find nothing, it is the search that does not work.
    if found * 2 < queries.len() {
        return Err(Failure::new(format!(
            "only {found} of {} searches find something",
            queries.len()
        )));
    }
    Ok(times)
}

/// Every kind once, in order of appearance.
fn kinds(queries: &[Query]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for query in queries {
        if !kinds.contains(&query.kind.as_str()) {
            kinds.push(&query.kind);
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::{kinds, query};

    #[test]
    fn queries_have_a_kind_and_words() {
        let lines = [
            "one word\tbanana",
            "two words\tbanana split",
            "one word\tcake",
            "broken",
        ];
        let queries: Vec<_> = lines.iter().filter_map(|line| query(line)).collect();
        assert_eq!(queries.len(), 3);
        assert_eq!(queries[1].text, "banana split");
        assert_eq!(kinds(&queries), ["one word", "two words"]);
    }
}
