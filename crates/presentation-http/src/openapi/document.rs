//! One dialect's OpenAPI 3.1 document out of what its routes say.

mod parts;

use std::collections::{BTreeMap, BTreeSet};

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use self::parts::{
    array, fragment_numbers, member, merge, names_in, object, operation_id, path_parameter,
    plain_template, query_parameters, reachable, text,
};
use super::collector::{Description, Fragment};
use crate::dialect::Dialect;
use crate::error::ErrorClass;

/// A way to show a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityDoc {
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of this name.
    Header(&'static str),
    /// A query parameter of this name.
    Query(&'static str),
    /// A cookie of this name.
    Cookie(&'static str),
}

impl SecurityDoc {
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearerAuth",
            Self::Header(_) => "apiKeyHeader",
            Self::Query(_) => "tokenQuery",
            Self::Cookie(_) => "sessionCookie",
        }
    }

    fn scheme(self) -> Value {
        match self {
            Self::Bearer => json!({ "type": "http", "scheme": "bearer" }),
            Self::Header(name) => json!({ "type": "apiKey", "in": "header", "name": name }),
            Self::Query(name) => json!({ "type": "apiKey", "in": "query", "name": name }),
            Self::Cookie(name) => json!({ "type": "apiKey", "in": "cookie", "name": name }),
        }
    }
}

/// What a document says about its API as a whole.
pub struct DocumentInfo {
    /// The API's name.
    pub title: &'static str,
    /// The API's version.
    pub version: &'static str,
    /// What the API is for.
    pub description: &'static str,
    /// Which paths belong to it.
    pub includes: fn(&str) -> bool,
    /// Groups of operations, with a line about each. Tags that operations use without being named here are added.
    pub tags: &'static [(&'static str, &'static str)],
    /// How credentials are shown.
    pub security: &'static [SecurityDoc],
    /// How failures are told.
    pub dialect: &'static dyn Dialect,
}

/// The order of methods within a path does not matter; these are the ones a path item may have.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

impl Description {
    /// The document of one dialect. Equal routes give equal documents, byte by byte.
    pub fn document(&self, info: &DocumentInfo) -> Value {
        let mut writer = Writer {
            fragments: &self.fragments,
            generator: self.generator.clone(),
            info,
            errors: BTreeMap::new(),
            tags: BTreeSet::new(),
        };
        let mut paths = Map::new();
        for (template, item) in object(member(&self.record, "paths")) {
            if (info.includes)(template) {
                let path = plain_template(template);
                let item = writer.path_item(&path, item);
                paths.insert(path, item);
            }
        }
        writer.finish(paths)
    }
}

struct Writer<'a> {
    fragments: &'a [Fragment],
    generator: SchemaGenerator,
    info: &'a DocumentInfo,
    /// Shared error responses by component name.
    errors: BTreeMap<String, ErrorResponse>,
    tags: BTreeSet<String>,
}

/// A response that all operations share.
struct ErrorResponse {
    reason: &'static str,
    /// Whether it may have `Retry-After`.
    says_when: bool,
    schemas: Vec<Value>,
}

impl From<ErrorResponse> for Value {
    fn from(shared: ErrorResponse) -> Self {
        let schema = match <[Value; 1]>::try_from(shared.schemas) {
            Ok([schema]) => schema,
            Err(schemas) => json!({ "anyOf": schemas }),
        };
        let mut response = Map::new();
        response.insert("description".to_owned(), shared.reason.into());
        response.insert(
            "content".to_owned(),
            json!({ "application/json": { "schema": schema } }),
        );
        if shared.says_when {
            let header =
                json!({ "description": "Seconds to wait.", "schema": { "type": "integer" } });
            response.insert("headers".to_owned(), json!({ "Retry-After": header }));
        }
        response.into()
    }
}

