//! The files of a sentence-transformer, as its makers publish them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use majordomo_application::hex::hex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Largest configuration file in bytes.
const MAX_CONFIG: u64 = 1024 * 1024;
/// Largest vocabulary in bytes: those of many languages have 20 MB.
const MAX_TOKENIZER: u64 = 128 * 1024 * 1024;
/// Largest weights in bytes.
const MAX_WEIGHTS: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of the digest that tell one model from another.
const FINGERPRINT_BYTES: usize = 6;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const POOLING: &str = "1_Pooling/config.json";
const SENTENCES: &str = "sentence_bert_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// Why a directory cannot be used as a model.
#[derive(Debug, Error)]
pub enum ModelDirectoryError {
    /// A file cannot be read, or there is none.
    #[error("{}: cannot be read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A file is larger than any such file should be.
    #[error("{}: is larger than {most} bytes", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most bytes.
        most: u64,
    },
    /// A file does not say what it should.
    #[error("{}: {problem}", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What `config.json` says of the network.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BertConfig {
    model_type: String,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) vocab_size: usize,
    pub(crate) max_position_embeddings: usize,
    pub(crate) type_vocab_size: usize,
    #[serde(default = "usual_eps")]
    pub(crate) layer_norm_eps: f64,
    #[serde(default = "usual_activation")]
    hidden_act: String,
    #[serde(default = "usual_positions")]
    position_embedding_type: String,
}

fn usual_eps() -> f64 {
    1e-12
}

fn usual_activation() -> String {
    "gelu".to_owned()
}

fn usual_positions() -> String {
    "absolute".to_owned()
}

/// The function between the two halves of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Exact.
    Gelu,
    /// By the hyperbolic tangent.
    GeluTanh,
    Relu,
}

impl BertConfig {
    pub(crate) fn activation(&self) -> Option<Activation> {
        match self.hidden_act.as_str() {
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "relu" => Some(Activation::Relu),
            _ => None,
        }
    }

