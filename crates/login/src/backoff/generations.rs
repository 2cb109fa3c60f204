//! A bounded map that forgets what was not asked for longest.

use std::{collections::HashMap, hash::Hash};

/// Two generations: when the young one is full it becomes the old one, and what was old is forgotten. Each step costs the
/// same, and there are never more than twice `young_max` entries.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_max: usize,
}

impl<K: Copy + Eq + Hash, V> Generations<K, V> {
    pub(super) fn new(young_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_max }
    }

    /// What is asked for is young again.
    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn get_or_insert(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        if self.get(&key).is_none() {
            self.make_room();
        }
        self.young.entry(key).or_insert_with(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if !self.young.contains_key(&key) {
            self.make_room();
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.young_max {
            self.old = std::mem::take(&mut self.young);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_keys_is_forgotten_and_what_is_used_stays() {
        let mut map = Generations::new(100);
        map.insert(0, "kept");
        for key in 1..100_000 {
            map.insert(key, "flood");
            assert!(map.len() <= 200);
            if key % 50 == 0 {
                assert_eq!(map.get(&0), Some(&mut "kept"));
            }
        }
        assert_eq!(map.get(&1), None);
        map.remove(&0);
        assert_eq!(map.get(&0), None);
        assert_eq!(map.get_or_insert(0, || "new"), &mut "new");
    }
}
