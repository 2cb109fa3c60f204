//! What a client may do, a file a check. Each answers with a reply that names the rule, or lets pass.

pub mod limits;
pub mod mailbox;
pub mod recipient;
pub mod sender;
pub mod users;
pub mod verify;

use std::net::IpAddr;

use proto::smtp::server::Flavour;

use crate::Config;

/// What the checks know of a client.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    pub ip: IpAddr,
    pub flavour: Flavour,
    /// The authenticated account's address.
    pub identity: Option<&'a mail::Address>,
}

impl Client<'_> {
    /// RFC 5321 §7.9: relaying is for those we know.
    pub fn may_relay(&self, config: &Config) -> bool {
        self.identity.is_some() || config.trusted_networks.iter().any(|network| network.contains(self.ip))
    }
}