    /// What is wrong with it, if something is.
    fn problem(&self) -> Option<String> {
        let sizes = [
            ("hidden_size", self.hidden_size, 65_536),
            ("num_hidden_layers", self.num_hidden_layers, 1024),
            ("num_attention_heads", self.num_attention_heads, 1024),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                1 << 20,
            ),
            ("type_vocab_size", self.type_vocab_size, 1024),
        ];
        if self.model_type != "bert" {
            let kind = &self.model_type;
            return Some(format!(
                "only models of the type `bert` can be run, this is `{kind}`"
            ));
        }
        if let Some((name, size, most)) = sizes
            .iter()
            .find(|(_, size, most)| !(1..=*most).contains(size))
        {
            return Some(format!("{name} is {size}, expected 1 to {most}"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Some("hidden_size is no multiple of num_attention_heads".to_owned());
        }
        if self.activation().is_none() {
            return Some(format!("hidden_act `{}` is not known", self.hidden_act));
        }
        (self.position_embedding_type != "absolute")
            .then(|| "only absolute positions are known".to_owned())
    }
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one's, which stands for the whole text.
    Cls,
}

/// Every key of the file; those that begin with [`MODE`] switch a way of pooling on or off.
#[derive(Deserialize)]
struct PoolingConfig(BTreeMap<String, Value>);

const MODE: &str = "pooling_mode_";

/// The mean is what sentence-transformers take where a model does not say.
impl Default for PoolingConfig {
    fn default() -> Self {
        Self([(format!("{MODE}mean_tokens"), Value::Bool(true))].into())
    }
}

impl PoolingConfig {
    fn pooling(&self) -> Option<Pooling> {
        let on = self.0.iter().filter(|(_, value)| **value == true);
        let modes: Vec<&str> = on.filter_map(|(key, _)| key.strip_prefix(MODE)).collect();
        match modes[..] {
            ["mean_tokens"] => Some(Pooling::Mean),
            ["cls_token"] => Some(Pooling::Cls),
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
struct SentencesConfig {
    max_seq_length: Option<usize>,
}

#[derive(Default, Deserialize)]
struct PromptsConfig {
    #[serde(default)]
    prompts: KnownPrompts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KnownPrompts {
    query: Option<String>,
    document: Option<String>,
    passage: Option<String>,
}

/// What the model wants to be told before a text; mostly nothing.
#[derive(Debug, Clone)]
pub(crate) struct Prompts {
    /// Before what is searched for.
    pub(crate) query: String,
    /// Before what is to be found.
    pub(crate) document: String,
}

impl From<KnownPrompts> for Prompts {
    fn from(known: KnownPrompts) -> Self {
        Self {
            query: known.query.unwrap_or_default(),
            document: known.document.or(known.passage).unwrap_or_default(),
        }
    }
}

/// All that is in the directory.
pub(crate) struct ModelFiles {
    pub(crate) config: BertConfig,
    pub(crate) pooling: Pooling,
    pub(crate) prompts: Prompts,
    /// Longer texts are cut, in tokens, the marks of beginning and end included.
    pub(crate) max_tokens: usize,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) weights: Vec<u8>,
    /// Tells this model from every other: twelve hexadecimal digits.
    pub(crate) fingerprint: String,
}

impl ModelFiles {
    pub(crate) fn read(directory: &Path) -> Result<Self, ModelDirectoryError> {
        let mut digest = Sha256::new();
        let mut reader = Reader {
            directory,
            digest: &mut digest,
        };
        let config: BertConfig = reader.config(CONFIG)?;
        if let Some(problem) = config.problem() {
            return Err(unusable(directory, CONFIG, problem));
        }
        let pooling: PoolingConfig = reader.optional_config(POOLING)?;
        let pooling = pooling.pooling().ok_or_else(|| {
            let problem = "only the mean of the tokens or the first token can be taken";
            unusable(directory, POOLING, problem)
        })?;
        let sentences: SentencesConfig = reader.optional_config(SENTENCES)?;
        let positions = config.max_position_embeddings;
        let max_tokens = sentences.max_seq_length.unwrap_or(positions).min(positions);
        // The marks of beginning and end and one token between them.
        if max_tokens < 3 {
            return Err(unusable(
                directory,
                SENTENCES,
                "max_seq_length leaves no room",
            ));
        }
        let prompts: PromptsConfig = reader.optional_config(PROMPTS)?;
        let tokenizer = reader.bytes(TOKENIZER, MAX_TOKENIZER)?;
        let weights = reader.bytes(WEIGHTS, MAX_WEIGHTS)?;
        let digest = digest.finalize();
        let digest = digest.get(..FINGERPRINT_BYTES).unwrap_or_default();
        Ok(Self {
            config,
            pooling,
            prompts: prompts.prompts.into(),
            max_tokens,
            tokenizer,
            weights,
            fingerprint: hex(digest),
        })
    }

    /// The vocabulary is of no use.
    pub(crate) fn bad_tokenizer(
        directory: &Path,
        problem: impl Into<String>,
    ) -> ModelDirectoryError {
        unusable(directory, TOKENIZER, problem)
    }

    /// The weights are of no use.
    pub(crate) fn bad_weights(directory: &Path, problem: impl Into<String>) -> ModelDirectoryError {
        unusable(directory, WEIGHTS, problem)
    }
}

/// Reads files one after the other and digests them.
struct Reader<'a> {
    directory: &'a Path,
    digest: &'a mut Sha256,
}

impl Reader<'_> {
    fn bytes(&mut self, name: &str, most: u64) -> Result<Vec<u8>, ModelDirectoryError> {
        let file = self.directory.join(name);
        let bytes = read_up_to(&file, most).map_err(|source| ModelDirectoryError::Unreadable {
            file: file.clone(),
            source,
        })?;
        let bytes = bytes.ok_or(ModelDirectoryError::TooLarge { file, most })?;
        // The length goes first: bytes cannot move from one file to the next unnoticed.
        self.digest.update(bytes.len().to_le_bytes());
        self.digest.update(&bytes);
        Ok(bytes)
    }

    fn config<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ModelDirectoryError> {
        let bytes = self.bytes(name, MAX_CONFIG)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| unusable(self.directory, name, error.to_string()))
    }

    /// As [`config`](Self::config), with the usual where there is no such file.
    fn optional_config<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
    ) -> Result<T, ModelDirectoryError> {
        match self.config(name) {
            Err(ModelDirectoryError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(T::default())
            }
            other => other,
        }
    }
}

/// The whole file, or `None` when it is longer than `most`.
fn read_up_to(file: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|read| read <= most);
    Ok(fits.then_some(bytes))
}

fn unusable(directory: &Path, name: &str, problem: impl Into<String>) -> ModelDirectoryError {
    ModelDirectoryError::Unusable {
        file: directory.join(name),
        problem: problem.into(),
    }
}
