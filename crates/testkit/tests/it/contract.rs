//! The in-memory store passes every contract case, and no case is forgotten.

use std::sync::Arc;

use majordomo_testkit::contract::Stores;
use majordomo_testkit::in_memory::InMemoryStore;

majordomo_testkit::contract_tests!(async {
    Stores::of(Arc::new(InMemoryStore::new().comparing_vectors())).comparing_vectors()
});

#[test]
fn every_case_is_listed_in_the_macro() {
    let listed: Vec<&str> = include_str!("../../src/contract.rs")
        .lines()
        .map(str::trim)
        .collect();
    let suites = [
        include_str!("../../src/contract/sessions.rs"),
        include_str!("../../src/contract/removal.rs"),
        include_str!("../../src/contract/journal.rs"),
        include_str!("../../src/contract/events.rs"),
        include_str!("../../src/contract/finishing.rs"),
        include_str!("../../src/contract/recording.rs"),
        include_str!("../../src/contract/search.rs"),
        include_str!("../../src/contract/snippets.rs"),
        include_str!("../../src/contract/api_keys.rs"),
        include_str!("../../src/contract/settings.rs"),
        include_str!("../../src/contract/usage.rs"),
        include_str!("../../src/contract/budgets.rs"),
        include_str!("../../src/contract/audit.rs"),
        include_str!("../../src/contract/self_audit.rs"),
        include_str!("../../src/contract/health.rs"),
        include_str!("../../src/contract/oauth.rs"),
        include_str!("../../src/contract/memories.rs"),
    ];
    let cases = suites
        .iter()
        .flat_map(|suite| suite.lines())
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|line| line.split_once('('))
        .map(|(name, _)| name);
    let forgotten: Vec<&str> = cases.filter(|case| !listed.contains(case)).collect();
    assert_eq!(forgotten, Vec::<&str>::new());
}
