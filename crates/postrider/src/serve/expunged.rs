//! Expunged messages go for good when their time is over.

use std::time::Duration;

use store::Stores;
use world::{Shutdown, World};

use crate::config::Config;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_mins(10);

/// As long as the configuration says.
pub fn keep(config: &Config, stores: &Stores) {
    stores.mailboxes.keep_expunged(config.mailboxes.undelete_for.0, config.mailboxes.undelete_bytes_max.0);
}

/// Until shutdown.
pub async fn run(stores: Stores, world: World, mut shutdown: Shutdown) {
    loop {
        match stores.mailboxes.let_go(world.clock.wall()).await {
            Ok(0) => {}
            Ok(messages) => tracing::info!(messages, "expunged messages can be restored no more"),
            Err(error) => tracing::warn!(%error, "expunged messages whose time is over cannot be let go"),
        }
        tokio::select! {
            () = world.clock.sleep_until(world.clock.now() + INTERVAL) => {}
            () = shutdown.given() => return,
        }
    }
}
