//! Who brought the message, for its Received line and its history.

use std::{borrow::Cow, net::IpAddr};

use mail::{Address, QueueId, Timestamp, received::Received};
use proto::smtp::server::{self, Flavour, Server};
use world::Peer;

use super::{Session, content::Facts};
use crate::{
    accept::Origin,
    policy::{Kept, Verdict},
};

/// The client as it is written down: with XFORWARD the one whose message a proxy passes on.
#[derive(Default)]
struct Witnessed<'a> {
    helo: Option<&'a str>,
    ip: Option<IpAddr>,
    name: Option<&'a str>,
}

impl Session {
    pub(super) fn received<'a>(&'a self, server: &'a Server, id: QueueId, at: Timestamp) -> Received<'a> {
        let envelope = server.envelope();
        let for_recipient = envelope.and_then(|envelope| match &envelope.recipients[..] {
            [only] => Some(&only.forward_path),
            _ => None,
        });
        // RFC 5321 §7.6
        let hidden = self.flavour == Flavour::Submission && !self.mta.config().disclosure.submitter;
        let client = if hidden { Witnessed::default() } else { self.witnessed(server.session()) };
        let smtputf8 = envelope.is_some_and(|envelope| envelope.mail.smtputf8);
        Received {
            helo: client.helo.unwrap_or_default(),
            client_ip: client.ip,
            client_name: client.name,
            by: &self.hostname,
            with: with_protocol(self.flavour, server.session(), smtputf8),
            tls: self.tls.as_ref().map(tls_words),
            id,
            for_recipient,
            priority: envelope.and_then(|envelope| envelope.mail.priority),
            at,
        }
    }

    pub(super) fn origin(&self, server: &Server, facts: Facts, mut verdicts: Kept) -> Origin {
        let session = server.session();
        if let Some(forwarded) = &session.forwarded {
            let ident = forwarded.ident.as_deref().map_or(Cow::Borrowed("unknown"), Cow::Borrowed);
            let verdict = Verdict::pass("xforward", "told by a trusted host, for the record only");
            verdicts.extend([verdict.with("host", self.peer.ip()).with("ident", ident)]);
        }
        let client = self.witnessed(session);
        Origin {
            service: self.service(),
            client_ip: client.ip.map(|ip| ip.to_string()),
            helo: client.helo.map(str::to_owned),
            tls: self.tls.as_ref().map(tls_words),
            identity: self.identity.as_ref().map(Address::to_string),
            submitter: self.submitter,
            message_id: facts.message_id,
            verdicts: verdicts.into_history(),
        }
    }

    fn witnessed<'a>(&'a self, session: &'a server::Session) -> Witnessed<'a> {
        if let Some(forwarded) = &session.forwarded {
            return Witnessed {
                helo: forwarded.helo.as_deref(),
                ip: forwarded.address,
                name: forwarded.name.as_deref(),
            };
        }
        let ip = match self.peer {
            Peer::Tcp { .. } => Some(self.peer.ip()).filter(|ip| !ip.is_unspecified()),
            Peer::Unix => None,
        };
        Witnessed { helo: session.helo.as_deref(), ip, name: self.client_name.as_deref() }
    }
}

/// RFC 3848 and RFC 6531 §4.3: the protocol as Received names it.
fn with_protocol(flavour: Flavour, session: &server::Session, smtputf8: bool) -> &'static str {
    let authenticated = session.identity.is_some();
    match (flavour, smtputf8, session.esmtp, session.tls, authenticated) {
        (Flavour::Lmtp, true, _, false, _) => "UTF8LMTP",
        (Flavour::Lmtp, true, _, true, _) => "UTF8LMTPS",
        (Flavour::Lmtp, false, _, false, _) => "LMTP",
        (Flavour::Lmtp, false, _, true, _) => "LMTPS",
        (_, true, _, false, false) => "UTF8SMTP",
        (_, true, _, false, true) => "UTF8SMTPA",
        (_, true, _, true, false) => "UTF8SMTPS",
        (_, true, _, true, true) => "UTF8SMTPSA",
        (_, false, false, _, _) => "SMTP",
        (_, false, true, false, false) => "ESMTP",
        (_, false, true, false, true) => "ESMTPA",
        (_, false, true, true, false) => "ESMTPS",
        (_, false, true, true, true) => "ESMTPSA",
    }
}

fn tls_words(tls: &world::tls::TlsSummary) -> String {
    format!("{} {}", tls.version, tls.cipher)
}
