//! The configured providers and the chain of models asked in turn.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use majordomo_domain::{Hop, ModelRef, Scope};

use super::chain::{Choice, plan};
use super::cooldown::{Cooldowns, Standing};
use super::error::ModelsError;
use super::lists::Lists;
use crate::caller::{Caller, ScopeDenied};
use crate::ports::{
    ChatModel, Clock, ModelDelta, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream,
};

/// A configured provider.
pub struct Provider {
    /// Its configured name.
    pub name: String,
    /// How it is asked.
    pub model: Arc<dyn ChatModel>,
    /// The only models to offer of it; a bare model name is looked up here. Empty: those that it lists itself.
    pub models: Vec<String>,
    /// The context window of its models in tokens, where configured.
    pub context_tokens: Option<u64>,
}

impl Provider {
    fn lists(&self, model: &str) -> bool {
        self.models.iter().any(|known| known == model)
    }

    /// What to tell of its models, where `told` is what it tells itself.
    fn offered(&self, mut told: Vec<ModelInfo>) -> Vec<ModelInfo> {
        if self.models.is_empty() {
            return told;
        }
        let offered = self.models.iter().map(|id| {
            let place = told.iter().position(|info| info.id == *id);
            place.map_or_else(|| named(id), |place| told.swap_remove(place))
        });
        offered.collect()
    }
}

/// What the operator configured.
pub struct RegistryConfig {
    /// The providers, at least one.
    pub providers: Vec<Provider>,
    /// What answers when nothing is named.
    pub default: ModelRef,
    /// What is asked when that does not answer, in order.
    pub fallback: Vec<ModelRef>,
}

/// A model's answer that has begun.
pub struct Opened {
    /// The model that answers.
    pub model: ModelRef,
    /// Its answer.
    pub stream: ModelStream,
    /// The models before it that were asked in vain or left alone.
    pub hops: Vec<Hop>,
}

/// One model on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Where it is.
    pub model: ModelRef,
    /// What its provider tells of it.
    pub info: ModelInfo,
    /// Whether it answers when nothing is named.
    pub is_default: bool,
}

/// What is on offer until the next [`ModelRegistry::replace`].
struct Configured {
    providers: Vec<Arc<Provider>>,
    default: ModelRef,
    fallback: Vec<ModelRef>,
}

impl Configured {
    fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Whether nothing configured speaks against offering this model.
    fn may_offer(&self, provider: &Provider, model: &str) -> bool {
        let is_default = provider.name == self.default.provider && model == self.default.model;
        is_default || provider.models.is_empty() || provider.lists(model)
    }
}

impl From<RegistryConfig> for Configured {
    fn from(config: RegistryConfig) -> Self {
        Self {
            providers: config.providers.into_iter().map(Arc::new).collect(),
            default: config.default,
            fallback: config.fallback,
        }
    }
}

/// Chooses and asks models.
pub struct ModelRegistry {
    configured: ArcSwap<Configured>,
    cooldowns: Cooldowns,
    lists: Lists,
    clock: Arc<dyn Clock>,
}

