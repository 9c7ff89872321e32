//! Each rule refuses what it is there to refuse.

use super::{manifest_problems, path_attribute_problems};
use crate::tree::Source;

const HEAD: &str = "version.workspace = true\nedition.workspace = true\n\
                    rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n";

fn check(path: &str, name: &str, dependencies: &str, expected: &[&str]) {
    let text = format!("[package]\nname = \"{name}\"\n{HEAD}{dependencies}");
    let manifest = Source {
        path: path.to_owned(),
        text,
    };
    assert_eq!(manifest_problems(&manifest), expected);
}

#[test]
fn allowed_edges_pass() {
    check(
        "crates/presentation-openai/Cargo.toml",
        "majordomo-presentation-openai",
        "[dependencies]\nmajordomo-presentation-http.workspace = true\nactix-web.workspace = true\n\
         [dev-dependencies]\nmajordomo-testkit.workspace = true\nreqwest.workspace = true\n",
        &[],
    );
}

#[test]
fn sideways_and_backward_edges_are_refused() {
    check(
        "crates/presentation-openai/Cargo.toml",
        "majordomo-presentation-openai",
        "[dependencies]\nmajordomo-presentation-pixcode.workspace = true\n",
        &["majordomo-presentation-openai must not depend on majordomo-presentation-pixcode"],
    );
    check(
        "crates/domain/Cargo.toml",
        "majordomo-domain",
        "[dependencies]\nmajordomo-application.workspace = true\n",
        &["majordomo-domain must not depend on majordomo-application"],
    );
}

#[test]
fn testkit_is_for_tests() {
    check(
        "apps/server/Cargo.toml",
        "majordomo-server",
        "[dependencies]\nmajordomo-testkit.workspace = true\n",
        &["majordomo-server must not depend on majordomo-testkit"],
    );
}

#[test]
fn outside_packages_have_their_layers() {
    check(
        "crates/domain/Cargo.toml",
        "majordomo-domain",
        "[dependencies]\nserde_json = { workspace = true }\n",
        &["majordomo-domain must not use serde_json"],
    );
    check(
        "crates/application/Cargo.toml",
        "majordomo-application",
        "[dependencies]\nserde.workspace = true\nserde_json.workspace = true\n",
        &["majordomo-application must not use serde"],
    );
    check(
        "xtask/Cargo.toml",
        "xtask",
        "[dependencies]\nanything.workspace = true\n",
        &["xtask must not use anything"],
    );
}

#[test]
fn versions_come_from_the_workspace() {
    check(
        "crates/settings/Cargo.toml",
        "majordomo-settings",
        "[dependencies]\nserde = \"1\"\n",
        &[
            "majordomo-settings: write `serde.workspace = true`; versions stand in the root Cargo.toml only",
        ],
    );
}

#[test]
fn unknown_packages_and_wrong_names_are_refused() {
    check(
        "crates/other/Cargo.toml",
        "majordomo-mystery",
        "",
        &[
            "crates/other/Cargo.toml: the package in crates/other is to be named majordomo-other",
            "majordomo-mystery is not in the table of allowed edges: add it to RULES in xtask/src/arch.rs",
        ],
    );
}

#[test]
fn the_lint_table_is_required() {
    let manifest = Source {
        path: "xtask/Cargo.toml".to_owned(),
        text: "[package]\nname = \"xtask\"\n".to_owned(),
    };
    let problems = manifest_problems(&manifest);
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(problems[0].contains("[lints] workspace = true"));
}

#[test]
fn path_attributes_stay_with_the_shared_repositories() {
    let attribute = "#[path = \"../../infrastructure-diesel/src/sessions.rs\"]\nmod sessions;\n";
    let source = |path: &str| Source {
        path: path.to_owned(),
        text: attribute.to_owned(),
    };
    assert!(path_attribute_problems(&source("crates/infrastructure-sqlite/src/lib.rs")).is_empty());
    assert_eq!(
        path_attribute_problems(&source("crates/settings/src/lib.rs")),
        [
            "crates/settings/src/lib.rs:1: #[path] is only for the repositories that SQLite and PostgreSQL share"
        ]
    );
}
