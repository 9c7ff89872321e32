//! What a report of the server means.

use reqwest::Url;
use serde::Deserialize;

use crate::cli::doctor::finding::Finding;

/// What the server saw of a request.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Report {
    hops: Vec<Hop>,
    client: Option<String>,
    address_header: String,
    https: bool,
    host: Option<String>,
    public_origin: Option<String>,
    base_path: String,
    base_path_received: bool,
    forwarding_headers: Vec<Header>,
}

#[derive(Debug, Clone, Deserialize)]
struct Hop {
    address: String,
    trusted: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Header {
    name: String,
    value: String,
}

impl Report {
    /// The values of a header, as one list.
    fn header(&self, name: &str) -> String {
        let values = self.forwarding_headers.iter();
        let values: Vec<&str> = values
            .filter(|header| header.name == name)
            .map(|header| header.value.as_str())
            .collect();
        values.join(", ")
    }

    /// Whether any proxy has left a trace: the request is not as it was sent.
    fn is_proxied(&self, claimed: &str) -> bool {
        self.header("x-forwarded-for") != claimed
            || self.header("forwarded") != format!("for={claimed}")
            || self
                .forwarding_headers
                .iter()
                .any(|header| !matches!(header.name.as_str(), "x-forwarded-for" | "forwarded"))
    }
}

/// Explains what the server saw of a request to `url` in which the client claimed the address `claimed`.
pub(super) fn explain(url: &Url, report: &Report, claimed: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report.hops.iter().enumerate().map(hop).collect();
    findings.push(client(report, claimed));
    findings.push(scheme(url, report));
    findings.push(host(url, report));
    findings.push(path(url, report));
    findings
}

fn hop((place, hop): (usize, &Hop)) -> Finding {
    let how = if place == 0 {
        "connected to the server"
    } else {
        "is the one before"
    };
    let role = if hop.trusted {
        "a trusted proxy"
    } else {
        "taken for the client"
    };
    Finding::good("hop", format!("{} {how}: {role}", hop.address))
}

fn client(report: &Report, claimed: &str) -> Finding {
    const SUBJECT: &str = "client";
    let header = &report.address_header;
    let Some(peer) = report.hops.first() else {
        return Finding::bad(
            SUBJECT,
            "the server knows no address of its peer",
            "connect the proxy over TCP",
        );
    };
    let client = report.client.as_deref().unwrap_or(&peer.address);
    if !peer.trusted {
        if !report.is_proxied(claimed) {
            let says = format!("{client} connects directly, without a proxy that can be seen");
            return Finding::good(SUBJECT, says);
        }
        return Finding::bad(
            SUBJECT,
            format!(
                "{} passes requests on and is not trusted: its clients share one address and one limit",
                peer.address
            ),
            format!(
                "if it is your proxy, add \"{}\" to server.trusted_proxies",
                peer.address
            ),
        );
    }
    if client == claimed {
        return Finding::bad(
            SUBJECT,
            format!("clients choose their own address: a proxy passes on the {header} they send"),
            format!(
                "let the outermost proxy replace {header} (nginx: proxy_set_header X-Forwarded-For $remote_addr), \
                     or set server.forwarded_header to the header it writes"
            ),
        );
    }
    if report.hops.len() == 1 {
        return Finding::bad(
            SUBJECT,
            format!(
                "the proxy {} does not say for whom it speaks: {header} is missing or unreadable",
                peer.address
            ),
            format!("let it set {header}, or set server.forwarded_header to the header it writes"),
        );
    }
    if report.hops.last().is_some_and(|hop| hop.trusted) {
        return Finding::hint(
            SUBJECT,
            format!("{client} counts as the client, and is a trusted proxy"),
            "trust only the addresses of your proxies, not those of your clients; from the proxy's own machine this is as it should be",
        );
    }
    Finding::good(SUBJECT, format!("{client}, as told in {header}"))
}

fn scheme(url: &Url, report: &Report) -> Finding {
    const SUBJECT: &str = "https";
    match (url.scheme() == "https", report.https) {
        (true, true) => Finding::good(SUBJECT, "the server knows that clients use HTTPS"),
        (true, false) => Finding::bad(
            SUBJECT,
            "the server does not know that clients use HTTPS: cookies are not marked Secure",
            format!("set server.public_url = \"{}\"", plain(url)),
        ),
        (false, true) => Finding::bad(
            SUBJECT,
            "the server believes that clients use HTTPS, and they do not: browsers will not send its cookies back",
            "ask with the https address, or correct server.public_url and X-Forwarded-Proto",
        ),
        (false, false) => Finding::hint(
            SUBJECT,
            "plain HTTP: everyone on the way can read tokens and messages",
            "let the proxy speak HTTPS to clients",
        ),
    }
}

fn host(url: &Url, report: &Report) -> Finding {
    const SUBJECT: &str = "host";
    let origin = url.origin().ascii_serialization();
    let asked = origin.split("://").nth(1).unwrap_or_default();
    let seen = report.host.as_deref().unwrap_or("nothing");
    match report.public_origin.as_deref() {
        Some(public) if public.eq_ignore_ascii_case(&origin) => Finding::good(
            SUBJECT,
            format!("{origin} is the public address; {seen} came here"),
        ),
        Some(public) => Finding::hint(
            SUBJECT,
            format!("asked at {origin}, and the public address is {public}"),
            format!(
                "if clients use {origin}, set server.public_url = \"{}\"",
                plain(url)
            ),
        ),
        None if seen.eq_ignore_ascii_case(asked) => {
            Finding::good(SUBJECT, format!("{seen} came here, as asked"))
        }
        None => Finding::bad(
            SUBJECT,
            format!(
                "asked for {asked}, and {seen} came here: the server's own pages may not open WebSockets"
            ),
            format!(
                "set server.public_url = \"{}\", or pass the Host on (nginx: proxy_set_header Host $http_host)",
                plain(url)
            ),
        ),
    }
}

fn path(url: &Url, report: &Report) -> Finding {
    const SUBJECT: &str = "path";
    let asked = url.path().trim_end_matches('/');
    if asked != report.base_path {
        return Finding::bad(
            SUBJECT,
            format!(
                "asked under \"{asked}/\", and the server takes \"{}/\" for its path: cookies and pages point elsewhere",
                report.base_path
            ),
            format!("set server.public_url = \"{}\"", plain(url)),
        );
    }
    if asked.is_empty() {
        return Finding::good(SUBJECT, "shown at the root");
    }
    let who = if report.base_path_received {
        "the server"
    } else {
        "the proxy"
    };
    Finding::good(
        SUBJECT,
        format!("shown under {asked}/, which {who} takes off"),
    )
}

/// The address as the settings want it.
fn plain(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests;
