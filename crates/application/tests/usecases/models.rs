//! Which model answers, and who is asked when one does not.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::error::{ErrorKind, ServiceError as _};
use majordomo_application::models::{ModelRegistry, ModelsError, Opened, Provider, RegistryConfig};
use majordomo_application::ports::{ModelError, ModelErrorKind, ModelInfo, ModelRequest};
use majordomo_domain::ModelRef;
use majordomo_testkit::{FixedClock, Script, ScriptedModel};

use crate::support::alice;

struct World {
    registry: ModelRegistry,
    first: Arc<ScriptedModel>,
    second: Arc<ScriptedModel>,
    clock: Arc<FixedClock>,
}

fn world(first: Vec<Script>, second: Vec<Script>, fallback: bool) -> World {
    let clock = Arc::new(FixedClock::default());
    let (first, second) = (
        Arc::new(ScriptedModel::playing(first)),
        Arc::new(ScriptedModel::playing(second)),
    );
    let config = RegistryConfig {
        providers: vec![
            provider("one", &first, &[]),
            provider("two", &second, &["listed"]),
        ],
        default: ModelRef::new("one", "m"),
        fallback: if fallback {
            vec![ModelRef::new("two", "n")]
        } else {
            Vec::new()
        },
    };
    World {
        registry: ModelRegistry::new(config, clock.clone()),
        first,
        second,
        clock,
    }
}

fn provider(name: &str, model: &Arc<ScriptedModel>, models: &[&str]) -> Provider {
    Provider {
        name: name.to_owned(),
        model: model.clone(),
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        context_tokens: None,
    }
}

fn info(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        ..ModelInfo::default()
    }
}

fn unknown(name: &str) -> ModelsError {
    ModelsError::UnknownModel(name.to_owned())
}

impl World {
    fn resolve(&self, name: &str) -> Result<String, ModelsError> {
        let model = self.registry.resolve(Some(name))?;
        Ok(model.to_string())
    }

    async fn open(&self) -> Result<Opened, ModelsError> {
        let request = |model: &ModelRef| ModelRequest::new(&model.model, Vec::new());
        let first = self.registry.default_model();
        self.registry.open(&alice(), &first, request).await
    }

    async fn ask(&self) -> Result<String, ModelsError> {
        Ok(self.open().await?.model.to_string())
    }

    /// The hops of an answer.
    async fn hops(&self) -> Vec<(String, String, String)> {
        let hops = self.open().await.unwrap().hops.into_iter();
        hops.map(|hop| (hop.model, hop.code, hop.message)).collect()
    }
}

fn limited(seconds: u64) -> Script {
    let kind = ModelErrorKind::RateLimited {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    Script::refusal(ModelError::new(kind, "slow down"))
}

fn overloaded(seconds: u64) -> Script {
    let retry_after = Duration::from_secs(seconds);
    let kind = ModelErrorKind::Overloaded { retry_after };
    Script::refusal(ModelError::new(kind, "mending"))
}

fn down() -> Script {
    Script::refusal(ModelError::new(ModelErrorKind::Unavailable, "down"))
}

#[test]
fn names_are_resolved_by_provider_then_list_then_default() {
    let world = world(Vec::new(), Vec::new(), false);
    for (name, model) in [
        ("one/x", "one/x"),
        ("two/listed", "two/listed"),
        ("listed", "two/listed"),
        ("bare", "one/bare"),
        ("vendor/family/model", "one/vendor/family/model"),
        (" ", "one/m"),
    ] {
        assert_eq!(world.resolve(name).unwrap(), model);
    }
}

#[test]
fn what_is_not_among_the_configured_models_does_not_exist() {
    let world = world(Vec::new(), Vec::new(), false);
    for name in ["two/x", "two/", "one/"] {
        assert_eq!(world.resolve(name).unwrap_err(), unknown(name));
    }
    world.registry.replace(RegistryConfig {
        providers: vec![provider("one", &world.first, &["n"])],
        default: ModelRef::new("one", "m"),
        fallback: Vec::new(),
    });
    for name in ["x", "nope/n", "one/x", "nope/m"] {
        assert_eq!(world.resolve(name).unwrap_err(), unknown(name));
    }
    for (name, model) in [("n", "one/n"), ("one/n", "one/n"), ("m", "one/m")] {
        assert_eq!(world.resolve(name).unwrap(), model);
    }
}

#[tokio::test]
async fn a_mistyped_provider_is_noticed_where_the_list_of_the_default_one_is_known() {
    let world = world(Vec::new(), Vec::new(), false);
    world.first.offer(Ok(vec![info("vendor/m:8b")]));
    assert_eq!(world.resolve("nope/m").unwrap(), "one/nope/m");
    world.registry.catalog().await;
    assert_eq!(world.resolve("nope/m").unwrap_err(), unknown("nope/m"));
    for variant in ["vendor/m:8b", "vendor/m:free", "vendor/m"] {
        assert_eq!(world.resolve(variant).unwrap(), format!("one/{variant}"));
    }
    assert_eq!(
        world.resolve("bare").unwrap(),
        "one/bare",
        "the provider decides"
    );
}

#[tokio::test]
async fn a_model_that_asked_for_a_pause_is_left_alone_until_it_is_over() {
    let world = world(
        vec![limited(60), Script::answer("x")],
        vec![Script::answer("a"), Script::answer("b")],
        true,
    );
    assert_eq!(world.ask().await.unwrap(), "two/n");
    assert_eq!(world.ask().await.unwrap(), "two/n");
    assert_eq!(
        world.first.requests().len(),
        1,
        "not asked during the pause"
    );
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.ask().await.unwrap(), "one/m");
}

