//! `where <METHOD> <URL>`: the handler that answers a request.

use crate::failure::{Failure, Outcome};
use crate::report;
use crate::routes::{self, Route};

/// Prints the handler's file, line and name.
pub(crate) fn run(method: &str, url: &str) -> Outcome {
    let found = best(&routes::all()?, method, url)?;
    report::line(format_args!(
        "{}:{} {}  ({} {})",
        found.file, found.line, found.function, found.method, found.path
    ));
    Ok(())
}

/// Of the routes that fit, the one with the most literal segments, as the server would choose.
fn best(routes: &[Route], method: &str, url: &str) -> Outcome<Route> {
    let method = method.to_ascii_uppercase();
    let path = routes::path_of(url);
    let fitting: Vec<(usize, &Route)> = routes
        .iter()
        .filter_map(|route| Some((routes::fit(&route.path, path)?, route)))
        .collect();
    let answering = fitting
        .iter()
        .filter(|(_, route)| route.method == method)
        .max_by_key(|(literals, _)| literals);
    if let Some((_, route)) = answering {
        return Ok((*route).clone());
    }
    let methods: Vec<&str> = fitting
        .iter()
        .map(|(_, route)| route.method.as_str())
        .collect();
    Err(Failure::new(if methods.is_empty() {
        format!("no handler's doc comment names a route that fits {path}")
    } else {
        format!("{path} answers {}, not {method}", methods.join(", "))
    }))
}

#[cfg(test)]
mod tests {
    use super::{Route, best};

    fn route(method: &str, path: &str, function: &str) -> Route {
        Route {
            path: path.to_owned(),
            method: method.to_owned(),
            file: "file.rs".to_owned(),
            line: 1,
            function: function.to_owned(),
        }
    }

    #[test]
    fn the_most_literal_route_answers() {
        let routes = [
            route("GET", "/sessions/search", "search"),
            route("GET", "/sessions/{id}", "get"),
            route("DELETE", "/sessions/{id}", "delete"),
        ];
        let answer = |method, url| best(&routes, method, url).map(|found| found.function);
        assert_eq!(
            answer("GET", "/sessions/search?q=x"),
            Ok("search".to_owned())
        );
        assert_eq!(answer("get", "/sessions/7"), Ok("get".to_owned()));
        assert_eq!(answer("DELETE", "/sessions/7"), Ok("delete".to_owned()));
        let refused = answer("PUT", "/sessions/7").expect_err("no such method");
        assert_eq!(
            refused.to_string(),
            "/sessions/7 answers GET, DELETE, not PUT"
        );
        assert!(answer("GET", "/elsewhere").is_err());
    }
}
