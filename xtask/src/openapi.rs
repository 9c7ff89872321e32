//! The operations of an OpenAPI document, read from its lines. The published documents are indented by two spaces.

/// One operation of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// In capitals.
    pub(crate) method: String,
    /// `/sessions/{id}`.
    pub(crate) path: String,
}

/// The operations below `paths`, in the document's order.
pub(crate) fn operations(document: &str) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut path = "";
    let in_paths = document
        .lines()
        .skip_while(|line| !line.starts_with("  \"paths\": {"))
        .skip(1)
        .take_while(|line| !line.starts_with("  }"));
    for line in in_paths {
        if let Some(key) = key_at(line, "      ") {
            if matches!(
                key,
                "get" | "put" | "post" | "delete" | "patch" | "head" | "options"
            ) {
                operations.push(Operation {
                    method: key.to_ascii_uppercase(),
                    path: path.to_owned(),
                });
            }
        } else if let Some(key) = key_at(line, "    ") {
            path = key;
        }
    }
    operations
}

/// The key of a line that opens an object at exactly this indentation.
fn key_at<'a>(line: &'a str, indentation: &str) -> Option<&'a str> {
    line.strip_prefix(indentation)?
        .strip_prefix('"')?
        .strip_suffix("\": {")
}

#[cfg(test)]
mod tests {
    use super::{Operation, operations};

    const DOCUMENT: &str = r#"{
  "openapi": "3.1.0",
  "paths": {
    "/sessions": {
      "parameters": [],
      "get": {
        "responses": {
          "200": {}
        }
      },
      "post": {
        "get": {
        }
      }
    },
    "/sessions/{id}": {
      "delete": {
      }
    }
  },
  "components": {
    "schemas": {
      "get": {
      }
    }
  }
}"#;

    #[test]
    fn operations_are_found_below_paths_only() {
        let expected = [
            ("GET", "/sessions"),
            ("POST", "/sessions"),
            ("DELETE", "/sessions/{id}"),
        ]
        .map(|(method, path)| Operation {
            method: method.to_owned(),
            path: path.to_owned(),
        });
        assert_eq!(operations(DOCUMENT), expected);
        assert!(operations("{\"paths\":{}}").is_empty());
    }
}
