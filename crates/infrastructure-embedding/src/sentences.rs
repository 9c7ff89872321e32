//! From texts to vectors: tokens, the network, one vector for each text.

use std::path::Path;

use candle_core::{Device, Tensor};
use majordomo_application::ports::EmbeddingRole;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokenizers::{Tokenizer, TruncationParams};

use crate::bert::Bert;
use crate::directory::{BertConfig, ModelDirectoryError, ModelFiles, Pooling, Prompts};

/// Most tokens that go through the network at once, filling included: bounds the memory that one question takes.
const TOKENS_AT_ONCE: usize = 4096;

/// A failure of the libraries, in their words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The vectors of texts, each of the length 1.
pub(crate) struct Sentences {
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Tokens read.
    pub(crate) tokens: u64,
}

/// A loaded model.
pub(crate) struct SentenceModel {
    tokenizer: Tokenizer,
    bert: Bert,
    pooling: Pooling,
    prompts: Prompts,
    vocabulary: u32,
    /// The threads that do the sums.
    threads: ThreadPool,
    /// Tells this model from every other.
    pub(crate) fingerprint: String,
}

/// The tokens of a text, and where the text stands among the others.
struct Tokens {
    place: usize,
    ids: Vec<u32>,
}

impl SentenceModel {
    /// Loads the model in `directory`, which does its sums on so many threads.
    pub(crate) fn load(directory: &Path, threads: usize) -> Result<Self, LoadError> {
        let files = ModelFiles::read(directory)?;
        let tokenizer = tokenizer(&files)
            .map_err(|error| ModelFiles::bad_tokenizer(directory, error.to_string()))?;
        let config: &BertConfig = &files.config;
        let vocabulary = u32::try_from(config.vocab_size).unwrap_or(u32::MAX);
        let activation = config
            .activation()
            .ok_or_else(|| ModelFiles::bad_weights(directory, "no activation"))?;
        let bert = Bert::new(config, activation, files.weights)
            .map_err(|error| ModelFiles::bad_weights(directory, first_line(&error.to_string())))?;
        let threads = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("embedding-sums-{index}"))
            .build()
            .map_err(|error| LoadError::Threads(error.to_string()))?;
        Ok(Self {
            tokenizer,
            bert,
            pooling: files.pooling,
            prompts: files.prompts,
            vocabulary,
            threads,
            fingerprint: files.fingerprint,
        })
    }

    /// Embeds texts; `None` once `is_wanted` says no.
    pub(crate) fn embed(
        &self,
        texts: &[String],
        role: EmbeddingRole,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<Sentences>, Failure> {
        let prompt = match role {
            EmbeddingRole::Document => &self.prompts.document,
            EmbeddingRole::Query => &self.prompts.query,
        };
        let mut all = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            let encoding = self.tokenizer.encode(format!("{prompt}{text}"), true)?;
            let ids = encoding.get_ids().to_vec();
            all.push(Tokens { place, ids });
        }
        let tokens: usize = all.iter().map(|tokens| tokens.ids.len()).sum();
        // Texts of like length together: less filling.
        all.sort_by_key(|tokens| std::cmp::Reverse(tokens.ids.len()));
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = all.as_slice();
        while let Some(longest) = rest.first().map(|tokens| tokens.ids.len()) {
            if !is_wanted() {
                return Ok(None);
            }
            let rows = (TOKENS_AT_ONCE / longest.max(1)).clamp(1, rest.len());
            let (group, others) = rest.split_at(rows);
            let embedded = self.threads.install(|| self.embed_group(group, longest))?;
            for (tokens, vector) in group.iter().zip(embedded) {
                if let Some(slot) = vectors.get_mut(tokens.place) {
                    *slot = vector;
                }
            }
            rest = others;
        }
        Ok(Some(Sentences {
            vectors,
            tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
        }))
    }

    /// Embeds texts of at most `longest` tokens together.
    fn embed_group(&self, group: &[Tokens], longest: usize) -> Result<Vec<Vec<f32>>, Failure> {
        let rows = group.len();
        let mut ids = Vec::with_capacity(rows * longest);
        let mut mask = Vec::with_capacity(rows * longest);
        for tokens in group {
            // What the weights do not know is no token of this model.
            if tokens.ids.iter().any(|id| *id >= self.vocabulary) {
                return Err("the tokenizer knows tokens that the model does not".into());
            }
            let filling = longest - tokens.ids.len();
            ids.extend_from_slice(&tokens.ids);
            ids.extend(std::iter::repeat_n(0, filling));
            mask.extend(std::iter::repeat_n(1.0_f32, tokens.ids.len()));
            mask.extend(std::iter::repeat_n(0.0_f32, filling));
        }
        let ids = Tensor::from_vec(ids, (rows, longest), &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, (rows, longest), &Device::Cpu)?;
        let states = self.bert.forward(&ids, &mask)?;
        let pooled = match self.pooling {
            // The length is made 1 below, so the sum does for the mean.
            Pooling::Mean => states.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?,
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1)?,
        };
        let mut vectors = pooled.to_vec2::<f32>()?;
        for vector in &mut vectors {
            let length = vector
                .iter()
                .map(|number| number * number)
                .sum::<f32>()
                .sqrt();
            if !(length.is_normal()) {
                return Err("the model gave a vector without direction".into());
            }
            for number in vector {
                *number /= length;
            }
        }
        Ok(vectors)
    }
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// By its files.
    #[error(transparent)]
    Directory(#[from] ModelDirectoryError),
    /// The system gives no threads.
    #[error("no threads for an embedding model: {0}")]
    Threads(String),
}

fn tokenizer(files: &ModelFiles) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(TruncationParams {
        max_length: files.max_tokens,
        ..TruncationParams::default()
    }))?;
    Ok(tokenizer)
}

/// The libraries may add a stack trace.
fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().to_owned()
}
