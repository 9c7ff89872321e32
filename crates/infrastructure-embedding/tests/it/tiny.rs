//! A tiny BERT with made-up weights, as files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

use candle_core::{Device, Tensor};
use majordomo_infrastructure_embedding::{LocalEmbedder, LocalEmbedderConfig, LocalEmbedderError};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const SIZE: usize = 8;
pub(crate) const HEADS: usize = 2;
pub(crate) const LAYERS: usize = 2;
pub(crate) const WIDE: usize = 12;
pub(crate) const POSITIONS: usize = 16;
/// Most tokens of a text, the marks included.
pub(crate) const MAX_TOKENS: usize = 10;

/// Every token; the index is the id.
pub(crate) const WORDS: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sleep", "##s", "on", "a", "mat", "search",
    "query", ":",
];

/// The weights by name: shape and numbers.
pub(crate) type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A folder with a model.
pub(crate) struct Model {
    pub(crate) folder: TempDir,
    pub(crate) weights: Weights,
}

impl Model {
    /// The model with made-up weights that `seed` decides on, and the mean of its tokens.
    pub(crate) fn write(seed: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = Self {
            folder,
            weights: weights(seed),
        };
        model.put("config.json", &config());
        model.put("tokenizer.json", &tokenizer());
        model.put(
            "sentence_bert_config.json",
            &json!({"max_seq_length": MAX_TOKENS}),
        );
        model.pool("pooling_mode_mean_tokens");
        let tensors: HashMap<String, Tensor> = model
            .weights
            .iter()
            .map(|(name, (shape, numbers))| {
                let tensor = Tensor::from_vec(numbers.clone(), shape.as_slice(), &Device::Cpu);
                (name.clone(), tensor.expect("a tensor"))
            })
            .collect();
        let file = model.folder.path().join("model.safetensors");
        candle_core::safetensors::save(&tensors, file).expect("a file");
        model
    }

    pub(crate) fn put(&self, name: &str, value: &Value) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(file, value.to_string()).expect("a file");
    }

    /// Lets the model pool by this mode alone.
    pub(crate) fn pool(&self, mode: &str) {
        let mut config = json!({
            "word_embedding_dimension": SIZE,
            "pooling_mode_cls_token": false,
            "pooling_mode_mean_tokens": false,
            "pooling_mode_max_tokens": false,
        });
        config[mode] = json!(true);
        self.put("1_Pooling/config.json", &config);
    }

    pub(crate) fn open(&self) -> LocalEmbedder {
        open(self.folder.path()).expect("a model")
    }
}

pub(crate) fn open(directory: &Path) -> Result<LocalEmbedder, LocalEmbedderError> {
    LocalEmbedder::open(LocalEmbedderConfig {
        directory: directory.to_owned(),
        name: "builtin/tiny".to_owned(),
        threads: 1,
        max_batch: 64,
        timeout: Duration::from_secs(30),
    })
}

pub(crate) fn config() -> Value {
    json!({
        "model_type": "bert",
        "hidden_size": SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": WIDE,
        "vocab_size": WORDS.len(),
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "architectures": ["BertModel"],
    })
}

/// A `WordPiece` tokenizer with filling and cutting of its own, as published ones have: the model must not use them.
pub(crate) fn tokenizer() -> Value {
    let vocabulary: BTreeMap<&str, usize> =
        WORDS.iter().enumerate().map(|(id, w)| (*w, id)).collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": WORDS[id], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        },
        "added_tokens": [special(0), special(1), special(2), special(3)],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

fn weights(seed: u32) -> Weights {
    let mut shapes = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![WORDS.len(), SIZE],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![POSITIONS, SIZE],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, SIZE],
        ),
    ];
    norm("embeddings.LayerNorm", &mut shapes);
    for layer in 0..LAYERS {
        let layer = format!("encoder.layer.{layer}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            linear(
                &format!("{layer}.attention.{part}"),
                SIZE,
                SIZE,
                &mut shapes,
            );
        }
        norm(&format!("{layer}.attention.output.LayerNorm"), &mut shapes);
        linear(
            &format!("{layer}.intermediate.dense"),
            SIZE,
            WIDE,
            &mut shapes,
        );
        linear(&format!("{layer}.output.dense"), WIDE, SIZE, &mut shapes);
        norm(&format!("{layer}.output.LayerNorm"), &mut shapes);
    }
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let numbers = (0..shape.iter().product()).map(|_| number()).collect();
            (name, (shape, numbers))
        })
        .collect()
}

fn linear(name: &str, from: usize, to: usize, shapes: &mut Vec<(String, Vec<usize>)>) {
    shapes.push((format!("{name}.weight"), vec![to, from]));
    shapes.push((format!("{name}.bias"), vec![to]));
}

fn norm(name: &str, shapes: &mut Vec<(String, Vec<usize>)>) {
    shapes.push((format!("{name}.weight"), vec![SIZE]));
    shapes.push((format!("{name}.bias"), vec![SIZE]));
}
