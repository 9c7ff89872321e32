//! What the typed extractors and replies say about themselves while routes are registered.
//!
//! paperclip asks types for their part of an operation through functions without a receiver, so what they say is kept in
//! a thread-local value that exists only within [`describe`]; workers that merely register routes pay nothing.

use std::borrow::Cow;
use std::cell::RefCell;

use actix_web::App;
use paperclip::actix::OpenApiExt as _;
use paperclip::actix::web::ServiceConfig;
use paperclip::v2::models::{
    DefaultOperationRaw, Either, Parameter, ParameterIn, Response as RecordedResponse,
};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::Value;

/// One part of an operation, in the words of OpenAPI 3.1.
#[derive(Debug, Clone)]
pub enum Fragment {
    /// The request body: whether it must be there, and its `content` object.
    Body {
        /// Whether it must be there.
        required: bool,
        /// Media types with their schemas.
        content: Value,
    },
    /// A schema whose properties are query parameters.
    Query(Value),
    /// A schema of the path's parameters: an object names them, anything else takes them in order.
    Path(Value),
    /// Finished parameter objects.
    Parameters(Vec<Value>),
    /// One response object.
    Response(Value),
}

struct Collector {
    generator: SchemaGenerator,
    fragments: Vec<Fragment>,
}

thread_local! {
    static COLLECTOR: RefCell<Option<Collector>> = const { RefCell::new(None) };
}

/// What placeholders in paperclip's records begin with; a number follows.
pub(super) const MARK: &str = "fragment:";

/// Keeps what `make` says and returns its placeholder; `None` outside [`describe`].
fn record(make: impl FnOnce(&mut SchemaGenerator) -> Fragment) -> Option<String> {
    COLLECTOR.with_borrow_mut(|collector| {
        let collector = collector.as_mut()?;
        let fragment = make(&mut collector.generator);
        collector.fragments.push(fragment);
        Some(format!("{MARK}{}", collector.fragments.len() - 1))
    })
}

/// Adds a part of the request to `operation`.
pub fn record_parameter(
    operation: &mut DefaultOperationRaw,
    make: impl FnOnce(&mut SchemaGenerator) -> Fragment,
) {
    if let Some(name) = record(make) {
        operation.parameters.push(Either::Right(Parameter {
            in_: ParameterIn::Query,
            name,
            ..Parameter::default()
        }));
    }
}

/// Adds a response with `status` to `operation`; several with the same status are merged.
pub fn record_response(
    operation: &mut DefaultOperationRaw,
    status: u16,
    make: impl FnOnce(&mut SchemaGenerator) -> Value,
) {
    let Some(mark) = record(|generator| Fragment::Response(make(generator))) else {
        return;
    };
    let entry = operation
        .responses
        .entry(status.to_string())
        .or_insert_with(|| Either::Right(RecordedResponse::default()));
    if let Either::Right(response) = entry {
        response.description = Some(match response.description.take() {
            Some(marks) => format!("{marks} {mark}"),
            None => mark,
        });
    }
}

/// Everything that routes say about themselves; makes documents.
pub struct Description {
    /// paperclip's record, an OpenAPI 2 document with placeholders.
    pub(super) record: Value,
    pub(super) fragments: Vec<Fragment>,
    pub(super) generator: SchemaGenerator,
}

/// Registers the routes of `configure` in an application that is thrown away, and keeps what they say. Describe each
/// dialect alone: two dialects may have different types of one name.
pub fn describe(configure: impl FnOnce(&mut ServiceConfig)) -> Description {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = Cow::Borrowed("/components/schemas");
    settings.meta_schema = None;
    let collector = Collector {
        generator: settings.into_generator(),
        fragments: Vec::new(),
    };
    COLLECTOR.set(Some(collector));
    let mut record = Value::Null;
    App::new()
        .wrap_api()
        .configure(configure)
        .with_raw_json_spec(|app, spec| {
            record = spec;
            app
        });
    match COLLECTOR.take() {
        Some(collector) => Description {
            record,
            fragments: collector.fragments,
            generator: collector.generator,
        },
        // Only when `configure` itself calls `describe`; then there is nothing of its own left to say.
        None => Description {
            record: Value::Null,
            fragments: Vec::new(),
            generator: SchemaGenerator::default(),
        },
    }
}
