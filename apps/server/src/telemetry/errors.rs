//! Keeps what this program logs as a warning or an error, with the request and the run it belongs to.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use majordomo_application::ports::{ErrorLog, NewLoggedError, Severity};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Modules whose warnings and errors are kept: those of this program.
const OWN: &str = "majordomo";
/// Spans whose field `id` says what an error belongs to.
const NAMED_SPANS: [&str; 2] = ["request", "run"];

/// The layer that keeps errors in `log`.
pub(super) fn layer<S>(log: Arc<dyn ErrorLog>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = FilterFn::new(is_kept).with_max_level_hint(LevelFilter::INFO);
    KeepErrors { log }.with_filter(filter)
}

fn is_kept(metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() {
        return NAMED_SPANS.contains(&metadata.name());
    }
    *metadata.level() <= Level::WARN && metadata.target().starts_with(OWN)
}

struct KeepErrors {
    log: Arc<dyn ErrorLog>,
}

/// What a named span is about: its `id`.
struct SpanSubject(String);

impl<S> Layer<S> for KeepErrors
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut subject = Subject(String::new());
        attributes.record(&mut subject);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanSubject(subject.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root);
        let mut facts: Vec<(String, String)> = spans
            .filter_map(|span| {
                let subject = span.extensions().get::<SpanSubject>()?.0.clone();
                Some((span.name().to_owned(), subject))
            })
            .collect();
        facts.append(&mut fields.others);
        let metadata = event.metadata();
        self.log.record(NewLoggedError {
            source: metadata.target().to_owned(),
            severity: if *metadata.level() == Level::ERROR {
                Severity::Critical
            } else {
                Severity::Warning
            },
            message: fields.message,
            trace: fields.trace,
            context: facts,
        });
    }
}

/// Reads a span's field `id`.
struct Subject(String);

impl Visit for Subject {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "id" {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Reads an event's fields.
#[derive(Default)]
struct Fields {
    message: String,
    /// The causes of the errors among the fields, one a line.
    trace: String,
    others: Vec<(String, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "cause" => self.add_cause(&value),
            name => self.others.push((name.to_owned(), value.to_owned())),
        }
    }

    fn record_error(&mut self, _: &Field, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.add_cause(&error);
            next = error.source();
        }
    }
}

impl Fields {
    fn add_cause(&mut self, cause: &dyn std::fmt::Display) {
        let line_break = if self.trace.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(self.trace, "{line_break}{cause}");
    }
}

#[cfg(test)]
mod tests {
    use majordomo_testkit::InMemoryErrorLog;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the model does not answer")]
    struct Unanswered(#[source] std::io::Error);

    /// What is kept of what `work` logs.
    async fn kept(work: impl FnOnce()) -> Vec<NewLoggedError> {
        let log = Arc::new(InMemoryErrorLog::default());
        let subscriber = tracing_subscriber::registry().with(layer(log.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let newest = log.newest(10, None).await;
        newest
            .unwrap()
            .into_iter()
            .map(|entry| entry.error)
            .collect()
    }

    #[tokio::test]
    async fn errors_are_kept_with_their_causes_and_what_they_belong_to() {
        let errors = kept(|| {
            let _request = tracing::info_span!("request", id = %"r-1", path = "/x").entered();
            let _other = tracing::info_span!("other", id = %"o-1").entered();
            let _run = tracing::info_span!("run", id = %"run-1").entered();
            let error = Unanswered(std::io::Error::other("connection refused"));
            tracing::warn!(error = &error as &dyn Error, attempt = 2, "asking again");
            tracing::error!(cause = %"broken", "failed");
        })
        .await;
        let belongs = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        let subjects = [belongs("request", "r-1"), belongs("run", "run-1")];
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[0].message, "failed");
        assert_eq!(errors[0].severity, Severity::Critical);
        assert_eq!(errors[0].trace, "broken");
        assert_eq!(errors[0].context, subjects);
        assert_eq!(errors[1].message, "asking again");
        assert_eq!(errors[1].severity, Severity::Warning);
        assert_eq!(
            errors[1].trace,
            "the model does not answer\nconnection refused"
        );
        assert_eq!(
            errors[1].source,
            "majordomo_server::telemetry::errors::tests"
        );
        assert_eq!(errors[1].context[..2], subjects);
        assert_eq!(errors[1].context[2], belongs("attempt", "2"));
    }

    #[tokio::test]
    async fn neither_news_nor_the_errors_of_others_are_kept() {
        let errors = kept(|| {
            tracing::info!("all is well");
            tracing::error!(target: "hyper", "not ours");
        })
        .await;
        assert_eq!(errors, []);
    }
}
