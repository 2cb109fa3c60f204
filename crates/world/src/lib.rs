//! The outside of Postrider behind object-safe traits: [`Clock`], [`Net`], [`Dns`], [`Entropy`], [`Ttys`],
//! [`Processes`].
//!
//! This is the only crate that names sockets, wall time, resolvers and randomness. Everything else is handed a
//! [`World`], so that a simulated one can take its place.

mod accept;
mod clock;
pub mod dns;
mod entropy;
pub mod http;
mod net;
mod process;
mod public;
mod task;
pub mod tls;
mod tty;

use std::sync::Arc;

pub use accept::{SessionGuard, serve_connections};
pub use clock::{Clock, SystemClock};
pub use dns::{Dns, DnsError, ResolverSettings, SystemDns};
pub use entropy::{Entropy, SystemEntropy};
pub use net::{BoxStream, ListenAddress, Listener, Net, Peer, Stream, SystemNet, own_addresses, read_some};
pub use process::{ERROR_BYTES_MAX, End, Ended, Input, Processes, Program, RunAs, SystemProcesses};
pub use public::is_public;
pub use task::{Shutdown, ShutdownTrigger};
pub use tty::{SystemTtys, Ttys, ask_secret};

/// One handle on everything outside the process; cheap to clone.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub net: Arc<dyn Net>,
    pub dns: Arc<dyn Dns>,
    pub entropy: Arc<dyn Entropy>,
    pub ttys: Arc<dyn Ttys>,
    pub processes: Arc<dyn Processes>,
}

impl World {
    /// The real world: the system's clock, sockets, resolver, random generator and terminals.
    pub fn system() -> Self {
        Self::resolving(ResolverSettings::default())
    }

    /// The same with other name servers.
    pub fn resolving(settings: ResolverSettings) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            net: Arc::new(SystemNet),
            dns: Arc::new(SystemDns::new(settings)),
            entropy: Arc::new(SystemEntropy),
            ttys: Arc::new(SystemTtys),
            processes: Arc::new(SystemProcesses),
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
