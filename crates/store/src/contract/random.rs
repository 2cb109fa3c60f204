//! Random batches on the engine and on the memory engine must do the same.

use std::{collections::BTreeMap, sync::Arc};

use super::{Subject, body, everything, get, key, pattern, pending};
use crate::{
    batch::{Batch, Expect, HoleWidth, Template},
    engine::{BlobId, Engine, Key, KeyRange, Order},
    memory::{Chance, MemoryEngine},
};

const ROUNDS: u64 = 400;

/// A body that both engines hold; what is in it follows from `round` and `length`.
struct Stored {
    in_model: BlobId,
    round: u64,
    length: usize,
    references: i64,
}

pub async fn random_batches_agree_with_the_model(mut subject: impl Subject) {
    run(&mut subject, 1, 0).await;
}

pub async fn random_batches_agree_across_restarts(mut subject: impl Subject) {
    run(&mut subject, 2, 40).await;
}

async fn run(subject: &mut impl Subject, seed: u64, restart_one_in: u32) {
    let model: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mut chance = Chance::new(seed);
    let mut bodies: BTreeMap<BlobId, Stored> = BTreeMap::new();
    for round in 0..ROUNDS {
        let engine = subject.engine();
        let (mut one, mut other) = (Batch::new(), Batch::new());
        let recipe = chance.draw();
        fill(&mut one, recipe, &engine).await;
        fill(&mut other, recipe, &engine).await;
        if chance.one_in(3) {
            let length =
                if chance.one_in(6) { 300_000 } else { usize::try_from(chance.below(9000)).unwrap() };
            let octets = pattern(round, length);
            let (mine, models) = (pending(&engine, &octets).await, pending(&model, &octets).await);
            one.references(mine.id, 2);
            other.references(models.id, 2);
            bodies.insert(mine.id, Stored { in_model: models.id, round, length, references: 2 });
            one.blob(mine);
            other.blob(models);
        }
        for (id, stored) in bodies.iter_mut().filter(|(_, stored)| stored.references > 0) {
            if chance.one_in(4) {
                one.references(*id, -1);
                other.references(stored.in_model, -1);
                stored.references -= 1;
            }
        }
        let (one, other) = (engine.commit(one).await.unwrap(), model.commit(other).await.unwrap());
        assert_eq!(one.slots, other.slots, "round {round}");
        drop(engine);
        if chance.one_in(restart_one_in) && !subject.reopen(chance.one_in(2)).await {
            return;
        }
        if chance.one_in(10) || round + 1 == ROUNDS {
            compare(&subject.engine(), &model, &bodies).await;
        }
    }
}

/// Some random steps whose checks hold; the same for the same recipe and state.
async fn fill(batch: &mut Batch, recipe: u64, engine: &Arc<dyn Engine>) {
    let mut chance = Chance::new(recipe);
    for _ in 0..chance.below(12) {
        let name = random_key(&mut chance);
        match chance.below(6) {
            0 => batch.delete(name),
            1 => {
                let counter = key([b'n', u8::try_from(chance.below(4)).unwrap()]);
                let delta = i64::try_from(chance.below(20)).unwrap() - 8;
                let slot = batch.add(counter, delta);
                let value = Template::from(b"at ".to_vec()).hole(HoleWidth::Eight, slot);
                batch.put(Template::from(name).hole(HoleWidth::Four, slot), value);
            }
            2 => {
                let expect = match get(engine, name.as_slice()).await {
                    Some(_) if chance.one_in(2) => Expect::Present,
                    Some(value) => Expect::Equals(value),
                    None => Expect::Absent,
                };
                batch.check(name, expect);
            }
            _ => {
                let length = usize::try_from(chance.below(300)).unwrap();
                batch.put(name, pattern(chance.draw(), length).to_vec());
            }
        }
    }
}

fn random_key(chance: &mut Chance) -> Key {
    let number = u16::try_from(chance.below(300)).unwrap();
    key([&b"k"[..], &number.to_be_bytes()].concat())
}

async fn compare(engine: &Arc<dyn Engine>, model: &Arc<dyn Engine>, bodies: &BTreeMap<BlobId, Stored>) {
    assert_eq!(everything(engine).await, everything(model).await);
    for order in [Order::Ascending, Order::Descending] {
        let range = KeyRange { start: key(b"k\0\x40"), end: key(b"k\0\xC0") };
        assert_eq!(
            engine.scan(range.clone(), order, 13).await.unwrap(),
            model.scan(range, order, 13).await.unwrap()
        );
    }
    for (id, stored) in bodies {
        let expected = (stored.references > 0).then(|| pattern(stored.round, stored.length));
        assert!(body(engine, *id).await == expected, "body of round {}", stored.round);
        assert!(body(model, stored.in_model).await == expected, "the model's body of round {}", stored.round);
    }
}
