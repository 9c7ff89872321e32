//! An embedder that cuts texts which its model finds too long.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::ports::{Embedder, EmbeddingRole, Embeddings, ModelError, ModelErrorKind};

/// Texts are cut to so many characters before anything is known of the model. Common models read 8,192 tokens, and no
/// common script has more than about one token for each character.
const LONGEST: usize = 8_000;
/// Texts are not cut shorter than this many characters.
const SHORTEST: usize = 250;

/// Cuts texts to what the model can read: what a text is about stands mostly at its beginning. How much that is, it learns
/// from the model's refusals.
pub struct FittingEmbedder {
    embedder: Arc<dyn Embedder>,
    most_chars: AtomicUsize,
}

impl FittingEmbedder {
    /// Cuts texts for `embedder`.
    pub fn new(embedder: Arc<dyn Embedder>) -> Self {
        Self {
            embedder,
            most_chars: AtomicUsize::new(LONGEST),
        }
    }
}

#[async_trait]
impl Embedder for FittingEmbedder {
    fn model(&self) -> &str {
        self.embedder.model()
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        loop {
            let most = self.most_chars.load(Ordering::Relaxed);
            let fitting = fit(texts, most);
            let answer = self.embedder.embed(&fitting, role).await;
            match answer {
                Err(error) if error.kind == ModelErrorKind::ContextTooLong => {
                    let longest = fitting.iter().map(|text| text.chars().count()).max();
                    let half = longest.unwrap_or_default().min(most) / 2;
                    if half < SHORTEST {
                        return Err(error);
                    }
                    self.most_chars.fetch_min(half, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }

    fn max_batch(&self) -> usize {
        self.embedder.max_batch()
    }
}

/// The texts, none longer than `most` characters.
fn fit(texts: &[String], most: usize) -> Cow<'_, [String]> {
    if texts.iter().all(|text| end_of(text, most).is_none()) {
        return Cow::Borrowed(texts);
    }
    let cut = texts.iter().map(|text| {
        let end = end_of(text, most);
        end.and_then(|end| text.get(..end))
            .unwrap_or(text)
            .to_owned()
    });
    Cow::Owned(cut.collect())
}

/// Where a text that is longer than `most` characters is cut.
fn end_of(text: &str, most: usize) -> Option<usize> {
    if text.len() <= most {
        return None;
    }
    text.char_indices().nth(most).map(|(end, _)| end)
}
