//! The rows about requests that reach a model: rate, share of the model server's own rate, latency.

use super::load::{Load, Request};
use super::options::Group;
use super::rounds::{self, Comparison, Rounds};
use super::server::{Installation, Server};
use super::table::{Bar, Row, Unit};
use super::{Bench, Results};
use crate::failure::Outcome;

/// Connections of the rows about rates.
pub(super) const CONNECTIONS: u32 = 8;

/// The requests that are compared.
struct Requests {
    direct: Request,
    direct_sse: Request,
    pass_through: Request,
    pass_through_sse: Request,
    chat: Request,
    chat_stream: Request,
}

impl Requests {
    fn new(bench: &Bench, server: &Server) -> Self {
        let direct = format!("http://{}/v1/chat/completions", bench.mock);
        let pass_through = format!("http://{}/v1/chat/completions", server.address);
        let chat = format!("http://{}/v1/chat", server.address);
        let completion = |url: &str, model: &str, stream: bool| Request {
            url: url.to_owned(),
            body: format!(
                r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello %N%"}}]}}"#
            ),
            marker: marker(stream),
            key: None,
        };
        let message = |url: String, stream: bool| Request {
            url,
            body: r#"{"message":"Hello %N%"}"#.to_owned(),
            marker: marker(stream),
            key: None,
        };
        Self {
            direct: completion(&direct, "mock-model", false),
            direct_sse: completion(&direct, "mock-model", true),
            pass_through: completion(&pass_through, "mock/mock-model", false),
            pass_through_sse: completion(&pass_through, "mock/mock-model", true),
            chat_stream: message(format!("{chat}/stream"), true),
            chat: message(chat, false),
        }
    }
}

/// The mock model says `tok0` to `tok15`: a stream is timed by the first, a whole answer has to hold the last.
pub(super) const fn marker(stream: bool) -> &'static str {
    if stream { "tok0" } else { "tok15" }
}

/// Measures the wanted groups on a fresh data folder, which is left filled.
pub(crate) fn measure(
    bench: &Bench,
    installation: &Installation<'_>,
    results: &mut Results,
) -> Outcome {
    let server = installation.start()?;
    let requests = Requests::new(bench, &server);
    let measurement = Measurement {
        bench,
        server: &server,
        requests: &requests,
    };
    if bench.wants(Group::PassThrough) {
        results.add(Group::PassThrough, measurement.pass_through());
    }
    if bench.wants(Group::Chat) {
        results.add(Group::Chat, measurement.chat());
    }
    if bench.wants(Group::Latency) {
        results.add(Group::Latency, measurement.latency());
    }
    if bench.wants(Group::Keys) {
        let key = installation.create_key();
        results.add(Group::Keys, key.and_then(|key| measurement.keys(&key)));
    }
    server.process.stop()
}

struct Measurement<'a> {
    bench: &'a Bench,
    server: &'a Server,
    requests: &'a Requests,
}

