//! The contract suites every storage backend passes.

use majordomo_testkit::Stores;

use crate::test_store;

majordomo_testkit::contract_tests!(async {
    let test = test_store();
    let store = &test.store;
    Stores {
        sessions: store.sessions(),
        journal: store.journal(),
        api_keys: store.api_keys(),
        oauth: store.oauth(),
        users: store.users(),
        settings: store.settings(),
        usage: store.usage(),
        budgets: store.budgets(),
        memories: store.memories(),
        memory_vectors: store.memory_vectors(),
        compares_vectors: false,
        turns: store.turns(),
        health: store.health(),
        audit: store.audit(),
        self_audit: store.self_audit(),
        guard: None,
    }
    .keeping(test)
});
