//! The PROXY protocol, versions 1 and 2, as haproxy's `proxy-protocol.txt` defines it: in front of everything else on a
//! connection a proxy tells whose connection it passes on.
//!
//! Strict: what is not exactly such a header is an error, and a connection with one means nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// §2.1: the longest line, CRLF included.
pub const V1_LINE_BYTES_MAX: usize = 107;
/// `PROXY UNKNOWN` and CRLF; nothing shorter is a header of either version.
const BYTES_MIN: usize = 15;
const V1_START: &[u8] = b"PROXY ";
/// §2.2
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2.
const V2_START_BYTES: usize = 16;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The proxy's own (LOCAL: it looks whether we are well), or that of a client it knows nothing of (UNKNOWN, UNSPEC):
    /// the addresses of the connection itself count.
    Own,
    /// A client's, with the address that it connected to.
    Client { source: SocketAddr, destination: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
    #[error("the line of the PROXY header is too long")]
    TooLong,
    #[error("the PROXY header speaks of another version, command or address family than we know")]
    Unsupported,
}

/// Collects a header. Keeps at most 107 octets of it: TLVs (§2.2), of which there may be 64 KiB, are skipped.
#[derive(Debug, Default)]
pub struct HeaderReader {
    kept: Vec<u8>,
    seen: usize,
    done: bool,
}

impl HeaderReader {
    /// How many octets belong to the header for sure and have not come yet: read no more, as what follows is for
    /// another protocol. 0 once the header is complete.
    pub fn wants(&self) -> usize {
        let wants = match (self.kept.first(), self.v2_body_bytes()) {
            _ if self.done => 0,
            (None, _) => BYTES_MIN,
            (Some(b'P'), _) => {
                let to_line_end = if self.kept.ends_with(b"\r") { 1 } else { 2 };
                let to_minimum = BYTES_MIN.saturating_sub(self.seen);
                return to_line_end.max(to_minimum).min(V1_LINE_BYTES_MAX.saturating_sub(self.seen).max(1));
            }
            (Some(_), None) => V2_START_BYTES,
            (Some(_), Some(body)) => V2_START_BYTES + body,
        };
        wants.saturating_sub(self.seen)
    }

    /// Takes the next octets, at most as many as [`wants`](Self::wants) said. After an error nothing more is to be read.
    pub fn push(&mut self, octets: &[u8]) -> Result<Option<Header>, ProxyError> {
        if octets.len() > self.wants() {
            return Err(ProxyError::Malformed);
        }
        let room = V1_LINE_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend(octets.iter().take(room));
        self.seen += octets.len();
        let header = if begins_alike(&self.kept, V2_SIGNATURE) {
            self.read_v2()?
        } else if begins_alike(&self.kept, V1_START) {
            self.read_v1()?
        } else {
            return Err(ProxyError::Missing);
        };
        self.done = header.is_some();
        Ok(header)
    }

    fn read_v1(&self) -> Result<Option<Header>, ProxyError> {
        match self.kept.strip_suffix(b"\r\n") {
            Some(line) => parse_v1(line).map(Some),
            None if self.kept.contains(&b'\n') => Err(ProxyError::Malformed),
            None if self.seen >= V1_LINE_BYTES_MAX => Err(ProxyError::TooLong),
            None => Ok(None),
        }
    }

    fn v2_body_bytes(&self) -> Option<usize> {
        let [.., high, low] = self.kept.first_chunk::<V2_START_BYTES>()?;
        Some(usize::from(u16::from_be_bytes([*high, *low])))
    }

    fn read_v2(&self) -> Result<Option<Header>, ProxyError> {
        let Some((start, body)) = self.kept.split_first_chunk::<V2_START_BYTES>() else { return Ok(None) };
        let [.., command, family, _, _] = start;
        let body_bytes = self.v2_body_bytes().unwrap_or(0);
        let addresses = match (command, family) {
            // §2.2: whatever LOCAL says of addresses is ignored.
            (0x20, _) | (0x21, 0x00) => 0,
            (0x21, 0x11) => 12,
            (0x21, 0x21) => 36,
            _ => return Err(ProxyError::Unsupported),
        };
        if body_bytes < addresses {
            return Err(ProxyError::Malformed);
        }
        if self.seen < V2_START_BYTES + body_bytes {
            return Ok(None);
        }
        match addresses {
            12 => v4_addresses(body).map(Some).ok_or(ProxyError::Malformed),
            36 => v6_addresses(body).map(Some).ok_or(ProxyError::Malformed),
            _ => Ok(Some(Header::Own)),
        }
    }
}

fn begins_alike(octets: &[u8], start: &[u8]) -> bool {
    octets.iter().zip(start).all(|(a, b)| a == b)
}

/// A line without its CRLF.
fn parse_v1(line: &[u8]) -> Result<Header, ProxyError> {
    let rest = line.strip_prefix(V1_START).ok_or(ProxyError::Malformed)?;
    // §2.1: what follows UNKNOWN is ignored.
    if rest == b"UNKNOWN" || rest.starts_with(b"UNKNOWN ") {
        return Ok(Header::Own);
    }
    let text = std::str::from_utf8(rest).map_err(|_| ProxyError::Malformed)?;
    let mut words = text.split(' ');
    let (Some(family), Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ProxyError::Malformed);
    };
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let header = || {
        Some(Header::Client {
            source: SocketAddr::new(ip(source)?, port(from)?),
            destination: SocketAddr::new(ip(destination)?, port(to)?),
        })
    };
    header().ok_or(ProxyError::Malformed)
}

/// §2.1: a decimal number without leading zeroes.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

fn v4_addresses(octets: &[u8]) -> Option<Header> {
    let (source, rest) = octets.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    client(IpAddr::from(*source), IpAddr::from(*destination), rest)
}

fn v6_addresses(octets: &[u8]) -> Option<Header> {
    let (source, rest) = octets.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    client(IpAddr::from(*source), IpAddr::from(*destination), rest)
}

fn client(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<Header> {
    let [a, b, c, d] = *ports.first_chunk::<4>()?;
    Some(Header::Client {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests;
