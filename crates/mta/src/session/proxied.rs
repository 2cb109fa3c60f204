//! XCLIENT: a proxy that is trusted says who its client is (Postfix).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mail::Reply;
use proto::smtp::{
    attributes::{Impersonation, Told},
    server::{Decision, Flavour, Server},
};
use world::Peer;

use super::Session;
use crate::{
    config::Network,
    policy::{self, Client, Verdict},
};

impl Session {
    /// Sets what EHLO announces to this client.
    pub(super) fn announce(&self, server: &mut Server) {
        let config = self.mta.config();
        let host = self.host.ip();
        let trusts = |networks: &[Network]| networks.iter().any(|network| network.contains(host));
        let served = server.config().extensions;
        let extensions = server.extensions_mut();
        extensions.expn = policy::users::may_ask(&config, config.expn, &self.client());
        // RFC 2033 hands over to mailboxes.
        extensions.send = !matches!(self.flavour, Flavour::Lmtp | Flavour::Odmr)
            && policy::users::may_ask(&config, config.send, &self.client());
        extensions.burl = self.flavour == Flavour::Submission && self.mta.urls.get().is_some();
        extensions.etrn = served.etrn && policy::users::may_ask(&config, config.etrn, &self.client());
        extensions.future_release =
            policy::release::announced(&config, self.flavour, self.mta.world.clock.wall());
        extensions.xclient = trusts(&config.proxies.xclient);
        extensions.xforward = trusts(&config.proxies.xforward);
    }

    /// The session goes on as that client's, if it may connect.
    pub(super) async fn impersonate(&mut self, told: &Impersonation) -> Decision {
        let account = match &told.login {
            Told::Value(login) => match self.mta.stores.directory.account_of_login(login).await {
                Ok(Some(account)) => Some(account),
                Ok(None) => {
                    return Decision::Reject(Reply::new(501, (5, 5, 4), "LOGIN names no account here"));
                }
                Err(error) => return Decision::Reject(policy::unreadable(&error)),
            },
            Told::Nothing | Told::Unavailable => None,
        };
        let peer = self.told_peer(told);
        let config = self.mta.config();
        let client = Client { ip: peer.ip(), flavour: self.flavour, identity: None };
        let mut judge = self.mta.judge(&config, client);
        // The one who speaks now takes the place of the one before.
        self.admission = None;
        match judge.connect() {
            Ok(admission) => self.admission = Some(admission),
            Err(reply) => return Decision::Reject(reply),
        }
        let told_by = Verdict::pass("xclient", "told by a trusted host").with("host", self.host.ip());
        self.verdicts = judge.verdicts;
        self.verdicts.push(told_by);
        self.peer = peer;
        self.client_name = told.name.clone().over(None).map(String::into_boxed_str);
        self.submitter = account.as_ref().map(|account| account.id);
        self.identity = account.map(|account| account.address);
        self.transaction = None;
        Decision::ACCEPT
    }

    /// What is not told stays as it was; an address that nobody knows is the unspecified one, which is in no network.
    fn told_peer(&self, told: &Impersonation) -> Peer {
        let unknown = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let (remote, local) = match self.peer {
            Peer::Tcp { remote, local } => (remote, local),
            Peer::Unix => (SocketAddr::new(self.peer.ip(), 0), unknown),
        };
        let socket = |ip: &Told<IpAddr>, port: &Told<u16>, before: SocketAddr| {
            let ip = ip.clone().over(Some(before.ip())).unwrap_or(unknown.ip());
            SocketAddr::new(ip, port.clone().over(Some(before.port())).unwrap_or_default())
        };
        Peer::Tcp {
            remote: socket(&told.address, &told.port, remote),
            local: socket(&told.destination, &told.destination_port, local),
        }
    }
}
