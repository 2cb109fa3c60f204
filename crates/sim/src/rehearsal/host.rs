//! One host of a site, at the ports where it is asked for.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use proto::smtp::server::{Config, Extensions, Flavour, StartTls};
use tokio::time::Instant;
use world::{ListenAddress, Listener, World, tls::ServerTls};

use super::{
    manners::{Mind, Window},
    session::Session,
};

pub(super) struct Host {
    pub(super) mind: Arc<Mind>,
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<ServerTls>,
    start: Instant,
}

impl Host {
    pub(super) fn new(name: &str, mind: Arc<Mind>, tls: &ServerTls, start: Instant) -> Arc<Self> {
        let tls = (!mind.manners.without_tls).then(|| tls.clone());
        let config = Config {
            extensions: Extensions { dsn: true, ..Extensions::default() },
            starttls: if tls.is_some() { StartTls::Offered } else { StartTls::Off },
            ..Config::new(name, Flavour::Smtp)
        };
        Arc::new(Self { mind, config: Arc::new(config), tls, start })
    }

    /// Since the run began.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Takes connections, but for the times when nothing listens; connections there are break when such a time begins.
    pub(super) async fn serve(
        self: Arc<Self>,
        world: World,
        ip: IpAddr,
        port: u16,
        closed: Vec<Window>,
    ) -> io::Result<()> {
        let address = ListenAddress::Tcp(SocketAddr::new(ip, port));
        loop {
            if let Some(window) = closed.iter().find(|window| window.contains(self.now())) {
                // Some windows have no end.
                let Some(end) = self.start.checked_add(window.to) else { return Ok(()) };
                tokio::time::sleep_until(end).await;
                continue;
            }
            let next = closed.iter().map(|window| window.from).filter(|from| *from > self.now()).min();
            let listener = world.net.listen(&address).await?;
            match next {
                None => return self.accept(&*listener).await,
                Some(from) => {
                    let accepted = tokio::time::timeout_at(self.start + from, self.accept(&*listener)).await;
                    accepted.unwrap_or(Ok(()))?;
                }
            }
        }
    }

    async fn accept(self: &Arc<Self>, listener: &dyn Listener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            // Whatever breaks a session off is the other side's to notice.
            tokio::spawn(Session::new(self.clone()).run(stream));
        }
    }
}
