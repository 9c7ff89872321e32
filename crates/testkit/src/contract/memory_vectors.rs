//! What [`MemoryVectors`](majordomo_application::ports::MemoryVectors) must do.

use majordomo_application::ports::{
    NearVector, NewVector, RememberedId, RememberedKind, StoredVector, VectorCounts, VectorSpace,
};
use majordomo_domain::Memory;

use super::Stores;
use super::memories::{insert, one_and_two};
use crate::builders::{answer, erasure, memory, session_id, turn, user};

pub(super) fn space(model: &str, dimension: u32) -> VectorSpace {
    VectorSpace {
        model: model.to_owned(),
        dimension,
    }
}

pub(super) async fn memories_with_vector(stores: &Stores, owner: &str, space: &VectorSpace) -> u64 {
    let count = stores.memory_vectors.count(&user(owner), space).await;
    count.unwrap().memories
}

async fn vectors_of(stores: &Stores, owner: &str, space: &VectorSpace) -> Vec<StoredVector> {
    later_vectors(stores, owner, space, RememberedKind::Memory, 0).await
}

async fn later_vectors(
    stores: &Stores,
    owner: &str,
    space: &VectorSpace,
    kind: RememberedKind,
    after: u64,
) -> Vec<StoredVector> {
    let vectors = &stores.memory_vectors;
    let later = vectors.changes(&user(owner), space, kind, after, 10).await;
    later.unwrap()
}

fn remembered(memory: &Memory) -> RememberedId {
    RememberedId::Memory(memory.id.clone())
}

pub(super) fn vector(memory: &Memory, numbers: &[f32]) -> NewVector {
    NewVector {
        of: remembered(memory),
        revision: memory.revision,
        vector: numbers.to_vec(),
    }
}

/// Vectors read back in their space only, and every memory without one of a space is told.
pub async fn vectors_of_two_spaces_are_never_mixed(stores: Stores) {
    let owner = user("ann");
    let stored = one_and_two(&stores, &owner).await;
    let (two, three) = (space("small", 2), space("large", 3));
    let vectors = &stores.memory_vectors;
    let first = [vector(&stored[0], &[0.5, -1.25e-7])];
    vectors.store(&owner, &two, &first).await.unwrap();
    let listed = vectors_of(&stores, "ann", &two).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].of, remembered(&stored[0]));
    assert_eq!(listed[0].vector, [0.5, -1.25e-7]);
    assert_eq!(vectors_of(&stores, "ann", &three).await, []);
    let (memories, last) = (RememberedKind::Memory, listed[0].stored);
    assert_eq!(
        later_vectors(&stores, "ann", &two, memories, last).await,
        []
    );
    let missing = vectors.missing(&two, None, 10).await.unwrap();
    assert_eq!(missing, [(owner.clone(), remembered(&stored[1]))]);
    assert_eq!(vectors.missing(&three, None, 10).await.unwrap().len(), 2);
    let again = [vector(&stored[0], &[1.0, 2.0, 3.0])];
    vectors.store(&owner, &three, &again).await.unwrap();
    assert_eq!(memories_with_vector(&stores, "ann", &two).await, 0);
    assert_eq!(memories_with_vector(&stores, "ann", &three).await, 1);
    assert_eq!(memories_with_vector(&stores, "bob", &three).await, 0);
    let first = remembered(&stored[0]);
    let after = vectors.missing(&three, Some(&first), 10).await.unwrap();
    assert_eq!(after, [(owner, remembered(&stored[1]))]);
}

