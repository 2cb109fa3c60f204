//! The side of the commands: asks the running server, or opens the store if none runs.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use world::{BoxStream, World};

use super::{
    Admin, QueueHand,
    protocol::{AdminRequest, AdminResponse, ExportPage, ExportedMessage, ImportPage, RESPONSE_BYTES_MAX},
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
/// Octets on their way between the two ends of this process.
const STREAM_BYTES: usize = 64 * 1024;

/// Where requests go.
#[derive(Debug)]
pub struct Session(Way);

enum Way {
    Running(BufReader<BoxStream>),
    /// And where it is served to ourselves, once that was needed.
    Offline(Box<Admin>, Option<BufReader<BoxStream>>),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Offline(..) => "Offline",
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
                    return Ok(Self(Way::Offline(Box::new(admin), None)));
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
            Way::Running(stream) => exchange(stream, &request).await.map_err(|error| broken(&error))?,
            Way::Offline(admin, _) => admin.execute(request).await,
        };
        match response {
            AdminResponse::Error { message } => Err(Failure::new(message)),
            response => Ok(response),
        }
    }

    /// A page of messages, whose octets are in `content` one after another.
    pub async fn import(&mut self, page: &ImportPage, content: &[u8]) -> Result<AdminResponse, Failure> {
        let stream = self.stream();
        let response = give_and_ask(stream, &AdminRequest::Import(page.clone()), content).await;
        match response.map_err(|error| broken(&error))? {
            AdminResponse::Error { message } => Err(Failure::new(message)),
            response => Ok(response),
        }
    }

    /// A page of messages; the octets of each have to be taken with [`content`](Self::content), in this order.
    pub async fn export(&mut self, page: ExportPage) -> Result<Vec<ExportedMessage>, Failure> {
        let response = exchange(self.stream(), &AdminRequest::Export(page)).await;
        match response.map_err(|error| broken(&error))? {
            AdminResponse::Exported { messages } => Ok(messages),
            AdminResponse::Error { message } => Err(Failure::new(message)),
            _ => Err(Failure::new("the server gave another answer than expected")),
        }
    }

    /// As [`ask`](Self::ask), where octets may follow the response, or later requests depend on this one.
    pub async fn exchange(&mut self, request: &AdminRequest) -> Result<AdminResponse, Failure> {
        match exchange(self.stream(), request).await.map_err(|error| broken(&error))? {
            AdminResponse::Error { message } => Err(Failure::new(message)),
            response => Ok(response),
        }
    }

    pub async fn content(&mut self, octets: u64) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        self.stream().take(octets).read_to_end(&mut content).await.map_err(|error| broken(&error))?;
        if content.len() as u64 == octets {
            return Ok(content);
        }
        Err(Failure::new("a message cannot be read to its end; the server's log tells more"))
    }

    /// Where octets can follow a request; a store that is open here is served to ourselves.
    fn stream(&mut self) -> &mut BufReader<BoxStream> {
        match &mut self.0 {
            Way::Running(stream) => stream,
            Way::Offline(admin, stream) => stream.get_or_insert_with(|| served(admin)),
        }
    }

    /// Leaves the store as the next opening likes it.
    pub async fn close(self) -> Result<(), Failure> {
        match self.0 {
            Way::Running(_) => Ok(()),
            Way::Offline(admin, _) => Ok(admin.stores.engine.close().await?),
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

fn served(admin: &Admin) -> BufReader<BoxStream> {
    let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
    let admin = admin.clone();
    tokio::spawn(async move { socket::converse(Box::new(theirs), &admin, None).await });
    BufReader::new(Box::new(ours))
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(format!("the server did not answer on its control socket: {error}"))
}

async fn give_and_ask(
    stream: &mut BufReader<BoxStream>,
    request: &AdminRequest,
    content: &[u8],
) -> io::Result<AdminResponse> {
    write_request(stream, request).await?;
    stream.write_all(content).await?;
    stream.flush().await?;
    read_response(stream).await
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
