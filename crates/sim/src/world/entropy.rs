use std::sync::Mutex;

use store::memory::Chance;

use super::lock;

pub(super) struct SimEntropy(Mutex<Chance>);

impl SimEntropy {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }
}

impl world::Entropy for SimEntropy {
    fn fill(&self, octets: &mut [u8]) {
        let mut chance = lock(&self.0);
        for chunk in octets.chunks_mut(8) {
            let drawn = chance.draw().to_le_bytes();
            chunk.iter_mut().zip(drawn).for_each(|(octet, random)| *octet = random);
        }
    }
}
