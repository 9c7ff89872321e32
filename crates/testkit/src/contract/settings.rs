//! What [`SettingsRepository`](majordomo_application::ports::SettingsRepository) must do.

use futures_util::future::join_all;
use majordomo_application::ports::settings_repository::{
    Resealed, SettingChange, SettingValue, StoredSetting, StoredValue,
};
use majordomo_domain::AuditRecord;

use super::{Stores, assert_conflict};
use crate::builders::{at, user};

const MANY: u32 = 1_000;

#[expect(clippy::unnecessary_wraps, reason = "a change without a value forgets")]
fn plain(value: SettingValue) -> Option<StoredValue> {
    Some(StoredValue::Plain(value))
}

fn text(text: &str) -> Option<StoredValue> {
    plain(SettingValue::Text(text.to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "a change without a value forgets")]
fn sealed(text: &str) -> Option<StoredValue> {
    Some(StoredValue::Sealed(text.to_owned()))
}

async fn set(stores: &Stores, owner: &str, changes: &[(&str, Option<StoredValue>)]) {
    let changes: Vec<SettingChange> = changes
        .iter()
        .map(|(name, value)| SettingChange {
            owner: user(owner),
            name: (*name).to_owned(),
            value: value.clone(),
        })
        .collect();
    let record = AuditRecord::of_system("settings.update", at(1));
    let changed = stores.settings.change(&changes, at(1), &record);
    changed.await.unwrap();
}

async fn list(stores: &Stores, owner: &str) -> Vec<StoredSetting> {
    stores.settings.list(&user(owner), MANY).await.unwrap()
}

async fn names(stores: &Stores, owner: &str) -> Vec<String> {
    let found = list(stores, owner).await;
    found.into_iter().map(|setting| setting.name).collect()
}

async fn reseal(
    stores: &Stores,
    changes: &[(&str, &str, &str)],
) -> Result<(), majordomo_application::ports::RepositoryError> {
    let changes: Vec<Resealed> = changes
        .iter()
        .map(|(name, from, to)| Resealed {
            owner: user("ann"),
            name: (*name).to_owned(),
            from: (*from).to_owned(),
            to: (*to).to_owned(),
        })
        .collect();
    let record = AuditRecord::of_system("secrets.rotate", at(2));
    stores.settings.reseal(&changes, &record).await
}

/// Every kind of value reads back, with its time.
pub async fn every_kind_of_value_reads_back(stores: Stores) {
    let values = [
        ("a", plain(SettingValue::Flag(true))),
        ("b", plain(SettingValue::Integer(-3))),
        ("c", plain(SettingValue::Number(0.7))),
        ("d", plain(SettingValue::Number(2.0))),
        ("e", text("Grüße, \"Welt\"\n\0🦀")),
        ("f", text("")),
        (
            "g",
            plain(SettingValue::List(vec!["x".to_owned(), String::new()])),
        ),
        ("h", plain(SettingValue::List(Vec::new()))),
        ("i", sealed("v1.0123456789abcdef.AAAA")),
    ];
    set(&stores, "ann", &values).await;
    let expected: Vec<StoredSetting> = values
        .into_iter()
        .map(|(name, value)| StoredSetting {
            owner: user("ann"),
            name: name.to_owned(),
            value: value.unwrap(),
            updated_at: at(1),
        })
        .collect();
    assert_eq!(list(&stores, "ann").await, expected);
}

/// A setting set again has its last value only, and one that is forgotten none.
pub async fn a_setting_is_replaced_and_forgotten(stores: Stores) {
    set(&stores, "ann", &[("a", text("1")), ("b", sealed("old"))]).await;
    set(&stores, "ann", &[("a", sealed("2")), ("b", text("new"))]).await;
    let values: Vec<_> = list(&stores, "ann").await;
    let values: Vec<_> = values.into_iter().map(|setting| setting.value).collect();
    assert_eq!(values, [sealed("2").unwrap(), text("new").unwrap()]);
    set(&stores, "ann", &[("a", None), ("never", None)]).await;
    assert_eq!(names(&stores, "ann").await, ["b"]);
}

/// Another owner's settings are neither listed nor changed.
pub async fn another_owners_settings_are_kept_apart(stores: Stores) {
    set(&stores, "ann", &[("a", text("ann's")), ("b", text("1"))]).await;
    set(&stores, "bob", &[("a", text("bob's"))]).await;
    set(&stores, "bob", &[("b", None)]).await;
    assert_eq!(names(&stores, "ann").await, ["a", "b"]);
    assert_eq!(names(&stores, "bob").await, ["a"]);
    assert_eq!(list(&stores, "bob").await[0].value, text("bob's").unwrap());
    assert!(list(&stores, "eve").await.is_empty());
}

/// Lists have a limit, and the setting of one name is found with every owner.
pub async fn settings_are_listed_by_owner_and_by_name(stores: Stores) {
    set(&stores, "ann", &[("b", text("1")), ("a", text("2"))]).await;
    set(&stores, "bob", &[("b", text("3"))]).await;
    let first = stores.settings.list(&user("ann"), 1).await.unwrap();
    assert_eq!(first[0].name, "a");
    assert_eq!(first.len(), 1);
    let named = stores.settings.named("b", MANY).await.unwrap();
    let owners: Vec<_> = named.iter().map(|setting| setting.owner.as_str()).collect();
    assert_eq!(owners, ["ann", "bob"]);
    assert_eq!(stores.settings.named("b", 1).await.unwrap().len(), 1);
    assert!(stores.settings.named("z", MANY).await.unwrap().is_empty());
}

/// Sealed settings of every owner are found, and only those.
pub async fn sealed_settings_are_found(stores: Stores) {
    set(&stores, "ann", &[("a", text("v1.x.y")), ("b", sealed("1"))]).await;
    set(&stores, "bob", &[("c", sealed("2"))]).await;
    let found = stores.settings.sealed(MANY).await.unwrap();
    let found: Vec<_> = found.iter().map(|setting| setting.name.as_str()).collect();
    assert_eq!(found, ["b", "c"]);
    assert_eq!(stores.settings.sealed(1).await.unwrap().len(), 1);
}

/// Sealed values are sealed anew all together or not at all.
pub async fn resealing_is_all_or_nothing(stores: Stores) {
    set(&stores, "ann", &[("a", sealed("1")), ("b", sealed("2"))]).await;
    set(&stores, "ann", &[("c", text("3"))]).await;
    for changes in [
        [("a", "1", "x"), ("b", "other", "y")],
        [("a", "1", "x"), ("c", "3", "y")],
        [("a", "1", "x"), ("z", "1", "y")],
    ] {
        assert_conflict(reseal(&stores, &changes).await);
    }
    let kept = stores.settings.sealed(MANY).await.unwrap();
    assert_eq!(kept[0].value, sealed("1").unwrap());
    reseal(&stores, &[("a", "1", "x"), ("b", "2", "y")])
        .await
        .unwrap();
    let replaced = stores.settings.sealed(MANY).await.unwrap();
    assert_eq!(replaced[0].value, sealed("x").unwrap());
    assert_eq!(replaced[1].value, sealed("y").unwrap());
}

/// A setting that must be made once is made once, whoever is faster.
pub async fn one_of_many_insertions_wins(stores: Stores) {
    let settings: Vec<_> = (0..8)
        .map(|number| StoredSetting {
            owner: user("ann"),
            name: "once".to_owned(),
            value: StoredValue::Sealed(number.to_string()),
            updated_at: at(number),
        })
        .collect();
    let record = AuditRecord::of_system("once.create", at(1));
    let attempts = settings
        .iter()
        .map(|setting| stores.settings.insert(setting, &record));
    let outcomes = join_all(attempts).await;
    let (mut made, mut lost) = (Vec::new(), 0);
    for (setting, outcome) in settings.iter().zip(outcomes) {
        if outcome.is_ok() {
            made.push(setting.clone());
        } else {
            assert_conflict(outcome);
            lost += 1;
        }
    }
    assert_eq!((made.len(), lost), (1, 7));
    let stored = stores.settings.list(&user("ann"), MANY).await.unwrap();
    assert_eq!(stored, made);
    assert_eq!(stores.audit.page(0, MANY).await.unwrap().len(), 1);
}

/// One change may be of several owners, and its record is in the audit log.
pub async fn a_change_of_two_owners_is_one_record(stores: Stores) {
    let change = |owner: &str| SettingChange {
        owner: user(owner),
        name: "a".to_owned(),
        value: text(owner),
    };
    let record = AuditRecord::of_system("settings.update", at(3)).with("changed", "a");
    let changes = [change("ann"), change("bob")];
    let changed = stores.settings.change(&changes, at(3), &record).await;
    changed.unwrap();
    assert_eq!(names(&stores, "ann").await, names(&stores, "bob").await);
    let entries = stores.audit.page(0, MANY).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].action, "settings.update");
    assert_eq!(entries[0].at, at(3));
}