#[tokio::test]
async fn an_overloaded_model_is_left_alone_as_long_as_it_asks() {
    let world = world(
        vec![overloaded(60), Script::answer("x")],
        vec![Script::answer("a"), Script::answer("b")],
        true,
    );
    assert_eq!(world.ask().await.unwrap(), "two/n");
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.ask().await.unwrap(), "two/n");
    assert_eq!(world.first.requests().len(), 1, "not asked in the pause");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.ask().await.unwrap(), "one/m");
}

#[tokio::test]
async fn the_caller_is_told_when_an_overloaded_model_is_back() {
    let world = world(vec![overloaded(60)], Vec::new(), false);
    for (elapsed, left) in [(0, 60), (20, 40)] {
        world.clock.advance(Duration::from_secs(elapsed));
        let retry_after = Duration::from_secs(left);
        let error = world.ask().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy { retry_after });
    }
}

#[tokio::test]
async fn a_model_that_is_left_alone_is_a_hop_with_its_reason() {
    let hop = |code: &str, message: &str| {
        let [model, code, message] = ["one/m", code, message].map(str::to_owned);
        (model, code, message)
    };
    for (failure, code, message, left_alone) in [
        (
            limited(60),
            "rate_limited",
            "slow down",
            "one/m asked for a pause",
        ),
        (
            overloaded(60),
            "overloaded",
            "mending",
            "one/m asked for a pause",
        ),
        (down(), "unavailable", "down", "one/m failed a moment ago"),
    ] {
        let answers = vec![Script::answer("a"), Script::answer("b")];
        let world = world(vec![failure], answers, true);
        assert_eq!(world.hops().await, [hop(code, message)]);
        assert_eq!(world.hops().await, [hop(code, left_alone)]);
    }
}

#[tokio::test]
async fn when_all_ask_for_a_pause_the_shortest_is_told() {
    let world = world(vec![limited(20)], vec![overloaded(60)], true);
    assert!(world.ask().await.is_err());
    let error = world.ask().await.unwrap_err();
    let retry_after = Duration::from_secs(20);
    assert_eq!(error.kind(), ErrorKind::RateLimited { retry_after });
}

#[tokio::test]
async fn a_long_pause_without_another_model_is_an_error_that_tells_it() {
    let world = world(vec![limited(60)], Vec::new(), false);
    assert!(world.ask().await.is_err());
    let Err(ModelsError::NoAnswer { last, .. }) = world.ask().await else {
        panic!("no error")
    };
    assert!(
        matches!(last.kind, ModelErrorKind::RateLimited { retry_after: Some(wait) } if wait <= Duration::from_mins(1))
    );
    assert_eq!(world.first.requests().len(), 1);
}

#[tokio::test]
async fn an_only_model_that_failed_is_asked_again_at_once() {
    let world = world(vec![down(), Script::answer("back")], Vec::new(), false);
    assert!(world.ask().await.is_err());
    assert_eq!(world.ask().await.unwrap(), "one/m");
}

#[tokio::test]
async fn an_error_before_the_first_delta_still_hands_over_and_a_bad_request_does_not() {
    let early = Script::new().fail(ModelError::new(ModelErrorKind::Malformed, "garbage"));
    let world1 = world(vec![early], vec![Script::answer("x")], true);
    assert_eq!(world1.ask().await.unwrap(), "two/n");
    let invalid = Script::refusal(ModelError::new(ModelErrorKind::Invalid, "bad parameter"));
    let world2 = world(vec![invalid], vec![Script::answer("x")], true);
    assert!(world2.ask().await.is_err());
    assert!(world2.second.requests().is_empty());
}

#[tokio::test]
async fn the_catalog_survives_a_provider_that_does_not_answer() {
    let world = world(Vec::new(), Vec::new(), false);
    world
        .first
        .offer(Err(ModelError::new(ModelErrorKind::Unavailable, "down")));
    world.second.offer(Ok(Vec::new()));
    let catalog = world.registry.catalog().await.into_iter();
    let names: Vec<_> = catalog
        .map(|entry| (entry.model.to_string(), entry.is_default))
        .collect();
    assert_eq!(
        names,
        [("one/m".to_owned(), true), ("two/listed".to_owned(), false)]
    );
}

#[tokio::test]
async fn only_the_configured_models_are_offered_with_what_the_provider_tells_of_them() {
    let world = world(Vec::new(), Vec::new(), false);
    let listed = ModelInfo {
        context_length: Some(8192),
        ..info("listed")
    };
    world.second.offer(Ok(vec![info("other"), listed.clone()]));
    let catalog = world.registry.catalog().await.into_iter();
    let of_second: Vec<ModelInfo> = catalog
        .filter(|entry| entry.model.provider == "two")
        .map(|entry| entry.info)
        .collect();
    assert_eq!(of_second, [listed]);
}
