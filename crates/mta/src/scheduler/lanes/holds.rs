use super::Lanes;

/// What a running system has in memory for mail under way. Of a queue that is empty nothing is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Clients that are connected.
    pub clients: usize,
    /// Lanes that are awake, and those that sleep.
    pub lanes: usize,
    pub sleepers: usize,
    /// Entries that wait for a worker, or are in the hand of one.
    pub entries: usize,
    pub workers: usize,
    /// Sites whose state outlives that their lane sleeps.
    pub sites: usize,
    /// Entries in an operator's hand.
    pub claimed: usize,
}

impl Holds {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Lanes {
    /// All but clients.
    pub fn holds(&self) -> Holds {
        let awake = self.by_id.values();
        Holds {
            clients: 0,
            lanes: self.by_id.len(),
            sleepers: self.sleepers.len(),
            entries: awake.clone().map(|lane| lane.known.len()).sum(),
            workers: awake.map(|lane| lane.workers + lane.spare_sockets).sum(),
            sites: self.away.len(),
            claimed: self.claimed.len(),
        }
    }
}