/// Whoever has read vectors up to a revision finds what was stored or replaced later, in order, and no more.
pub async fn vectors_are_told_in_the_order_they_were_stored(stores: Stores) {
    let owner = user("ann");
    let new: Vec<Memory> = (1..=3).map(|n| memory("ann", n, "text")).collect();
    insert(&stores, "ann", &new).await;
    let stored = stores.memories.changes(&owner, 0, 10).await.unwrap();
    let (space, vectors) = (space("small", 2), &stores.memory_vectors);
    for place in [2, 0, 1, 2] {
        let one = [vector(&stored[place], &[1.0, 0.0])];
        vectors.store(&owner, &space, &one).await.unwrap();
    }
    let all = vectors_of(&stores, "ann", &space).await;
    let order: Vec<RememberedId> = all.iter().map(|vector| vector.of.clone()).collect();
    assert_eq!(order, [0, 1, 2].map(|place| remembered(&stored[place])));
    assert!(all.is_sorted_by(|a, b| a.stored < b.stored));
    let memories = RememberedKind::Memory;
    let first = vectors.changes(&owner, &space, memories, 0, 1).await;
    assert_eq!(first.unwrap(), all[..1]);
    let rest = later_vectors(&stores, "ann", &space, memories, all[0].stored).await;
    assert_eq!(rest, all[1..]);
}

/// Messages have vectors as memories do, the owner's only, and lose them with their session.
pub async fn turns_have_vectors_as_long_as_their_session(stores: Stores) {
    let ann = user("ann");
    let said = turn("ann", "s", 1, "hello");
    stores.journal.accept(said.clone()).await.unwrap();
    stores.journal.finish(answer(&said, "yes")).await.unwrap();
    insert(&stores, "ann", &[memory("ann", 1, "one")]).await;
    let (space, vectors) = (space("small", 2), &stores.memory_vectors);
    let missing = vectors.missing(&space, None, 10).await.unwrap();
    let mut ids: Vec<RememberedId> = missing.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 3);
    assert!(matches!(ids[0], RememberedId::Memory(_)));
    let paged = vectors.missing(&space, Some(&ids[0]), 1).await.unwrap();
    assert_eq!(paged, [(ann.clone(), ids[1].clone())]);
    let paged = vectors.missing(&space, Some(&ids[1]), 10).await.unwrap();
    assert_eq!(paged, [(ann.clone(), ids[2].clone())]);
    let new = |id: &RememberedId| NewVector {
        of: id.clone(),
        revision: 0,
        vector: vec![0.0, 1.0],
    };
    let turns: Vec<NewVector> = ids.drain(1..).map(|id| new(&id)).collect();
    vectors.store(&user("bob"), &space, &turns).await.unwrap();
    vectors.store(&ann, &space, &turns).await.unwrap();
    vectors.store(&ann, &space, &turns).await.unwrap();
    let counts = |memories, turns| VectorCounts { memories, turns };
    let embedded = vectors.count(&ann, &space).await.unwrap();
    assert_eq!(embedded, counts(0, 2));
    let all = async |owner| vectors.embeddable(&user(owner)).await.unwrap();
    assert_eq!(all("ann").await, counts(1, 2));
    assert_eq!(all("bob").await, counts(0, 0));
    let kind = RememberedKind::Turn;
    let hers = later_vectors(&stores, "ann", &space, kind, 0).await;
    assert_eq!(hers.len(), 2);
    assert_eq!(vectors_of(&stores, "ann", &space).await, []);
    assert_eq!(later_vectors(&stores, "bob", &space, kind, 0).await, []);
    let deleted = stores
        .sessions
        .delete(&ann, &session_id("s"), &erasure())
        .await;
    assert!(deleted.unwrap());
    assert_eq!(later_vectors(&stores, "ann", &space, kind, 0).await, []);
    let missing = vectors.missing(&space, None, 10).await.unwrap();
    assert_eq!(missing.len(), 1);
}

