//! `/metrics` and `/metrics/prometheus`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use majordomo_application::ports::{ModelError, ModelErrorKind};
use majordomo_testkit::Script;
use majordomo_testkit::load::occupy;
use serde_json::json;

use crate::support::{Site, get};

/// A server that has answered a right and a wrong request, and whose model has failed once.
async fn used() -> Site {
    let site = Site::new().await;
    site.model.push(Script::answer("yes"));
    let error = ModelError::new(ModelErrorKind::Malformed, "nonsense");
    site.model.push(Script::refusal(error));
    for _ in 0..2 {
        site.chat(json!({ "message": "Hi" })).await;
    }
    site.ask(get("/nothing")).await;
    site.clock.advance(Duration::from_secs(7));
    site
}

#[actix_web::test]
async fn counters_move() {
    let site = used().await;
    let mut body = site.ask(get("/metrics")).await.json();
    for (part, time) in [
        ("http", "response_time_avg_ms"),
        ("inference", "time_avg_ms"),
    ] {
        let time = body[part].as_object_mut().unwrap().remove(time).unwrap();
        assert!(time.as_f64().unwrap() >= 0.0);
    }
    let expected = json!({
        "uptime_seconds": 7,
        "http": {
            "requests_total": 3, "requests_success": 1, "requests_client_error": 1,
            "requests_server_error": 1, "active_requests": 1
        },
        "inference": {
            "requests_total": 2, "requests_success": 1, "requests_failed": 1,
            "tokens_total": 15, "healthy": false
        }
    });
    assert_eq!(body, expected);
}

/// The labels of a sample, `name="value",...`, whose values must be quoted and escaped as the format asks.
fn labels(text: &str) -> BTreeMap<&str, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, tail) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        assert!(name.starts_with(|c: char| !c.is_ascii_digit()), "{name}");
        let (mut value, mut characters) = (String::new(), tail.char_indices());
        let end = loop {
            match characters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => match characters.next().unwrap().1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    other => panic!("\\{other} is no escape"),
                },
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(name, value).is_none(), "{name} comes twice");
        rest = tail.get(end + 1..).unwrap();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

/// Fails unless a histogram's buckets grow with their bounds up to the count of all.
fn check_histogram(family: &str, samples: &BTreeMap<&str, f64>) {
    let prefix = format!("{family}_bucket{{");
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(sample, count)| {
            let text = sample.strip_prefix(&prefix)?.strip_suffix('}')?;
            let bound = labels(text).remove("le").unwrap();
            Some((bound.replace('+', "").parse().unwrap(), *count))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    let (last, all) = buckets.last().unwrap();
    assert!(last.is_infinite(), "{family} has a bucket for all");
    assert_eq!(
        samples[format!("{family}_count").as_str()].to_bits(),
        all.to_bits()
    );
    assert!(samples.contains_key(format!("{family}_sum").as_str()));
}

/// The samples of a page, which must keep every rule of the format.
fn parse(page: &str) -> BTreeMap<&str, f64> {
    let mut samples = BTreeMap::new();
    let (mut types, mut helps) = (BTreeMap::new(), BTreeSet::new());
    let mut family = "";
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0;
            assert!(helps.insert(family), "{family} comes twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family, "the type follows its help");
            assert!(["counter", "gauge", "histogram"].contains(&kind));
            assert!(types.insert(name, kind).is_none());
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let belongs = match types[family] {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(family)),
                _ => name == family,
            };
            assert!(belongs, "{name} is not of {family}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            if let Some((_, text)) = sample.split_once('{') {
                labels(text.strip_suffix('}').unwrap());
            }
            assert!(
                samples.insert(sample, value.parse().unwrap()).is_none(),
                "{sample} comes twice"
            );
        }
    }
    for (family, _) in types.iter().filter(|(_, kind)| **kind == "histogram") {
        check_histogram(family, &samples);
    }
    assert_eq!(helps.len(), types.len(), "every family has a type");
    samples
}

#[actix_web::test]
async fn the_page_for_prometheus_keeps_the_format() {
    let site = used().await;
    let answer = site.ask(get("/metrics/prometheus")).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let samples = parse(&answer.body);
    let expected = [
        ("app_uptime_seconds", 7.0),
        ("http_requests_total{status=\"success\"}", 1.0),
        ("http_requests_total{status=\"client_error\"}", 1.0),
        ("http_requests_total{status=\"server_error\"}", 1.0),
        ("http_requests_success_total", 1.0),
        ("http_requests_client_error_total", 1.0),
        ("http_requests_server_error_total", 1.0),
        ("http_requests_active", 1.0),
        ("http_response_time_ms_bucket{le=\"+Inf\"}", 3.0),
        ("http_response_time_ms_count", 3.0),
        ("inference_requests_total", 2.0),
        ("inference_requests_success_total", 1.0),
        ("inference_requests_failed_total", 1.0),
        ("inference_tokens_total", 15.0),
        ("inference_time_ms_bucket{le=\"100\"}", 2.0),
        ("inference_time_ms_bucket{le=\"60000\"}", 2.0),
        ("inference_time_ms_bucket{le=\"+Inf\"}", 2.0),
        ("inference_time_ms_count", 2.0),
        ("inference_healthy", 0.0),
        ("process_cpu_seconds_total", 2.0),
        ("process_resident_memory_bytes", 67_108_865.0),
    ];
    for (sample, value) in expected {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    for which in ["avg", "p50", "p90", "p99"] {
        let sample = format!("http_response_time_{which}_ms");
        assert!(samples[sample.as_str()] > 0.0, "{sample}");
    }
    assert!(samples.contains_key("inference_time_avg_ms"));
}

#[actix_web::test]
async fn the_load_and_what_is_turned_away_are_told() {
    let site = Site::new().await;
    for _ in 0..8 {
        site.model.push(Script::new().hang());
    }
    let accepted = occupy(&site.services.chat).await;
    site.model.asked(8).await;
    let page = site.ask(get("/metrics/prometheus")).await.body;
    let samples = parse(&page);
    assert_eq!(accepted, 16);
    for (sample, value) in [
        ("agent_runs_running", 8.0),
        ("agent_runs_waiting", 8.0),
        ("agent_runs_waiting_in_session", 0.0),
        ("agent_runs_turned_away_total{queue=\"server\"}", 1.0),
        ("agent_runs_turned_away_total{queue=\"user\"}", 0.0),
        ("agent_runs_turned_away_total{queue=\"session\"}", 0.0),
        ("budget_warnings_total", 0.0),
        ("budget_exhaustions_total", 0.0),
        ("budget_refusals_total", 0.0),
        ("usage_calls_lost_total", 0.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
}

/// The format's rules are kept by what reads it here, too.
#[test]
fn a_page_that_breaks_a_rule_is_noticed() {
    let good = "# HELP a x\n# TYPE a gauge\na{l=\"\\\\ \\n \\\"\"} 1\n";
    assert_eq!(parse(good).len(), 1);
    for bad in [
        "# HELP a x\n# TYPE a gauge\na 1",
        "# HELP a x\n# TYPE a gauge\nb 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"\\x\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na{1=\"x\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na one\n",
        "# HELP a x\n# TYPE a counter\n# HELP a y\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(
            std::panic::catch_unwind(|| parse(bad).len()).is_err(),
            "{bad}"
        );
    }
}
