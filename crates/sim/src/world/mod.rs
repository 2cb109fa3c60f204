//! [`world::World`] as a function of a seed: time that jumps to the next timer, a network, names, and randomness.
//!
//! Everything runs on one thread of tokio with its clock paused, so that the order of all that happens follows from the
//! seed. What a process does to the outside goes through here, each time as a step of its [`Life`].

mod clock;
mod disk;
mod entropy;
mod life;
mod link;
mod names;
mod net;
mod nothing;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use store::memory::Chance;
use world::World;

pub use clock::{WallClock, uptime};
pub use disk::Disk;
use entropy::SimEntropy;
pub use life::Life;
pub use link::{LinkRecord, Word};
pub use names::{DnsWeather, Names};
pub use net::{Internet, Weather};

/// One thread whose clock jumps to the next timer whenever nobody can go on.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

/// What all hosts share.
#[derive(Clone, Debug)]
pub struct Outside {
    pub internet: Internet,
    pub names: Names,
    start: tokio::time::Instant,
}

impl Outside {
    /// Call on a runtime whose clock is paused.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            internet: Internet::new(Chance::new(chance.draw())),
            names: Names::new(Chance::new(chance.draw())),
            start: tokio::time::Instant::now(),
        }
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn wall_clock(&self) -> Arc<WallClock> {
        Arc::new(WallClock::new(self.start))
    }

    /// The world as one process of the host `ip` sees it.
    pub fn world(&self, ip: IpAddr, life: &Arc<Life>, wall: &Arc<WallClock>, seed: u64) -> World {
        World {
            clock: Arc::new(clock::HostClock::new(life.clone(), wall.clone())),
            net: Arc::new(self.internet.of_host(ip, life.clone())),
            dns: Arc::new(self.names.of_process(life.clone())),
            entropy: Arc::new(SimEntropy::new(seed)),
            ttys: Arc::new(nothing::NoTtys),
            processes: Arc::new(nothing::NoProcesses),
        }
    }
}

/// Everything runs on one thread, and no lock is held while something waits.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two durations, the ends included.
fn between(chance: &mut Chance, least: Duration, most: Duration) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
    least + Duration::from_micros(chance.below(span.saturating_add(1)))
}
