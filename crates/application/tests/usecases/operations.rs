//! Health, the machine, and the latest errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use majordomo_application::Caller;
use majordomo_application::models::{ModelRegistry, Provider, RegistryConfig};
use majordomo_application::operations::{CheckResult, ErrorQuery, HealthService, HealthStatus};
use majordomo_application::ports::{
    Capacity, CheckState, HealthCategory, HealthCheck, HealthCheckInfo, MachineMeter, MachineUsage,
    ProcessorTime, Severity,
};
use majordomo_domain::{CredentialKind, ModelRef, Scope, UserRole};
use majordomo_testkit::{FixedClock, InMemoryStore, ScriptedModel};
use tokio::time::{Instant, sleep};

use crate::support::alice;

/// A check that takes its time and finds what it is told to.
struct Check {
    id: &'static str,
    takes: Duration,
    finds: Option<CheckState>,
    made: Arc<AtomicUsize>,
}

impl Check {
    fn finding(id: &'static str, finds: CheckState) -> Arc<dyn HealthCheck> {
        Arc::new(Self {
            id,
            takes: Duration::ZERO,
            finds: Some(finds),
            made: Arc::default(),
        })
    }
}

#[async_trait]
impl HealthCheck for Check {
    fn about(&self) -> HealthCheckInfo {
        HealthCheckInfo {
            id: self.id,
            name: "Test",
            category: HealthCategory::Config,
            severity: Severity::Warning,
            fix_hint: "None.",
        }
    }

    async fn run(&self) -> CheckState {
        self.made.fetch_add(1, Ordering::SeqCst);
        sleep(self.takes).await;
        match &self.finds {
            Some(state) => state.clone(),
            None => panic!("a check breaks down"),
        }
    }
}

fn health(checks: Vec<Arc<dyn HealthCheck>>) -> (HealthService, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::default());
    let models = ModelRegistry::new(
        RegistryConfig {
            providers: vec![Provider {
                name: "mock".to_owned(),
                model: Arc::new(ScriptedModel::playing([])),
                models: Vec::new(),
                context_tokens: None,
            }],
            default: ModelRef::new("mock", "model"),
            fallback: Vec::new(),
        },
        clock.clone(),
    );
    let store = Arc::new(InMemoryStore::new());
    let health = HealthService::new(Arc::new(models), store, clock.clone()).with_checks(checks);
    (health, clock)
}

fn find<'a>(checks: &'a [CheckResult], id: &str) -> &'a CheckResult {
    checks.iter().find(|check| check.about.id == id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn checks_are_made_at_the_same_time() {
    let slow = |id| {
        Arc::new(Check {
            id,
            takes: Duration::from_secs(4),
            finds: Some(CheckState::Healthy),
            made: Arc::default(),
        }) as Arc<dyn HealthCheck>
    };
    let (health, _) = health(vec![slow("a"), slow("b"), slow("c")]);
    let begun = Instant::now();
    let report = health.check().await;
    assert_eq!(begun.elapsed().as_secs(), 4);
    assert_eq!(report.checks.len(), 5);
    assert_eq!(report.status(), HealthStatus::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_breaks_down_fails_alone() {
    let hangs = Arc::new(Check {
        id: "hangs",
        takes: Duration::from_hours(1),
        finds: Some(CheckState::Healthy),
        made: Arc::default(),
    });
    let breaks = Arc::new(Check {
        id: "breaks",
        takes: Duration::ZERO,
        finds: None,
        made: Arc::default(),
    });
    let (health, _) = health(vec![hangs, breaks]);
    let begun = Instant::now();
    let report = health.check().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    let words = |id| find(&report.checks, id).issue().unwrap();
    assert_eq!(words("hangs"), (Severity::Warning, "no answer in time"));
    assert_eq!(words("breaks"), (Severity::Warning, "the check broke down"));
    assert_eq!(report.status(), HealthStatus::Degraded);
    assert!(report.is_ready());
}

#[tokio::test]
async fn what_is_not_configured_is_not_unhealthy() {
    let (fine, _) = health(vec![Check::finding("absent", CheckState::NotConfigured)]);
    assert_eq!(fine.latest_status(), None);
    assert_eq!(fine.check().await.status(), HealthStatus::Healthy);
    let issue = |severity| CheckState::Issue(severity, "full".to_owned());
    let (bad, _) = health(vec![
        Check::finding("one", issue(Severity::Warning)),
        Check::finding("two", issue(Severity::Critical)),
    ]);
    assert_eq!(bad.check().await.status(), HealthStatus::Unhealthy);
    assert_eq!(bad.latest_status(), Some(HealthStatus::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_once_share_the_answer() {
    let made = Arc::<AtomicUsize>::default();
    let check = Check {
        id: "counted",
        takes: Duration::from_millis(100),
        finds: Some(CheckState::Healthy),
        made: made.clone(),
    };
    let (health, _) = health(vec![Arc::new(check)]);
    tokio::join!(
        health.check_recent(),
        health.check_recent(),
        health.check_recent()
    );
    assert_eq!(made.load(Ordering::SeqCst), 1);
    health.check().await;
    assert_eq!(made.load(Ordering::SeqCst), 2, "asked for a new answer");
    sleep(Duration::from_secs(2)).await;
    health.check_recent().await;
    assert_eq!(made.load(Ordering::SeqCst), 3, "the old answer is too old");
}

/// A machine that has worked half of its first ten seconds, and a tenth of the time since.
struct Machine(AtomicUsize);

impl MachineMeter for Machine {
    fn os(&self) -> &'static str {
        "Test"
    }

    fn arch(&self) -> &'static str {
        "abacus"
    }

    fn read(&self) -> Option<MachineUsage> {
        let second = self.0.fetch_add(1, Ordering::SeqCst) > 0;
        let (busy, total) = if second { (6, 20) } else { (5, 10) };
        Some(MachineUsage {
            processors: ProcessorTime {
                busy: Duration::from_secs(busy),
                total: Duration::from_secs(total),
            },
            cores: 1,
            freq_mhz: None,
            memory: Capacity::default(),
            disk: Capacity::default(),
            uptime: Duration::from_secs(total),
            battery: None,
        })
    }
}

#[tokio::test]
async fn processor_use_is_that_since_the_reading_before() {
    let (health, clock) = health(Vec::new());
    let health = health.with_machine(Arc::new(Machine(AtomicUsize::new(0))));
    let percent = || {
        let status = health.machine(&alice()).unwrap();
        status.load.unwrap().cpu_percent
    };
    assert!((percent() - 50.0).abs() < 1e-9);
    clock.advance(Duration::from_secs(10));
    assert!((percent() - 10.0).abs() < 1e-9);
}

#[tokio::test]
async fn the_machine_and_the_errors_are_not_for_everyone() {
    let (health, _) = health(Vec::new());
    let scopes = [Scope::Chat, Scope::Sessions].into_iter().collect();
    let chatter = Caller::new(
        alice().user,
        UserRole::Owner,
        scopes,
        CredentialKind::MasterToken,
    );
    assert!(health.machine(&chatter).is_err());
    assert!(
        health
            .errors(&chatter, ErrorQuery::default())
            .await
            .is_err()
    );
    assert!(health.clear_errors(&chatter).await.is_err());
    assert_eq!(health.machine(&alice()).unwrap().load, None);
    let errors = health.errors(&alice(), ErrorQuery::default()).await;
    assert_eq!(errors.unwrap(), []);
    health.clear_errors(&alice()).await.unwrap();
}
