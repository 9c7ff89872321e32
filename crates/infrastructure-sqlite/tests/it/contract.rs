//! The contract suites every storage backend passes.

use majordomo_testkit::Stores;

use crate::test_store;

majordomo_testkit::contract_tests!(async {
    let test = test_store();
    let store = &test.store;
    Stores::new(
        store.sessions(),
        store.journal(),
        store.api_keys(),
        store.health(),
    )
    .keeping(test)
});
