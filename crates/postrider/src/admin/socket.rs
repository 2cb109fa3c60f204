//! The control socket: requests and responses as JSON lines, for whoever may open the file.

use std::{io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use world::{BoxStream, ListenAddress, Listener, Shutdown, World};

use super::{
    Admin, attach,
    protocol::{AdminRequest, AdminResponse, REQUEST_BYTES_MAX},
    snapshot, transfer,
};

/// The socket's name in the data directory.
pub const NAME: &str = "control.sock";
/// Connections served at a time; more wait.
const CONNECTIONS_MAX: usize = 32;
/// A connection that asks nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// After a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Binds the socket in the data directory, for its owner only.
pub async fn bind(world: &World, data_dir: &Path) -> io::Result<Box<dyn Listener>> {
    let path = data_dir.join(NAME);
    let listener = world.net.listen(&ListenAddress::Unix(path.clone())).await?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves requests until shutdown.
pub async fn serve(listener: Box<dyn Listener>, admin: Arc<Admin>, mut shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.given() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let admin = admin.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &admin, Some(place)).await {
                        tracing::debug!(%error, "a control connection broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept");
                let clock = &admin.world.clock;
                clock.sleep_until(clock.now() + ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Answers the requests of one connection in order. An attached terminal gives its place up: it is counted elsewhere.
pub async fn converse(
    stream: BoxStream,
    admin: &Admin,
    place: Option<OwnedSemaphorePermit>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut held = snapshot::Held::default();
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut stream).take(REQUEST_BYTES_MAX as u64 + 1);
        let read = tokio::time::timeout(IDLE_TIMEOUT, limited.read_until(b'\n', &mut line));
        if read.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
            return Ok(());
        }
        if line.len() > REQUEST_BYTES_MAX {
            let refusal = format!("a request is longer than {REQUEST_BYTES_MAX} octets");
            return respond(&mut stream, &AdminResponse::error(refusal)).await;
        }
        let response = match serde_json::from_slice::<AdminRequest>(&line) {
            Ok(AdminRequest::Attach { address }) => {
                drop(place);
                return attach::serve(&mut stream, admin, &address).await;
            }
            Ok(AdminRequest::Import(page)) => {
                let taken = tokio::time::timeout(IDLE_TIMEOUT, transfer::import(&mut stream, admin, &page));
                taken.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
            }
            Ok(AdminRequest::Export(page)) => {
                let given = tokio::time::timeout(IDLE_TIMEOUT, transfer::export(&mut stream, admin, &page));
                given.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                continue;
            }
            Ok(AdminRequest::Snapshot { action }) => {
                let answer = snapshot::give(&mut stream, admin, &mut held, action);
                let given = tokio::time::timeout(IDLE_TIMEOUT, answer);
                given.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                continue;
            }
            Ok(request) => admin.execute(request).await,
            Err(error) => AdminResponse::error(format_args!("not a request: {error}")),
        };
        respond(&mut stream, &response).await?;
    }
}

pub(super) async fn respond(stream: &mut BufReader<BoxStream>, response: &AdminResponse) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}
