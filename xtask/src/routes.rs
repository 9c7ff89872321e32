//! The routes of the server, as the handlers' doc comments name them.
//!
//! A handler's doc comment begins with the request it answers, `/// GET /api/v1/sessions/{id}: One session.`; a
//! handler of several routes names them one a line, or with commas: `/// GET /ws, /api/v1/ws: ...`.

use crate::failure::Outcome;
use crate::tree::{self, Source};

#[cfg(test)]
mod tests;

/// The HTTP methods that a doc comment may begin with.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Where handlers live.
const HANDLER_FOLDERS: [&str; 2] = ["crates/presentation-", "apps/server/src/"];

/// A request and the function that answers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    /// The path template: `/api/v1/sessions/{id}`.
    pub(crate) path: String,
    /// In capitals.
    pub(crate) method: String,
    /// The handler's file, from the workspace's root.
    pub(crate) file: String,
    /// The line of the handler's `fn`, counted from 1.
    pub(crate) line: usize,
    /// The handler's name.
    pub(crate) function: String,
}

/// Every route that a handler's doc comment names, in order of path and method.
pub(crate) fn all() -> Outcome<Vec<Route>> {
    let mut routes: Vec<Route> = tree::rust_sources()?
        .iter()
        .filter(|source| holds_handlers(&source.path))
        .flat_map(documented)
        .collect();
    routes.sort();
    Ok(routes)
}

fn holds_handlers(path: &str) -> bool {
    let in_folder = HANDLER_FOLDERS
        .iter()
        .any(|folder| path.starts_with(folder));
    let for_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    in_folder && !for_tests
}

/// The routes that the doc comments of one file name.
fn documented(source: &Source) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut requests: Vec<(&str, &str)> = Vec::new();
    let mut in_comment = false;
    let mut in_head = false;
    let mut attribute_depth = 0;
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            if !in_comment {
                in_comment = true;
                in_head = true;
                requests.clear();
            }
            // Only the lines the comment begins with: a request further down is prose.
            let found = requests_in(text);
            in_head &= !found.is_empty();
            if in_head {
                requests.extend(found);
            }
        } else if attribute_depth > 0 || line.starts_with("#[") {
            attribute_depth += bracket_balance(line);
        } else if !line.is_empty() && !line.starts_with("//") {
            if let Some(function) = function_name(line) {
                routes.extend(requests.iter().map(|&(method, path)| Route {
                    path: path.to_owned(),
                    method: method.to_owned(),
                    file: source.path.clone(),
                    line: index + 1,
                    function: function.to_owned(),
                }));
            }
            requests.clear();
            in_comment = false;
        }
    }
    routes
}

/// `GET /a, /b: text` names two requests; prose names none.
fn requests_in(text: &str) -> Vec<(&str, &str)> {
    let mut words = text.split_whitespace().map(|word| word.trim_matches('`'));
    let Some(method) = words.next().filter(|word| METHODS.contains(word)) else {
        return Vec::new();
    };
    let mut requests = Vec::new();
    for word in words {
        let path = word.trim_end_matches([',', ':', '.', '`']);
        if path.starts_with('/') {
            requests.push((method, path));
        }
        if word.ends_with(':') || !(path.starts_with('/') || word == "and") {
            break;
        }
    }
    requests
}

/// More than zero while an attribute goes on in the next line.
fn bracket_balance(line: &str) -> isize {
    line.chars()
        .map(|character| match character {
            '[' => 1,
            ']' => -1,
            _ => 0,
        })
        .sum()
}

/// The name in a line such as `pub(crate) async fn list_sessions(`.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let qualifiers_only = before.split_whitespace().all(|word| {
        matches!(word, "pub" | "async" | "const")
            || (word.starts_with("pub(") && word.ends_with(')'))
    });
    let name = after.split(['(', '<']).next()?.trim();
    (qualifiers_only && !name.is_empty()).then_some(name)
}

/// How well a template fits a path: the number of its literal segments, or `None` when it does not fit.
pub(crate) fn fit(template: &str, path: &str) -> Option<usize> {
    let mut literals = 0;
    let mut segments = segments(path);
    for wanted in self::segments(template) {
        let found = segments.next();
        match wanted.split_once('{') {
            None if found == Some(wanted) => literals += 1,
            None => return None,
            Some((_, rest)) if rest.ends_with("*}") => return Some(literals),
            Some((prefix, rest)) => {
                let suffix = rest.rsplit_once('}').map_or("", |(_, suffix)| suffix);
                let value = found?.strip_prefix(prefix)?.strip_suffix(suffix)?;
                if value.is_empty() {
                    return None;
                }
            }
        }
    }
    segments.next().is_none().then_some(literals)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The path of a URL: without scheme, host, query and fragment.
pub(crate) fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = match after_scheme.find('/') {
        Some(start) => after_scheme.get(start..).unwrap_or(after_scheme),
        None => "/",
    };
    path.split(['?', '#']).next().unwrap_or(path)
}
