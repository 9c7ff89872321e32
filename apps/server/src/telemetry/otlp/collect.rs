//! Follows the spans of the agent's work from their beginning to their end.

use std::fmt::Debug;
use std::sync::mpsc::SyncSender;

use majordomo_application::chat::TRACE_TARGET;
use majordomo_application::ports::Clock as _;
use majordomo_domain::Timestamp;
use majordomo_infrastructure_system::SystemClock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Work;
use super::message::{Attribute, FinishedSpan};

/// Longest text of an attribute, in bytes.
const MAX_TEXT: usize = 1024;

/// The layer that hands ended spans over to `work`.
pub(super) fn layer<S>(work: SyncSender<Work>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let of_the_agent = |metadata: &Metadata<'_>| metadata.target() == TRACE_TARGET;
    Collect { work }.with_filter(FilterFn::new(of_the_agent))
}

struct Collect {
    work: SyncSender<Work>,
}

/// A span that has not ended.
struct OpenSpan {
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    begun: Timestamp,
    fields: Fields,
}

/// What a span says.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    is_client: bool,
    attributes: Vec<(&'static str, Attribute)>,
}

impl<S> Layer<S> for Collect
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let open = extensions.get::<OpenSpan>()?;
            Some((open.trace, open.id))
        });
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut own = [0; 8];
        let mut trace = parent.map_or([0; 16], |(trace, _)| trace);
        let random = getrandom::fill(&mut own).and_then(|()| match parent {
            Some(_) => Ok(()),
            None => getrandom::fill(&mut trace),
        });
        // Ids of nothing but zeros are none: without a random source nothing can be told apart.
        if random.is_err() {
            return;
        }
        span.extensions_mut().insert(OpenSpan {
            trace,
            id: own,
            parent: parent.map(|(_, id)| id),
            begun: SystemClock.now(),
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<OpenSpan>() else {
            return;
        };
        let finished = FinishedSpan {
            trace: open.trace,
            id: open.id,
            parent: open.parent,
            name: open.fields.name.unwrap_or_else(|| span.name().to_owned()),
            is_client: open.fields.is_client,
            begun: open.begun,
            ended: SystemClock.now(),
            attributes: open.fields.attributes,
        };
        // A full queue means a collector that does not keep up; the work must not wait for it.
        let _ = self.work.try_send(Work::Span(Box::new(finished)));
    }
}

impl Fields {
    fn add(&mut self, field: &Field, value: Attribute) {
        self.attributes.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = value.to_owned();
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        match field.name() {
            "otel.name" => self.name = Some(text),
            "otel.kind" => self.is_client = text == "client",
            // The convention's type is a list: a model may be asked for several answers.
            "gen_ai.response.finish_reasons" => self.add(field, Attribute::Texts(vec![text])),
            _ => self.add(field, Attribute::Text(text)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Attribute::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.add(field, Attribute::Number(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Attribute::Fraction(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Attribute::Flag(value));
    }
}
