//! The side of the commands: asks the running server, or opens the store if none runs.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use world::{BoxStream, World};

use super::{
    Admin, QueueHand,
    protocol::{AdminRequest, AdminResponse, RESPONSE_BYTES_MAX},
    socket,
};
use crate::{
    Failure,
    config::Config,
    serve::{routing, wiring},
    storage::{self, OpenFailure},
};

/// How long a command waits for a server that has the store but does not answer yet.
const STARTING_PATIENCE: Duration = Duration::from_secs(20);
const STARTING_POLL: Duration = Duration::from_millis(50);

/// Where requests go.
#[derive(Debug)]
pub struct Session(Way);

enum Way {
    Running(BufReader<BoxStream>),
    Offline(Box<Admin>),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Offline(_) => "Offline",
        })
    }
}

impl Session {
    /// Connects to the server of this data directory, or opens the directory itself; makes it if `create` says so.
    pub async fn open(data_dir: &Path, create: bool) -> Result<Self, Failure> {
        Self::open_in(World::system(), data_dir, create, None).await
    }

    /// The same for what takes the configuration: policy, routes and name servers.
    pub async fn open_configured(config: &Config) -> Result<Self, Failure> {
        let world = World::resolving(routing::resolver(config));
        let in_force = Arc::new(wiring::mta_config(config)?);
        Self::open_in(world, &config.data_dir, false, Some(in_force)).await
    }

    async fn open_in(
        world: World,
        data_dir: &Path,
        create: bool,
        config: Option<Arc<mta::Config>>,
    ) -> Result<Self, Failure> {
        let until = world.clock.now() + STARTING_PATIENCE;
        loop {
            if let Some(stream) = connect(&world, data_dir).await? {
                return Ok(Self(Way::Running(BufReader::new(stream))));
            }
            match storage::open(data_dir, create).await {
                Ok(stores) => {
                    let admin =
                        Admin { stores, world, queue: QueueHand::Offline, listeners: Vec::new(), config };
                    return Ok(Self(Way::Offline(Box::new(admin))));
                }
                // A server that starts or stops has the store but no control socket.
                Err(OpenFailure::InUse(_)) if world.clock.now() < until => {
                    world.clock.sleep_until(world.clock.now() + STARTING_POLL).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// A server answers, which may have more to tell later.
    pub fn is_running(&self) -> bool {
        matches!(self.0, Way::Running(_))
    }

    /// The response; one that says what went wrong is a failure.
    pub async fn ask(&mut self, request: AdminRequest) -> Result<AdminResponse, Failure> {
        let response = match &mut self.0 {
            Way::Running(stream) => exchange(stream, &request).await.map_err(|error| {
                Failure::new(format!("the server did not answer on its control socket: {error}"))
            })?,
            Way::Offline(admin) => admin.execute(request).await,
        };
        match response {
            AdminResponse::Error { message } => Err(Failure::new(message)),
            response => Ok(response),
        }
    }

    /// Leaves the store as the next opening likes it.
    pub async fn close(self) -> Result<(), Failure> {
        match self.0 {
            Way::Running(_) => Ok(()),
            Way::Offline(admin) => Ok(admin.stores.engine.close().await?),
        }
    }
}

/// A connection to the control socket; none if no server listens there.
pub(super) async fn connect(world: &World, data_dir: &Path) -> Result<Option<BoxStream>, Failure> {
    let path = data_dir.join(socket::NAME);
    match world.net.connect_unix(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(Failure::new(format!(
            "the control socket {} cannot be opened: {error}; run this as the user the server runs as",
            path.display()
        ))),
    }
}

async fn exchange(stream: &mut BufReader<BoxStream>, request: &AdminRequest) -> io::Result<AdminResponse> {
    write_request(stream, request).await?;
    read_response(stream).await
}

pub(super) async fn write_request(
    stream: &mut BufReader<BoxStream>,
    request: &AdminRequest,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

pub(super) async fn read_response(stream: &mut BufReader<BoxStream>) -> io::Result<AdminResponse> {
    let mut answer = Vec::new();
    let mut limited = stream.take(RESPONSE_BYTES_MAX as u64);
    if limited.read_until(b'\n', &mut answer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
