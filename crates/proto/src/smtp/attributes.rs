//! The attributes of XCLIENT and XFORWARD (Postfix): what a proxy says of its client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mail::{limits, text, xtext};

/// Octets kept of a value of XFORWARD.
const FORWARDED_BYTES_MAX: usize = 255;

/// Attributes that are malformed, unknown, or not for this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeError;

/// What one attribute says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Told<T> {
    /// Nothing: it was not given.
    #[default]
    Nothing,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`
    Unavailable,
    Value(T),
}

/// XCLIENT: who the client is from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonation {
    pub name: Told<String>,
    pub address: Told<IpAddr>,
    pub port: Told<u16>,
    /// True for ESMTP.
    pub esmtp: Told<bool>,
    pub helo: Told<String>,
    pub login: Told<String>,
    pub destination: Told<IpAddr>,
    pub destination_port: Told<u16>,
}

/// XFORWARD: who the client is, for the record only. Texts are cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedClient {
    pub name: Option<Box<str>>,
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub protocol: Option<Box<str>>,
    pub helo: Option<Box<str>>,
    /// What the proxy's own log knows the message by.
    pub ident: Option<Box<str>>,
    pub source: Option<Box<str>>,
}

impl<T> Told<T> {
    /// What holds if `before` did.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Nothing => before,
            Self::Unavailable => None,
            Self::Value(value) => Some(value),
        }
    }

    fn map<U>(self, read: impl FnOnce(T) -> Result<U, AttributeError>) -> Result<Told<U>, AttributeError> {
        Ok(match self {
            Self::Nothing => Told::Nothing,
            Self::Unavailable => Told::Unavailable,
            Self::Value(value) => Told::Value(read(value)?),
        })
    }
}

impl Impersonation {
    /// Reads `NAME=value …`. Control characters in a value are an error.
    pub fn parse(argument: &str) -> Result<Self, AttributeError> {
        let mut told = Self::default();
        for pair in pairs(argument) {
            let (name, value) = pair?;
            let value = value.map(clean_text)?;
            match name.as_str() {
                "NAME" => told.name = value.map(host_name)?,
                "ADDR" => told.address = value.map(|text| address(&text))?,
                "PORT" => told.port = value.map(|text| port(&text))?,
                "PROTO" => told.esmtp = value.map(|text| protocol(&text))?,
                "HELO" => told.helo = value.map(host_name)?,
                "LOGIN" => told.login = value,
                "DESTADDR" => told.destination = value.map(|text| address(&text))?,
                "DESTPORT" => told.destination_port = value.map(|text| port(&text))?,
                _ => return Err(AttributeError),
            }
        }
        Ok(told)
    }
}

impl ForwardedClient {
    /// Reads `NAME=value …` over what was there; an error changes nothing.
    pub fn merge(&mut self, argument: &str) -> Result<(), AttributeError> {
        let mut merged = self.clone();
        for pair in pairs(argument) {
            let (name, value) = pair?;
            let value = value.map(|octets| Ok(text::clean_ascii(&octets, FORWARDED_BYTES_MAX)))?;
            match name.as_str() {
                "NAME" => merged.name = boxed(value, merged.name),
                "ADDR" => merged.address = value.map(|text| address(&text))?.over(merged.address),
                "PORT" => merged.port = value.map(|text| port(&text))?.over(merged.port),
                "PROTO" => merged.protocol = boxed(value, merged.protocol),
                "HELO" => merged.helo = boxed(value, merged.helo),
                "IDENT" => merged.ident = boxed(value, merged.ident),
                "SOURCE" => merged.source = boxed(value, merged.source),
                _ => return Err(AttributeError),
            }
        }
        *self = merged;
        Ok(())
    }
}

fn boxed(told: Told<String>, before: Option<Box<str>>) -> Option<Box<str>> {
    told.over(before.map(String::from)).map(String::into_boxed_str)
}

/// Names in upper case, values decoded.
fn pairs(argument: &str) -> impl Iterator<Item = Result<(String, Told<Vec<u8>>), AttributeError>> {
    argument.split_ascii_whitespace().map(|word| {
        let (name, value) = word.split_once('=').ok_or(AttributeError)?;
        let value = match value {
            value if is_unavailable(value) => Told::Unavailable,
            value => Told::Value(xtext::decode_octets(value).map_err(|_| AttributeError)?),
        };
        Ok((name.to_ascii_uppercase(), value))
    })
}

fn is_unavailable(value: &str) -> bool {
    ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn clean_text(octets: Vec<u8>) -> Result<String, AttributeError> {
    let text = String::from_utf8(octets).map_err(|_| AttributeError)?;
    let fits = !text.is_empty() && text.len() <= FORWARDED_BYTES_MAX && !text.contains(char::is_control);
    if fits { Ok(text) } else { Err(AttributeError) }
}

/// As EHLO takes it.
fn host_name(text: String) -> Result<String, AttributeError> {
    let word = text.len() <= limits::DOMAIN_BYTES_MAX && text.bytes().all(|octet| octet.is_ascii_graphic());
    if word { Ok(text) } else { Err(AttributeError) }
}

/// `192.0.2.1` or `IPV6:2001:db8::1`
fn address(text: &str) -> Result<IpAddr, AttributeError> {
    let ip = match text.split_at_checked("IPV6:".len()) {
        Some((tag, ip)) if tag.eq_ignore_ascii_case("IPV6:") => ip.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    ip.map_err(|_| AttributeError)
}

fn port(text: &str) -> Result<u16, AttributeError> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(AttributeError)
}

fn protocol(text: &str) -> Result<bool, AttributeError> {
    match text.to_ascii_uppercase().as_str() {
        "SMTP" => Ok(false),
        "ESMTP" => Ok(true),
        _ => Err(AttributeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_xclient() {
        let told = Impersonation::parse("name=spike.example ADDR=192.0.2.1 PORT=4711 PROTO=esmtp HELO=a+2Bb");
        let expected = Impersonation {
            name: Told::Value("spike.example".to_owned()),
            address: Told::Value("192.0.2.1".parse().unwrap()),
            port: Told::Value(4711),
            esmtp: Told::Value(true),
            helo: Told::Value("a+b".to_owned()),
            ..Impersonation::default()
        };
        assert_eq!(told, Ok(expected));
        let told =
            Impersonation::parse("ADDR=IPV6:2001:db8::1 NAME=[TEMPUNAVAIL] LOGIN=[unavailable]").unwrap();
        assert_eq!(told.address, Told::Value("2001:db8::1".parse().unwrap()));
        assert_eq!((told.name, told.login), (Told::Unavailable, Told::Unavailable));
        assert_eq!(told.helo.over(Some("before".to_owned())).as_deref(), Some("before"));
    }

    #[test]
    fn what_is_no_attribute() {
        let long = format!("HELO={}", "x".repeat(256));
        for bad in [
            "ADDR",
            "ADDR=",
            "ADDR=2001:db8::1",
            "ADDR=192.0.2",
            "ADDR=IPV6:192.0.2.1",
            "PORT=65536",
            "PORT=+1",
            "PROTO=QMTP",
            "HELO=a+0Ab",
            "HELO=a+20b",
            "HELO=a+2",
            "HELO=a=b",
            "LOGIN=+FF",
            "SHOESIZE=44",
            "IDENT=x",
            "=x",
            long.as_str(),
        ] {
            assert_eq!(Impersonation::parse(bad), Err(AttributeError), "{bad}");
        }
    }

    #[test]
    fn attributes_of_xforward_accumulate_and_are_cleaned() {
        let mut client = ForwardedClient::default();
        client.merge("NAME=spike.example ADDR=192.0.2.1").unwrap();
        client.merge("HELO=a+0Ab+1B SOURCE=REMOTE IDENT=4711").unwrap();
        assert_eq!(client.name.as_deref(), Some("spike.example"));
        assert_eq!(client.helo.as_deref(), Some("a\\nb\\u{1b}"));
        client.merge("NAME=[UNAVAILABLE]").unwrap();
        assert_eq!((client.name.as_deref(), client.ident.as_deref()), (None, Some("4711")));
        let before = client.clone();
        assert_eq!(client.merge("IDENT=1 PORT=x"), Err(AttributeError));
        assert_eq!(client.merge("LOGIN=u"), Err(AttributeError));
        assert_eq!(client, before);
        client.merge(&format!("HELO={}", "x".repeat(1000))).unwrap();
        assert_eq!(client.helo.unwrap().len(), FORWARDED_BYTES_MAX);
    }
}