/// A memory that says something else has no vector until it is embedded anew; one that only faded keeps it.
pub async fn a_rewritten_memory_loses_its_vector(stores: Stores) {
    let owner = user("ann");
    insert(&stores, "ann", &[memory("ann", 1, "one")]).await;
    let space = space("small", 2);
    let first = stores.memories.changes(&owner, 0, 10).await.unwrap();
    let vectors = &stores.memory_vectors;
    vectors
        .store(&owner, &space, &[vector(&first[0], &[1.0, 0.0])])
        .await
        .unwrap();
    stores
        .memories
        .replace(&owner, &first, false, None)
        .await
        .unwrap();
    assert_eq!(memories_with_vector(&stores, "ann", &space).await, 1);
    let second = stores.memories.changes(&owner, 0, 10).await.unwrap();
    stores
        .memories
        .replace(&owner, &second, true, None)
        .await
        .unwrap();
    assert_eq!(memories_with_vector(&stores, "ann", &space).await, 0);
    vectors
        .store(&owner, &space, &[vector(&second[0], &[1.0, 0.0])])
        .await
        .unwrap();
    assert_eq!(memories_with_vector(&stores, "ann", &space).await, 0);
}

/// What is near is told, the nearest first, of the owner, the space and the kinds that are asked for, as long as it is there.
pub async fn the_nearest_come_first_and_only_the_owners(stores: Stores) {
    let (ann, bob) = (user("ann"), user("bob"));
    let said = turn("ann", "s", 1, "hello");
    stores.journal.accept(said.clone()).await.unwrap();
    let hers: Vec<Memory> = (1..=4).map(|n| memory("ann", n, "text")).collect();
    insert(&stores, "ann", &hers).await;
    insert(&stores, "bob", &[memory("bob", 9, "text")]).await;
    let stored = stores.memories.changes(&ann, 0, 10).await.unwrap();
    let his = stores.memories.changes(&bob, 0, 10).await.unwrap();
    let (space, vectors) = (space("small", 2), &stores.memory_vectors);
    let message = NewVector {
        of: RememberedId::Turn(said.message.id.clone()),
        revision: 0,
        vector: vec![4.0, 1.0],
    };
    let new = [
        vector(&stored[0], &[0.0, 2.0]),
        vector(&stored[1], &[3.0, 0.0]),
        vector(&stored[2], &[-1.0, 0.0]),
        message,
    ];
    vectors.store(&ann, &space, &new).await.unwrap();
    let other = self::space("other", 2);
    let elsewhere = [vector(&stored[3], &[1.0, 0.0])];
    vectors.store(&ann, &other, &elsewhere).await.unwrap();
    let same = [vector(&his[0], &[1.0, 0.0])];
    vectors.store(&bob, &space, &same).await.unwrap();
    let nearest = async |turns, limit| {
        let asked = vectors.nearest(&ann, &space, &[1.0, 0.0], turns, limit);
        asked.await.unwrap()
    };
    let Some(near) = nearest(true, 10).await else {
        assert!(!stores.compares_vectors);
        return;
    };
    assert!(stores.compares_vectors);
    let found = |near: &[NearVector]| near.iter().map(|n| n.of.clone()).collect::<Vec<_>>();
    let ids: Vec<RememberedId> = [1, 3, 0, 2].map(|place| new[place].of.clone()).into();
    assert_eq!(found(&near), ids);
    let cosines = [1.0, 4.0 / 17.0_f32.sqrt(), 0.0, -1.0];
    for (near, cosine) in near.iter().zip(cosines) {
        assert!((near.similarity - cosine).abs() < 1e-6, "{near:?}");
    }
    let only_memories = nearest(false, 2).await.unwrap();
    assert_eq!(found(&only_memories), [&ids[0], &ids[2]].map(Clone::clone));
    let record = erasure();
    let gone = stored[1].id.clone();
    let deleted = stores.memories.delete(&ann, &[gone], None, &record).await;
    assert_eq!(deleted.unwrap(), 1);
    let session = session_id("s");
    let deleted = stores.sessions.delete(&ann, &session, &record).await;
    assert!(deleted.unwrap());
    let rewritten = stores.memories.replace(&ann, &stored[..1], true, None);
    assert_eq!(rewritten.await.unwrap(), 1);
    let left = nearest(true, 10).await.unwrap();
    assert_eq!(found(&left), ids[3..]);
}
