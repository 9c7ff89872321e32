//! Directories that hold no model, or one that cannot be run: each says which file is at fault and why.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::tiny::{Model, config, open};

/// What is wrong with a directory, with its cause.
#[track_caller]
fn refusal(directory: &Path) -> String {
    let error = open(directory).err().expect("refused");
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[track_caller]
fn refused(model: &Model, file: &str, words: &str) {
    let error = refusal(model.folder.path());
    let file = model.folder.path().join(file).display().to_string();
    assert!(error.starts_with(&file), "{error}");
    assert!(error.contains(words), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_missing_directory_or_file_is_named() {
    let error = refusal("/nonexistent/model".as_ref());
    assert!(
        error.starts_with("/nonexistent/model/config.json: cannot be read: "),
        "{error}"
    );
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let model = Model::write(1);
        fs::remove_file(model.folder.path().join(file)).expect("a file");
        refused(&model, file, "cannot be read: ");
    }
}

#[test]
fn what_is_usual_need_not_be_said() {
    let model = Model::write(1);
    for file in ["1_Pooling/config.json", "sentence_bert_config.json"] {
        fs::remove_file(model.folder.path().join(file)).expect("a file");
    }
    assert!(open(model.folder.path()).is_ok());
}

#[test]
fn networks_that_are_not_known_are_refused() {
    let cases: [(&str, Value, &str); 8] = [
        ("model_type", json!("roberta"), "this is `roberta`"),
        (
            "hidden_act",
            json!("silu"),
            "hidden_act `silu` is not known",
        ),
        (
            "position_embedding_type",
            json!("relative_key"),
            "only absolute positions",
        ),
        (
            "num_attention_heads",
            json!(3),
            "no multiple of num_attention_heads",
        ),
        ("num_attention_heads", json!(0), "num_attention_heads is 0"),
        ("hidden_size", json!(10_000_000), "hidden_size is 10000000"),
        ("vocab_size", json!("many"), "invalid type"),
        ("vocab_size", json!(null), "invalid type"),
    ];
    for (key, value, words) in cases {
        let model = Model::write(1);
        let mut config = config();
        config[key] = value;
        model.put("config.json", &config);
        refused(&model, "config.json", words);
    }
    let model = Model::write(1);
    model.pool("pooling_mode_max_tokens");
    refused(&model, "1_Pooling/config.json", "only the mean");
    model.pool("pooling_mode_mean_tokens");
    model.put("sentence_bert_config.json", &json!({"max_seq_length": 2}));
    refused(&model, "sentence_bert_config.json", "leaves no room");
}

#[test]
fn files_that_do_not_fit_each_other_or_are_broken_are_refused() {
    let model = Model::write(1);
    let mut wider = config();
    wider["hidden_size"] = json!(16);
    model.put("config.json", &wider);
    refused(&model, "model.safetensors", "shape mismatch");
    let mut deeper = config();
    deeper["num_hidden_layers"] = json!(3);
    model.put("config.json", &deeper);
    refused(&model, "model.safetensors", "not found");
    let model = Model::write(1);
    fs::write(model.folder.path().join("model.safetensors"), b"not this").expect("a file");
    refused(&model, "model.safetensors", "");
    let model = Model::write(1);
    model.put("tokenizer.json", &json!({"version": "1.0"}));
    refused(&model, "tokenizer.json", "");
    let model = Model::write(1);
    fs::write(
        model.folder.path().join("config.json"),
        vec![b' '; 1024 * 1024 + 1],
    )
    .expect("a file");
    refused(&model, "config.json", "is larger than 1048576 bytes");
    model.put("config.json", &config());
    fs::write(model.folder.path().join("1_Pooling/config.json"), b"{").expect("a file");
    refused(&model, "1_Pooling/config.json", "EOF");
}
