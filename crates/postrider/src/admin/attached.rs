//! The side of the terminal: attaches to an account of the running server and takes its messages.

use std::{io, path::Path};

use mail::terminal::Notice;
use tokio::io::BufReader;
use world::{BoxStream, World};

use super::{
    client::{connect, read_response, write_request},
    protocol::{AdminRequest, AdminResponse},
};
use crate::Failure;

pub struct AttachedTerminal(BufReader<BoxStream>);

impl std::fmt::Debug for AttachedTerminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttachedTerminal")
    }
}

impl AttachedTerminal {
    /// Attaches; returns the server's greeting too.
    pub async fn open(data_dir: &Path, address: String) -> Result<(Self, String), Failure> {
        let Some(stream) = connect(&World::system(), data_dir).await? else {
            return Err(Failure::new(format!(
                "no server runs on {}; start it, or name its directory with --config or --data",
                data_dir.display()
            )));
        };
        let mut terminal = Self(BufReader::new(stream));
        terminal.write(&AdminRequest::Attach { address }).await?;
        match terminal.read().await? {
            AdminResponse::Done { message } => Ok((terminal, message)),
            AdminResponse::Error { message } => Err(Failure::new(message)),
            _ => Err(unexpected()),
        }
    }

    /// Waits for the next message. An error once the server has stopped.
    pub async fn next(&mut self) -> Result<Notice, Failure> {
        match self.read().await? {
            AdminResponse::Message { notice } => Ok(notice),
            _ => Err(unexpected()),
        }
    }

    /// Tells the server that the message is on the terminal.
    pub async fn handle_shown(&mut self) -> Result<(), Failure> {
        self.write(&AdminRequest::Shown).await
    }

    async fn write(&mut self, request: &AdminRequest) -> Result<(), Failure> {
        write_request(&mut self.0, request).await.map_err(|error| gone(&error))
    }

    async fn read(&mut self) -> Result<AdminResponse, Failure> {
        read_response(&mut self.0).await.map_err(|error| gone(&error))
    }
}

fn gone(error: &io::Error) -> Failure {
    Failure::new(format!("the server has stopped, or closed its control socket: {error}"))
}

fn unexpected() -> Failure {
    Failure::new("the server answered something else; is it of the same version?")
}