impl Measurement<'_> {
    fn run(&self, what: &Comparison<'_>) -> Outcome<Rounds> {
        rounds::run(self.bench, &self.server.process, what)
    }

    fn pass_through(&self) -> Outcome<Vec<Row>> {
        let json = Comparison {
            name: "/v1/chat/completions, JSON",
            reference: &self.requests.direct,
            measured: &self.requests.pass_through,
            connections: CONNECTIONS,
        };
        let sse = Comparison {
            name: "/v1/chat/completions, SSE of 16 tokens",
            reference: &self.requests.direct_sse,
            measured: &self.requests.pass_through_sse,
            ..json
        };
        Ok(vec![
            share(Group::PassThrough, &json, &self.run(&json)?, 35.0),
            share(Group::PassThrough, &sse, &self.run(&sse)?, 50.0),
        ])
    }

    fn chat(&self) -> Outcome<Vec<Row>> {
        let json = Comparison {
            name: "/v1/chat, stored, new conversation each",
            reference: &self.requests.direct,
            measured: &self.requests.chat,
            connections: CONNECTIONS,
        };
        let stream = Comparison {
            name: "/v1/chat/stream, stored, new conversation each",
            reference: &self.requests.direct_sse,
            measured: &self.requests.chat_stream,
            ..json
        };
        let json_rounds = self.run(&json)?;
        let stream_rounds = self.run(&stream)?;
        Ok(vec![
            share(Group::Chat, &json, &json_rounds, 10.0),
            slowest("/v1/chat, p99", &json_rounds, 10.0),
            share(Group::Chat, &stream, &stream_rounds, 20.0),
            // A stream that meets Nagle's algorithm and a delayed acknowledgement stalls for 40 ms.
            slowest("/v1/chat/stream, p99", &stream_rounds, 40.0),
        ])
    }

    fn latency(&self) -> Outcome<Vec<Row>> {
        let pass_through = Comparison {
            name: "added latency, pass-through, p50",
            reference: &self.requests.direct,
            measured: &self.requests.pass_through,
            connections: 1,
        };
        let chat = Comparison {
            name: "added latency, /v1/chat, p50",
            measured: &self.requests.chat,
            ..pass_through
        };
        let first = Comparison {
            name: "added latency, /v1/chat/stream, first token, p50",
            reference: &self.requests.direct_sse,
            measured: &self.requests.chat_stream,
            connections: 1,
        };
        let whole = |load: &Load| load.total.p50;
        let token = |load: &Load| load.first.p50;
        Ok(vec![
            added(&pass_through, &self.run(&pass_through)?, 0.15, whole),
            added(&chat, &self.run(&chat)?, 1.0, whole),
            added(&first, &self.run(&first)?, 1.0, token),
        ])
    }

    fn keys(&self, key: &str) -> Outcome<Vec<Row>> {
        let with_key = |request: &Request| Request {
            key: Some(key.to_owned()),
            ..request.clone()
        };
        let pass_through = Comparison {
            name: "API key, pass-through, against none",
            reference: &self.requests.pass_through,
            measured: &with_key(&self.requests.pass_through),
            connections: CONNECTIONS,
        };
        let chat = Comparison {
            name: "API key, /v1/chat, against none",
            reference: &self.requests.chat,
            measured: &with_key(&self.requests.chat),
            connections: CONNECTIONS,
        };
        Ok(vec![
            share(Group::Keys, &pass_through, &self.run(&pass_through)?, 95.0),
            share(Group::Keys, &chat, &self.run(&chat)?, 95.0),
        ])
    }
}

/// The measured rate in percent of the reference's.
pub(super) fn share(group: Group, what: &Comparison<'_>, rounds: &Rounds, bar: f64) -> Row {
    let detail = format!(
        "{:.0} of {:.0} requests/s; p50 {:.2} ms, p99 {:.2} ms; {:.0} µs of CPU each",
        rounds.median(|round| round.measured.rate),
        rounds.median(|round| round.reference.rate),
        rounds.median(|round| round.measured.total.p50),
        rounds.median(|round| round.measured.total.p99),
        rounds.median(|round| round.processor_micros),
    );
    Row {
        group,
        name: what.name.to_owned(),
        bar: Bar::AtLeast(bar),
        unit: Unit::Percent,
        value: rounds.median(|round| 100.0 * round.measured.rate / round.reference.rate),
        detail,
    }
}

/// The 99th percentile of the whole answer.
fn slowest(name: &str, rounds: &Rounds, bar: f64) -> Row {
    Row {
        group: Group::Chat,
        name: name.to_owned(),
        bar: Bar::Below(bar),
        unit: Unit::Milliseconds,
        value: rounds.median(|round| round.measured.total.p99),
        detail: format!(
            "first token p99 {:.2} ms; direct p99 {:.2} ms",
            rounds.median(|round| round.measured.first.p99),
            rounds.median(|round| round.reference.total.p99),
        ),
    }
}

/// How much later than the reference.
fn added(what: &Comparison<'_>, rounds: &Rounds, bar: f64, time: impl Fn(&Load) -> f64) -> Row {
    Row {
        group: Group::Latency,
        name: what.name.to_owned(),
        bar: Bar::AtMost(bar),
        unit: Unit::Milliseconds,
        value: rounds.median(|round| time(&round.measured) - time(&round.reference)),
        detail: format!(
            "{:.3} ms, direct {:.3} ms; {:.0} µs of CPU each; 1 connection",
            rounds.median(|round| time(&round.measured)),
            rounds.median(|round| time(&round.reference)),
            rounds.median(|round| round.processor_micros),
        ),
    }
}