impl ModelRegistry {
    /// A registry of the configured providers.
    pub fn new(config: RegistryConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            configured: ArcSwap::from_pointee(config.into()),
            cooldowns: Cooldowns::default(),
            lists: Lists::default(),
            clock,
        }
    }

    /// Puts another configuration in place. Answers that have begun go on; failures of the past are forgotten, for a
    /// mended key or address must be tried at once.
    pub fn replace(&self, config: RegistryConfig) {
        self.configured.store(Arc::new(config.into()));
        self.cooldowns.forget();
        self.lists.forget();
    }

    /// What answers when nothing is named.
    pub fn default_model(&self) -> ModelRef {
        self.configured.load().default.clone()
    }

    /// Finds the model a caller names: `provider/model` of a configured provider; else a model some provider is known
    /// to offer; else a model of the default provider, which then decides. Where the models to offer are configured there
    /// are no others; a name that looks like `provider/model` without such a provider may not be one that the default
    /// provider is known not to list.
    pub fn resolve(&self, name: Option<&str>) -> Result<ModelRef, ModelsError> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(self.default_model());
        };
        if name.ends_with('/') {
            return Err(unknown(name));
        }
        let configured = self.configured.load();
        if let Some(model) = ModelRef::parse(name)
            && let Some(provider) = configured.provider(&model.provider)
        {
            return if configured.may_offer(provider, &model.model) {
                Ok(model)
            } else {
                Err(unknown(name))
            };
        }
        let listed = configured
            .providers
            .iter()
            .find(|provider| provider.lists(name));
        let provider = listed
            .or_else(|| configured.provider(&configured.default.provider))
            .ok_or_else(|| unknown(name))?;
        let mistyped = name.contains('/') && self.lists.lack(&provider.name, name);
        if configured.may_offer(provider, name) && !(mistyped && listed.is_none()) {
            Ok(ModelRef::new(&provider.name, name))
        } else {
            Err(unknown(name))
        }
    }

    /// As [`resolve`](Self::resolve) for a caller whose key may not ask every model: one that may not be asked does not
    /// exist.
    pub fn resolve_for(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<ModelRef, ModelsError> {
        let model = self.resolve(name)?;
        if caller.may_ask(&model) {
            Ok(model)
        } else {
            Err(unknown(name.unwrap_or("default")))
        }
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.configured.load().provider(name).cloned()
    }

    /// The configured providers.
    pub fn providers(&self) -> Vec<Arc<Provider>> {
        self.configured.load().providers.clone()
    }

    /// The context window of a model in tokens, where configured.
    pub fn context_tokens(&self, model: &ModelRef) -> Option<u64> {
        self.provider(&model.provider)?.context_tokens
    }

    /// The models that may be asked for `caller` when `first` does not answer, in order.
    pub fn fallback_for(&self, caller: &Caller, first: &ModelRef) -> Vec<ModelRef> {
        let configured = self.configured.load();
        let others = configured.fallback.iter();
        others
            .filter(|model| *model != first && caller.may_ask(model))
            .cloned()
            .collect()
    }

    /// Asks `first`, then the fallback models, until one begins to answer. A model is asked again by nobody once
    /// output has begun: errors after that end the stream. `request` is made anew for each model.
    pub async fn open(
        &self,
        caller: &Caller,
        first: &ModelRef,
        mut request: impl FnMut(&ModelRef) -> ModelRequest,
    ) -> Result<Opened, ModelsError> {
        let mut hops = Vec::new();
        let mut last = None;
        let mut shortest_pause: Option<ModelError> = None;
        for choice in plan(self.chain(caller, first)) {
            let (model, wait) = match choice {
                Choice::Ask(model, wait) => (model, wait),
                Choice::Leave(model, error) => {
                    hops.push(hop(&model, &error));
                    if shortest_pause
                        .as_ref()
                        .is_none_or(|known| error.retry_after() < known.retry_after())
                    {
                        shortest_pause = Some(error);
                    }
                    continue;
                }
            };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match self.begin(&model, request(&model)).await {
                Ok(stream) => {
                    self.cooldowns.clear(&model);
                    return Ok(Opened {
                        model,
                        stream,
                        hops,
                    });
                }
                Err(error) => {
                    self.cooldowns.note(&model, &error, self.clock.now());
                    hops.push(hop(&model, &error));
                    let hopeless = matches!(
                        error.kind,
                        ModelErrorKind::Refused
                            | ModelErrorKind::Invalid
                            | ModelErrorKind::Cancelled
                    );
                    last = Some(error);
                    if hopeless {
                        break;
                    }
                }
            }
        }
        let last = last.or(shortest_pause).unwrap_or_else(|| {
            ModelError::new(ModelErrorKind::Unavailable, "No model is configured")
        });
        Err(ModelsError::NoAnswer { hops, last })
    }

    /// Opens a stream and waits for its first delta, so that a failure before it can still be mended.
    pub(super) async fn begin(
        &self,
        model: &ModelRef,
        request: ModelRequest,
    ) -> Result<ModelStream, ModelError> {
        let provider = self.provider(&model.provider).ok_or_else(|| {
            ModelError::new(
                ModelErrorKind::Invalid,
                format!("{model} is not configured"),
            )
        })?;
        let mut stream = provider.model.stream(request).await?;
        let first: ModelDelta = match stream.next().await {
            Some(first) => first?,
            None => {
                return Err(ModelError::new(
                    ModelErrorKind::Malformed,
                    format!("{model} gave no answer"),
                ));
            }
        };
        Ok(stream::once(async move { Ok(first) }).chain(stream).boxed())
    }

    /// The models that may be asked for `caller`, `first` before the fallback, and how they stand.
    fn chain(&self, caller: &Caller, first: &ModelRef) -> Vec<(ModelRef, Standing)> {
        let now = self.clock.now();
        let configured = self.configured.load();
        let mut chain: Vec<(ModelRef, Standing)> = Vec::new();
        for model in std::iter::once(first).chain(&configured.fallback) {
            if caller.may_ask(model) && chain.iter().all(|(known, _)| known != model) {
                chain.push((model.clone(), self.cooldowns.standing(model, now)));
            }
        }
        chain
    }

    /// Whether nothing speaks against asking the model now: it did not fail a moment ago.
    pub fn is_ready(&self, model: &ModelRef) -> bool {
        self.cooldowns.standing(model, self.clock.now()) == Standing::Ready
    }

    /// Notes how a call ended, so that the next caller fares by it.
    pub fn note(&self, model: &ModelRef, result: Result<(), &ModelError>) {
        match result {
            Ok(()) => self.cooldowns.clear(model),
            Err(error) => self.cooldowns.note(model, error, self.clock.now()),
        }
    }

    /// The [`catalog`](Self::catalog), for callers who may chat; context windows that were configured fill gaps.
    pub async fn offered(&self, caller: &Caller) -> Result<Vec<CatalogEntry>, ScopeDenied> {
        caller.require(Scope::Chat)?;
        let mut entries = self.catalog().await;
        entries.retain(|entry| caller.may_ask(&entry.model));
        for entry in &mut entries {
            if entry.info.context_length.is_none() {
                entry.info.context_length = self.context_tokens(&entry.model);
            }
        }
        Ok(entries)
    }

    /// What a provider tells of its models; what it lists is remembered.
    pub async fn read_list(&self, provider: &Provider) -> Result<Vec<ModelInfo>, ModelError> {
        let told = provider.model.models().await?;
        self.lists.remember(&provider.name, &told);
        Ok(told)
    }

    /// The models on offer: those that are configured, else what each provider tells, asked at the same time.
    pub async fn catalog(&self) -> Vec<CatalogEntry> {
        let configured = self.configured.load_full();
        let answers = join_all(configured.providers.iter().map(|provider| async move {
            let told = self.read_list(provider).await.unwrap_or_default();
            (provider, provider.offered(told))
        }))
        .await;
        let mut entries: Vec<CatalogEntry> = answers
            .into_iter()
            .flat_map(|(provider, offered)| {
                offered
                    .into_iter()
                    .map(move |info| (ModelRef::new(&provider.name, &info.id), info))
            })
            .map(|(model, info)| CatalogEntry {
                is_default: model == configured.default,
                model,
                info,
            })
            .collect();
        if !entries.iter().any(|entry| entry.is_default) {
            let info = named(&configured.default.model);
            entries.insert(
                0,
                CatalogEntry {
                    model: configured.default.clone(),
                    info,
                    is_default: true,
                },
            );
        }
        entries
    }
}

/// A model of which only its name is known.
fn named(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        ..ModelInfo::default()
    }
}

fn hop(model: &ModelRef, error: &ModelError) -> Hop {
    Hop {
        model: model.to_string(),
        code: error.code().to_owned(),
        message: error.message.clone(),
    }
}

fn unknown(name: &str) -> ModelsError {
    ModelsError::UnknownModel(name.to_owned())
}