impl Writer<'_> {
    fn path_item(&mut self, path: &str, item: &Value) -> Value {
        let shared: Vec<&Value> = array(member(item, "parameters")).collect();
        let mut operations = Map::new();
        for (method, operation) in object(item) {
            if METHODS.contains(&method.as_str()) {
                let operation = self.operation(method, path, operation, &shared);
                operations.insert(method.clone(), operation);
            }
        }
        Value::Object(operations)
    }

    fn operation(
        &mut self,
        method: &str,
        path: &str,
        recorded: &Value,
        shared: &[&Value],
    ) -> Value {
        let mut operation = Map::new();
        for key in ["summary", "description", "deprecated", "tags"] {
            if let Some(value) = recorded.get(key) {
                operation.insert(key.to_owned(), value.clone());
            }
        }
        self.tags
            .extend(array(member(recorded, "tags")).map(|tag| text(tag).to_owned()));
        let id = member(recorded, "operationId")
            .as_str()
            .map_or_else(|| operation_id(method, path), str::to_owned);
        operation.insert("operationId".to_owned(), id.into());

        let mut marks: Vec<usize> = shared
            .iter()
            .copied()
            .chain(array(member(recorded, "parameters")))
            .flat_map(|parameter| fragment_numbers(text(member(parameter, "name"))))
            .collect();
        marks.sort_unstable();
        let (parameters, body) = self.request(path, &marks);
        let has_input = !parameters.is_empty() || body.is_some();
        let names_object = names_object(path, &parameters, body.is_some());
        let has_body = body.is_some();
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = body {
            operation.insert("requestBody".to_owned(), body);
        }

        let protected = array(member(recorded, "security")).next().is_some();
        let mut responses = self.successes(member(recorded, "responses"));
        self.add_errors(&mut responses, |class| match class {
            ErrorClass::Malformed
            | ErrorClass::UnsupportedMediaType
            | ErrorClass::PayloadTooLarge
            | ErrorClass::Conflict
            | ErrorClass::Upstream
            | ErrorClass::Unavailable => has_body,
            ErrorClass::Mismatched | ErrorClass::Invalid => has_input,
            ErrorClass::Unauthenticated | ErrorClass::Forbidden => protected,
            ErrorClass::NotFound => names_object,
            ErrorClass::RouteNotFound | ErrorClass::MethodNotAllowed => false,
            ErrorClass::RateLimited | ErrorClass::Internal => true,
        });
        operation.insert("responses".to_owned(), responses.into());
        operation.insert("security".to_owned(), self.security(protected));
        Value::Object(operation)
    }

    fn security(&self, protected: bool) -> Value {
        if protected {
            let one = |scheme: &SecurityDoc| json!({ scheme.name(): [] });
            self.info.security.iter().map(one).collect()
        } else {
            json!([])
        }
    }

    fn request(&self, path: &str, marks: &[usize]) -> (Vec<Value>, Option<Value>) {
        let mut path_schema = &Value::Null;
        let mut others = Vec::new();
        let mut body = None;
        for fragment in marks.iter().filter_map(|mark| self.fragments.get(*mark)) {
            match fragment {
                Fragment::Path(schema) => path_schema = schema,
                Fragment::Query(schema) => others.extend(query_parameters(schema)),
                Fragment::Parameters(finished) => others.extend(finished.iter().cloned()),
                Fragment::Body { required, content } => {
                    body = Some(json!({ "required": required, "content": content }));
                }
                Fragment::Response(_) => {}
            }
        }
        let mut parameters: Vec<Value> = names_in(path)
            .enumerate()
            .map(|(place, name)| path_parameter(path_schema, place, name))
            .collect();
        parameters.append(&mut others);
        (parameters, body)
    }

    fn successes(&self, recorded: &Value) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, response) in object(recorded) {
            let mut merged = Map::new();
            for mark in fragment_numbers(text(member(response, "description"))) {
                if let Some(Fragment::Response(response)) = self.fragments.get(mark) {
                    merge(&mut merged, response);
                }
            }
            merged
                .entry("description")
                .or_insert_with(|| Value::from("OK"));
            responses.insert(status.clone(), merged.into());
        }
        if responses.is_empty() {
            responses.insert("200".to_owned(), json!({ "description": "OK" }));
        }
        responses
    }

    fn add_errors(
        &mut self,
        responses: &mut Map<String, Value>,
        possible: impl Fn(ErrorClass) -> bool,
    ) {
        for class in ErrorClass::ALL {
            if possible(class) {
                let status = self.info.dialect.status(class);
                let name = self.error_component(class);
                responses
                    .entry(status.as_str())
                    .or_insert_with(|| json!({ "$ref": format!("#/components/responses/{name}") }));
            }
        }
    }

    /// The shared response of a status; what several classes have in common is told once.
    fn error_component(&mut self, class: ErrorClass) -> String {
        let status = self.info.dialect.status(class);
        let reason = status.canonical_reason().unwrap_or("Error");
        let name: String = reason.chars().filter(char::is_ascii_alphanumeric).collect();
        let dialect = self.info.dialect;
        let schema = dialect.error_schema(class, &mut self.generator).to_value();
        let shared = self
            .errors
            .entry(name.clone())
            .or_insert_with(|| ErrorResponse {
                reason,
                says_when: matches!(class, ErrorClass::RateLimited | ErrorClass::Unavailable),
                schemas: Vec::new(),
            });
        if !shared.schemas.contains(&schema) {
            shared.schemas.push(schema);
        }
        name
    }

    fn finish(self, paths: Map<String, Value>) -> Value {
        let info = self.info;
        let mut tags: Vec<Value> = info
            .tags
            .iter()
            .map(|(name, about)| json!({ "name": name, "description": about }))
            .collect();
        let unnamed = self
            .tags
            .iter()
            .filter(|tag| info.tags.iter().all(|(name, _)| name != tag));
        tags.extend(unnamed.map(|tag| json!({ "name": tag })));
        let schemes: Map<String, Value> = info
            .security
            .iter()
            .map(|scheme| (scheme.name().to_owned(), scheme.scheme()))
            .collect();
        let paths = Value::Object(paths);
        let responses: Map<String, Value> = self
            .errors
            .into_iter()
            .map(|(name, shared)| (name, shared.into()))
            .collect();
        let responses = Value::Object(responses);
        let schemas = reachable(self.generator.definitions(), [&paths, &responses]);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": info.title,
                "version": info.version,
                "description": info.description,
                "license": { "name": "MIT", "identifier": "MIT" }
            },
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "securitySchemes": schemes
            }
        })
    }
}

/// Whether a request may name something that is not there: in its path, its body, or as a run to go on with.
fn names_object(path: &str, parameters: &[Value], has_body: bool) -> bool {
    path.contains('{')
        || has_body
        || parameters
            .iter()
            .any(|parameter| member(parameter, "name") == "run")
}
