//! `endpoints`: the list of all routes and their handlers, `docs/api/endpoints.md`, made from the doc comments.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::failure::{Failure, Outcome};
use crate::openapi::{self, Operation};
use crate::report;
use crate::routes::{self, Route};
use crate::tree;

const FILE: &str = "docs/api/endpoints.md";

const HEADER: &str = "\
# Endpoints

Made by `cargo xtask endpoints` from the handlers' doc comments; `cargo xtask where GET /some/path` finds one of them.

| Method | Path | Handler |
|---|---|---|
";

/// Writes the list.
pub(crate) fn write() -> Outcome {
    let routes = routes::all()?;
    tree::write(FILE, &render(&routes))?;
    report::line(format_args!("{FILE}: {} endpoints", routes.len()));
    Ok(())
}

/// Compares the list with the file, and the routes with the published OpenAPI documents.
pub(crate) fn check() -> Outcome {
    let routes = routes::all()?;
    let mut problems = doubled(&routes);
    if tree::read(FILE).unwrap_or_default() != render(&routes) {
        problems.push(format!(
            "{FILE}: is out of date, run `cargo xtask endpoints`"
        ));
    }
    for document in tree::sources_below("docs/api", ".openapi.json")? {
        let operations = openapi::operations(&document.text);
        if operations.is_empty() {
            problems.push(format!(
                "{}: no operation found; it has to be indented by two spaces",
                document.path
            ));
        }
        problems.extend(undocumented(&document.path, &operations, &routes));
    }
    Failure::from_problems(problems)?;
    report::line(format_args!("endpoints: {} are listed", routes.len()));
    Ok(())
}

fn render(routes: &[Route]) -> String {
    let mut text = HEADER.to_owned();
    for route in routes {
        writeln!(
            text,
            "| {} | `{}` | [{}](../../{}) `{}` |",
            route.method, route.path, route.file, route.file, route.function
        )
        .ok();
    }
    text
}

/// A request has one handler in each dialect, which is a crate.
fn doubled(routes: &[Route]) -> Vec<String> {
    routes
        .array_windows()
        .filter(|[left, right]| (&left.path, &left.method) == (&right.path, &right.method))
        .filter(|[left, right]| dialect(&left.file) == dialect(&right.file))
        .map(|[left, right]| {
            format!(
                "{} {} is named by two handlers: {}:{} and {}:{}",
                left.method, left.path, left.file, left.line, right.file, right.line
            )
        })
        .collect()
}

/// The folder of the crate that the file belongs to.
fn dialect(file: &str) -> &str {
    file.split_once("/src/").map_or(file, |(folder, _)| folder)
}

/// Operations of an OpenAPI document that no handler's doc comment names. The names of parameters do not matter.
fn undocumented(document: &str, operations: &[Operation], routes: &[Route]) -> Vec<String> {
    let named: BTreeSet<(&str, String)> = routes
        .iter()
        .map(|route| (route.method.as_str(), without_names(&route.path)))
        .collect();
    operations
        .iter()
        .filter(|operation| {
            !named.contains(&(operation.method.as_str(), without_names(&operation.path)))
        })
        .map(|operation| {
            format!(
                "{document}: no handler's doc comment begins with `{} {}`",
                operation.method, operation.path
            )
        })
        .collect()
}

/// `/sessions/{id}` as `/sessions/{}`.
fn without_names(path: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for character in path.chars() {
        if character == '}' {
            inside = false;
        }
        if !inside {
            plain.push(character);
        }
        if character == '{' {
            inside = true;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Operation, Route, doubled, render, undocumented};

    fn route(method: &str, path: &str, line: usize) -> Route {
        Route {
            path: path.to_owned(),
            method: method.to_owned(),
            file: "a.rs".to_owned(),
            line,
            function: "get_session".to_owned(),
        }
    }

    #[test]
    fn the_list_has_one_row_per_route() {
        let text = render(&[route("GET", "/sessions/{id}", 1)]);
        assert!(text.ends_with("| GET | `/sessions/{id}` | [a.rs](../../a.rs) `get_session` |\n"));
    }

    #[test]
    fn one_request_has_one_handler() {
        let routes = [
            route("GET", "/a", 1),
            route("POST", "/a", 2),
            route("POST", "/a", 3),
        ];
        assert_eq!(
            doubled(&routes),
            ["POST /a is named by two handlers: a.rs:2 and a.rs:3"]
        );
    }

    #[test]
    fn two_dialects_may_answer_the_same_request() {
        let routes = [
            Route {
                file: "crates/presentation-a/src/x.rs".to_owned(),
                ..route("POST", "/a", 1)
            },
            Route {
                file: "crates/presentation-b/src/x.rs".to_owned(),
                ..route("POST", "/a", 1)
            },
        ];
        assert!(doubled(&routes).is_empty());
    }

    #[test]
    fn every_published_operation_has_a_handler() {
        let operation = |method: &str, path: &str| Operation {
            method: method.to_owned(),
            path: path.to_owned(),
        };
        let operations = [
            operation("GET", "/sessions/{session_id}"),
            operation("POST", "/sessions"),
        ];
        assert_eq!(
            undocumented(
                "d.json",
                &operations,
                &[route("GET", "/sessions/{id:[a-z]+}", 1)]
            ),
            ["d.json: no handler's doc comment begins with `POST /sessions`"]
        );
    }
}
