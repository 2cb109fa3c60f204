//! What simulated hosts do not have.

use std::{io, path::PathBuf};

use world::{Ended, Input, Program, RunAs};

pub(super) struct NoTtys;

impl world::Ttys for NoTtys {
    fn of_login(&self, _: &str) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

pub(super) struct NoProcesses;

#[async_trait::async_trait]
impl world::Processes for NoProcesses {
    async fn run(&self, _: Program, _: Input) -> io::Result<Ended> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn user(&self, _: &str) -> io::Result<Option<RunAs>> {
        Ok(None)
    }

    fn own_user(&self) -> io::Result<Option<RunAs>> {
        Ok(None)
    }
}
