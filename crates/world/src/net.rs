use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    str::FromStr,
    task::Poll,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, UnixListener},
};

/// A connection's byte stream, plain or under TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type BoxStream = Box<dyn Stream>;

/// Sockets.
#[async_trait::async_trait]
pub trait Net: Send + Sync {
    async fn listen(&self, address: &ListenAddress) -> io::Result<Box<dyn Listener>>;
    /// Connects, from `source` if one is given.
    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<BoxStream>;
    /// Connects to a Unix socket.
    async fn connect_unix(&self, path: &std::path::Path) -> io::Result<BoxStream>;
}

/// A bound socket that connections arrive on.
#[async_trait::async_trait]
pub trait Listener: Send + Sync {
    async fn accept(&self) -> io::Result<(BoxStream, Peer)>;
    /// The address bound, with the port that the system chose if 0 was asked for.
    fn local(&self) -> ListenAddress;
}

/// Who is at the other end, and at which of our addresses they arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp { remote: SocketAddr, local: SocketAddr },
    Unix,
}

impl Peer {
    /// The peer's IP address; a Unix peer counts as loopback.
    pub fn ip(&self) -> IpAddr {
        match self {
            Self::Tcp { remote, .. } => remote.ip().to_canonical(),
            Self::Unix => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        }
    }
}

/// `127.0.0.1:2525`, `[::1]:2525` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("a path must follow \"unix:\"".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("{text:?} is not an address: write IP:PORT (\"0.0.0.0:25\", \"[::]:25\") or \"unix:/path\"")
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Octets a single read may bring.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// Reads what is there, waiting for the first octet, and hands it to `take`. Returns the count; 0 is end of stream.
///
/// The buffer lives on the stack for the moment of the read only, so that a connection that waits holds none.
pub async fn read_some<S, F>(stream: &mut S, mut take: F) -> io::Result<usize>
where
    S: AsyncRead + Unpin + ?Sized,
    F: FnMut(&[u8]),
{
    std::future::poll_fn(move |context| {
        let mut space = [const { std::mem::MaybeUninit::<u8>::uninit() }; READ_BYTES_MAX];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                take(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    })
    .await
}

/// The addresses of this machine's interfaces, loopback left out. Empty if the system does not tell.
pub fn own_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().filter(|interface| !interface.is_loopback()).map(if_addrs::Interface::ip).collect()
}

/// The operating system's sockets.
#[derive(Debug)]
pub struct SystemNet;

/// Connections the system may hold before we accept them.
const LISTEN_BACKLOG: u32 = 4096;

#[async_trait::async_trait]
impl Net for SystemNet {
    async fn listen(&self, address: &ListenAddress) -> io::Result<Box<dyn Listener>> {
        match address {
            ListenAddress::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Box::new(socket.listen(LISTEN_BACKLOG)?))
            }
            ListenAddress::Unix(path) => {
                remove_stale_socket(path).await?;
                Ok(Box::new(UnixListener::bind(path)?))
            }
        }
    }

    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<BoxStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn connect_unix(&self, path: &std::path::Path) -> io::Result<BoxStream> {
        Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
    }
}

/// A socket file that nobody listens on any more stands in the way of binding; one in use must not be taken.
async fn remove_stale_socket(path: &std::path::Path) -> io::Result<()> {
    match tokio::net::UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[async_trait::async_trait]
impl Listener for TcpListener {
    async fn accept(&self) -> io::Result<(BoxStream, Peer)> {
        let (stream, remote) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok((Box::new(stream), Peer::Tcp { remote, local }))
    }

    #[expect(clippy::expect_used, reason = "a socket that listens has an address")]
    fn local(&self) -> ListenAddress {
        ListenAddress::Tcp(self.local_addr().expect("a bound socket knows its address"))
    }
}

#[async_trait::async_trait]
impl Listener for UnixListener {
    async fn accept(&self) -> io::Result<(BoxStream, Peer)> {
        let (stream, _) = UnixListener::accept(self).await?;
        Ok((Box::new(stream), Peer::Unix))
    }

    fn local(&self) -> ListenAddress {
        let path = self.local_addr().ok().and_then(|address| address.as_pathname().map(PathBuf::from));
        ListenAddress::Unix(path.unwrap_or_default())
    }
}
