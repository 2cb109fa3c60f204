//! The log on standard error. What peers send is cleaned before it becomes a field, never written raw.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    Failure,
    config::options::{Log, LogFormat},
};

/// Begins logging as configured; `RUST_LOG` overrides the level.
pub fn start(log: &Log) -> Result<(), Failure> {
    let level = log.level.word();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => registry
            .with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false))
            .try_init(),
        LogFormat::Json => registry
            .with(
                fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).with_current_span(false),
            )
            .try_init(),
    };
    started.map_err(|error| Failure::new(format!("the log cannot be started: {error}")))
}
