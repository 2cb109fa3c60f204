//! Listeners behind a proxy: before a connection is anybody's, its PROXY header is read, and the client that it names
//! is the peer from there on, whatever the service.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use proto::proxy::{Header, HeaderReader, ProxyError};
use tokio::{io::AsyncReadExt, sync::Mutex, task::JoinSet};
use world::{BoxStream, Clock, ListenAddress, Listener, Peer};

/// A proxy sends its header at once.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that still have to send their header; further ones wait in the system's backlog.
const ARRIVING_MAX: usize = 4096;
/// Octets of a header read at once; TLVs may be longer.
const READ_BYTES_MAX: usize = 512;

/// Says whether the proxy at this address is believed; asked for each connection, so that a reload shows at once.
pub type IsBelieved = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

type Connection = (BoxStream, Peer);

/// A listener whose connections all come through proxies.
pub struct ProxiedListener {
    inner: Box<dyn Listener>,
    is_believed: IsBelieved,
    clock: Arc<dyn Clock>,
    /// Those that do not have their header yet; a slow one holds up nobody else.
    arriving: Mutex<JoinSet<Option<Connection>>>,
}

impl ProxiedListener {
    pub fn new(inner: Box<dyn Listener>, is_believed: IsBelieved, clock: Arc<dyn Clock>) -> Self {
        Self { inner, is_believed, clock, arriving: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Listener for ProxiedListener {
    /// The next connection whose header is there; the peer is the client, as the header names it.
    async fn accept(&self) -> io::Result<Connection> {
        let mut arriving = self.arriving.lock().await;
        loop {
            tokio::select! {
                Some(arrived) = arriving.join_next() => {
                    if let Ok(Some(connection)) = arrived {
                        return Ok(connection);
                    }
                }
                accepted = self.inner.accept(), if arriving.len() < ARRIVING_MAX => {
                    let (stream, peer) = accepted?;
                    if (self.is_believed)(peer.ip()) {
                        arriving.spawn(arrive(stream, peer, self.clock.clone()));
                    } else {
                        tracing::warn!(
                            client = %peer.ip(), listener = %self.inner.local(),
                            "refused: proxy_protocol is on here, and proxy_networks does not hold this address"
                        );
                    }
                }
            }
        }
    }

    fn local(&self) -> ListenAddress {
        self.inner.local()
    }
}

/// None if there was no header in time, or a wrong one: the connection is closed without a word.
async fn arrive(mut stream: BoxStream, proxy: Peer, clock: Arc<dyn Clock>) -> Option<Connection> {
    let deadline = clock.now() + HEADER_TIMEOUT;
    let header = tokio::select! {
        biased;
        header = read_header(&mut stream) => header,
        () = clock.sleep_until(deadline) => Err(io::ErrorKind::TimedOut.into()),
    };
    match header {
        Ok(Header::Own) => Some((stream, proxy)),
        Ok(Header::Client { source, destination }) => {
            Some((stream, Peer::Tcp { remote: source, local: destination }))
        }
        Err(error) => {
            tracing::warn!(proxy = %proxy.ip(), %error, "no PROXY header came; the connection is closed");
            None
        }
    }
}

/// Reads the header and not one octet more: TLS or a protocol begins behind it.
async fn read_header(stream: &mut BoxStream) -> io::Result<Header> {
    let mut reader = HeaderReader::default();
    let mut space = [0; READ_BYTES_MAX];
    loop {
        let wanted = space.get_mut(..reader.wants().min(READ_BYTES_MAX)).unwrap_or_default();
        let count = stream.read(wanted).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let came = space.get(..count).unwrap_or_default();
        if let Some(header) = reader.push(came).map_err(invalid)? {
            return Ok(header);
        }
    }
}

fn invalid(error: ProxyError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, sync::mpsc};
    use world::SystemClock;

    use super::*;

    /// Hands out connections that a test makes.
    struct Doorway(Mutex<mpsc::UnboundedReceiver<Connection>>);

    #[async_trait::async_trait]
    impl Listener for Doorway {
        async fn accept(&self) -> io::Result<Connection> {
            match self.0.lock().await.recv().await {
                Some(connection) => Ok(connection),
                None => std::future::pending().await,
            }
        }

        fn local(&self) -> ListenAddress {
            ListenAddress::Unix("/test".into())
        }
    }

    /// For whom every wait is over soon.
    struct Hasty;

    #[async_trait::async_trait]
    impl Clock for Hasty {
        fn now(&self) -> std::time::Instant {
            SystemClock.now()
        }

        fn wall(&self) -> mail::Timestamp {
            SystemClock.wall()
        }

        async fn sleep_until(&self, _: std::time::Instant) {
            SystemClock.sleep_until(SystemClock.now() + Duration::from_millis(50)).await;
        }
    }

    fn listener() -> (ProxiedListener, impl Fn(&str) -> tokio::io::DuplexStream) {
        listener_with(Arc::new(SystemClock))
    }

    fn listener_with(clock: Arc<dyn Clock>) -> (ProxiedListener, impl Fn(&str) -> tokio::io::DuplexStream) {
        let (door, connections) = mpsc::unbounded_channel::<Connection>();
        let connect = move |ip: &str| {
            let (ours, theirs) = tokio::io::duplex(1024);
            let peer = Peer::Tcp {
                remote: format!("{ip}:999").parse().unwrap(),
                local: "192.0.2.25:25".parse().unwrap(),
            };
            door.send((Box::new(theirs), peer)).unwrap();
            ours
        };
        let is_believed = Box::new(|ip: IpAddr| ip.is_loopback());
        let inner = Box::new(Doorway(Mutex::new(connections)));
        (ProxiedListener::new(inner, is_believed, clock), connect)
    }

    #[tokio::test]
    async fn the_client_behind_the_proxy_is_the_peer_and_what_follows_is_untouched() {
        let (listener, connect) = listener();
        let _slow = connect("127.0.0.1");
        let mut ours = connect("127.0.0.1");
        ours.write_all(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\r\nEHLO c.example\r\n").await.unwrap();
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_eq!(
            peer,
            Peer::Tcp {
                remote: "198.51.100.7:4711".parse().unwrap(),
                local: "192.0.2.1:25".parse().unwrap()
            }
        );
        let mut rest = [0; 16];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"EHLO c.example\r\n");
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_is_the_peer() {
        let (listener, connect) = listener();
        let mut ours = connect("127.0.0.1");
        ours.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip(), IpAddr::from([127, 0, 0, 1]));
    }

    #[tokio::test]
    async fn strangers_and_connections_without_a_header_are_closed() {
        let (listener, connect) = listener();
        let mut closed = vec![connect("192.0.2.66"), connect("127.0.0.1"), connect("127.0.0.1")];
        closed[0].write_all(b"PROXY TCP4 127.0.0.1 192.0.2.1 4711 25\r\n").await.unwrap();
        closed[1].write_all(b"EHLO c.example\r\n").await.unwrap();
        closed[2].write_all(b"PROXY TCP4 x\r\n").await.unwrap();
        let mut good = connect("127.0.0.1");
        good.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        listener.accept().await.unwrap();
        let rest = tokio::spawn(async move { listener.accept().await.map(|(_, peer)| peer) });
        for mut stream in closed {
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        }
        assert!(!rest.is_finished());
        rest.abort();
    }

    #[tokio::test]
    async fn a_header_that_trickles_is_not_waited_for() {
        let (listener, connect) = listener_with(Arc::new(Hasty));
        let mut ours = connect("127.0.0.1");
        ours.write_all(b"PROXY TCP4 198").await.unwrap();
        let accepting = tokio::spawn(async move { listener.accept().await.map(|(_, peer)| peer) });
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        accepting.abort();
    }
}
