//! The server: opens the store, starts the services, waits for signals, stops in order.

mod certificates;
mod expunged;
mod logins;
mod outgoing;
mod proxied;
mod quick_start;
pub mod routing;
mod sharing;
mod signals;
mod urls;
pub mod wiring;

use std::{path::Path, sync::Arc, time::Duration};

use access::imap::SearchIndexer;
use store::Stores;
use world::{ShutdownTrigger, World};

use crate::{
    Failure,
    admin::{Admin, QueueHand, socket},
    cli::{Location, on_all_cores},
    config::Config,
    logging, storage,
};
use signals::{Signal, Signals};
use wiring::Services;

/// How often it is looked whether the store still takes commits.
const STORE_WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Serves until a signal says stop, or the store fails.
pub fn run(location: &Location) -> Result<(), Failure> {
    let config = location.config()?;
    logging::start(&config.log)?;
    on_all_cores(serve(location, config))
}

async fn serve(location: &Location, config: Config) -> Result<(), Failure> {
    let world = World::resolving(routing::resolver(&config));
    let mut signals = Signals::listen()?;
    let stores = storage::open(&config.data_dir, true).await?;
    let (trigger, shutdown) = ShutdownTrigger::new();
    // Before anything is served: whoever sees a greeting may give administrative commands.
    let control = bind_control(&world, &config.data_dir).await?;
    expunged::keep(&config, &stores);
    sharing::configure(&config, &stores);
    let services = Services::start(&config, &stores, &world, &shutdown).await?;
    tokio::spawn(expunged::run(stores.clone(), world.clone(), shutdown.clone()));
    tokio::spawn(SearchIndexer::new(&stores, world.clock.clone()).run(shutdown.clone()));
    let admin = Arc::new(Admin {
        stores: stores.clone(),
        world: world.clone(),
        queue: QueueHand::Running(services.mta().clone()),
        listeners: services.listeners().to_vec(),
        config: None,
    });
    let control = tokio::spawn(socket::serve(control, admin.clone(), shutdown));
    if location.config.is_none() {
        quick_start::welcome(&admin, location, &config.data_dir).await?;
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), hostname = %config.hostname, "ready");
    let ended = run_until_stopped(location, &config, &stores, &services, &mut signals).await;
    trigger.give();
    services.drain().await;
    control.abort();
    remove_socket(&config.data_dir);
    let closed = stores.engine.close().await.map_err(Failure::from);
    tracing::info!("stopped");
    ended.and(closed)
}

async fn bind_control(world: &World, data_dir: &Path) -> Result<Box<dyn world::Listener>, Failure> {
    socket::bind(world, data_dir).await.map_err(|error| {
        let path = data_dir.join(socket::NAME);
        Failure::new(format!(
            "the control socket {} cannot be made: {error}; the path may have at most 107 octets",
            path.display()
        ))
    })
}

/// A socket file that nobody answers on would only slow the next command down.
fn remove_socket(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(data_dir.join(socket::NAME)) {
        tracing::debug!(%error, "the control socket was not removed");
    }
}

async fn run_until_stopped(
    location: &Location,
    config: &Config,
    stores: &Stores,
    services: &Services,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut watch = tokio::time::interval(STORE_WATCH_INTERVAL);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Reload => reload(location, config, stores, services),
                Signal::Stop => {
                    tracing::info!("stopping: sessions may end, deliveries under way too");
                    return Ok(());
                }
            },
            // After a failed sync only a restart makes certain what is on disk.
            _ = watch.tick() => if let Some(reason) = stores.engine.poisoned() {
                return Err(Failure::new(format!("the store failed ({reason}); start again to recover what is on disk")));
            },
        }
    }
}

/// Puts the file's present content in force; what cannot be used leaves everything as it was.
fn reload(location: &Location, running: &Config, stores: &Stores, services: &Services) {
    if location.config.is_none() {
        tracing::info!("SIGHUP: the quick start has no configuration file to read again");
        return;
    }
    let outcome = location.config().and_then(|config| {
        services.reload(&config)?;
        expunged::keep(&config, stores);
        sharing::configure(&config, stores);
        Ok(config)
    });
    match outcome {
        Ok(config) => {
            if config.listener != running.listener
                || config.data_dir != running.data_dir
                || config.log != running.log
            {
                tracing::warn!("changes of [[listener]], [log] and data_dir take a restart");
            }
            tracing::info!("SIGHUP: the configuration was read again and is in force");
        }
        Err(error) => {
            tracing::error!(%error, "SIGHUP: the new configuration cannot be used; the old one stays");
        }
    }
}
