use std::path::PathBuf;

use clap::Args;

use crate::{Failure, config::Config};

/// The heading above options that every command takes.
pub const EVERYWHERE: &str = "Options of every command";

/// Which installation a command is about.
#[derive(Debug, Args)]
pub struct Location {
    /// Configuration file; without it the quick start is meant
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    pub config: Option<PathBuf>,
    /// Data directory, instead of the configured one
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    pub data: Option<PathBuf>,
}

impl Location {
    /// The configuration in effect.
    pub fn config(&self) -> Result<Config, Failure> {
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::quick_start()?,
        };
        if let Some(data) = &self.data {
            config.data_dir.clone_from(data);
        }
        Ok(config)
    }

    /// Only the data directory, so that a mistake elsewhere in the file does not stop who names it.
    pub fn data_dir(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => Ok(self.config()?.data_dir),
        }
    }
}
