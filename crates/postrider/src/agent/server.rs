//! Which server, and how it is spoken to.

use std::str::FromStr;

use world::ListenAddress;

use crate::Failure;

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    None,
    /// If the server offers it.
    Opportunistic,
    /// With STARTTLS, or nothing is sent.
    Starttls,
    Implicit,
}

/// Host name or IP address, and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    pub host: String,
    pub port: u16,
}

/// RFC 8314 §3.3
const SUBMISSIONS_PORT: u16 = 465;
const SMTP_PORT: u16 = 25;

impl ServerAddress {
    /// The address at which a listener of this machine is reached.
    pub fn of_listener(address: &ListenAddress) -> Result<Self, Failure> {
        let ListenAddress::Tcp(address) = address else {
            return Err(Failure::usage(
                "the configured listener is a Unix socket; name a server with --server",
            ));
        };
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip.to_string(),
            ip if ip.is_ipv4() => "127.0.0.1".to_owned(),
            _ => "::1".to_owned(),
        };
        Ok(Self { host: ip, port: address.port() })
    }

    /// TLS as the port lets expect it.
    pub fn usual_tls(&self) -> Tls {
        if self.port == SUBMISSIONS_PORT { Tls::Implicit } else { Tls::Opportunistic }
    }
}

/// The port is 25 if none is given.
impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, SMTP_PORT)
    }
}

impl ServerAddress {
    /// `mail.example.org`, `mail.example.org:587`, `192.0.2.1:25`, `[2001:db8::1]:25`.
    pub fn parse(text: &str, usual_port: u16) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
            None if text.matches(':').count() > 1 => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None => usual_port,
            Some(port) => port.parse().map_err(|_| format!("{port:?} is not a port; write HOST:PORT"))?,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(format!("{text:?} names no host; write HOST or HOST:PORT"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What to call this machine in EHLO: its host name, else an address literal (RFC 5321 §4.1.4).
pub fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim().parse::<mail::Domain>() {
        Ok(domain) => domain.as_str().to_owned(),
        Err(_) => "[127.0.0.1]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_in_many_ways() {
        for (text, host, port) in [
            ("mail.example.org", "mail.example.org", 25),
            ("mail.example.org:587", "mail.example.org", 587),
            ("127.0.0.1:2525", "127.0.0.1", 2525),
            ("[::1]:2525", "::1", 2525),
            ("[::1]", "::1", 25),
            ("::1", "::1", 25),
        ] {
            let server: ServerAddress = text.parse().unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
        }
        for text in ["", ":25", "a:b", "a:99999", "[::1]x", "a b"] {
            assert!(text.parse::<ServerAddress>().is_err(), "{text}");
        }
    }
}
