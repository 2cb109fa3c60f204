//! What a server announced with EHLO (RFC 5321 §4.1.1.1).

use mail::Reply;

use super::Limits;
use crate::sasl::Mechanism;

/// The extensions we know of. Everything else that a server announces is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub pipelining: bool,
    /// The most octets it takes; `None` if it does not say, or sets no limit (RFC 1870 §4).
    pub size_max: Option<u64>,
    pub size: bool,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub chunking: bool,
    pub binary_mime: bool,
    pub starttls: bool,
    /// RFC 2852: the fewest seconds in which it returns a message; 0 if it does not say.
    pub deliver_by: Option<u32>,
    pub mt_priority: bool,
    pub future_release: bool,
    /// RFC 9422
    pub limits: Limits,
    /// RFC 8689
    pub require_tls: bool,
    /// RFC 7293
    pub rrvs: bool,
    /// RFC 3865
    pub no_soliciting: bool,
    /// RFC 3885, MTRK.
    pub tracking: bool,
    /// SCRAM-SHA-256.
    pub scram: bool,
    /// The mechanism we prefer of those it has that show the password.
    pub auth: Option<Mechanism>,
}

impl Capabilities {
    pub(super) fn of(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        reply.lines.iter().skip(1).for_each(|line| capabilities.add(line));
        capabilities
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => {
                self.size = true;
                self.size_max =
                    words.next().and_then(|octets| octets.parse().ok()).filter(|octets| *octets > 0);
            }
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "STARTTLS" => self.starttls = true,
            "DELIVERBY" => {
                self.deliver_by = Some(words.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0));
            }
            "MT-PRIORITY" => self.mt_priority = true,
            "FUTURERELEASE" => self.future_release = true,
            "REQUIRETLS" => self.require_tls = true,
            "RRVS" => self.rrvs = true,
            "NO-SOLICITING" => self.no_soliciting = true,
            "MTRK" => self.tracking = true,
            "LIMITS" => words.for_each(|word| self.limits.add(word)),
            "AUTH" => {
                let offered: Vec<&[u8]> = words.map(str::as_bytes).collect();
                self.scram |= offered.iter().any(|name| Mechanism::CLIENT_SCRAM.has_name(name));
                self.auth = Mechanism::choose(&offered).or(self.auth);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_in_any_case_among_many_unknown_ones() {
        let mut reply = Reply::plain(250, "PIPELINING is our name");
        let lines = [
            "size 1000",
            "Auth xoauth2 login",
            "UTF8SMTP",
            "TURN",
            "SMTPUTF8X",
            "",
            "8bitMIME",
            "CHUNKING x y",
            "deliverby 240",
            "MT-PRIORITY MIXER",
            "FUTURERELEASE 86400 2026-12-01T10:00:00Z",
        ];
        reply.lines.extend(lines.map(Into::into));
        reply.lines.extend((0..200).map(|number| format!("X-{number}").into()));
        let expected = Capabilities {
            size: true,
            size_max: Some(1000),
            auth: Some(Mechanism::Login),
            eight_bit_mime: true,
            chunking: true,
            deliver_by: Some(240),
            mt_priority: true,
            future_release: true,
            ..Capabilities::default()
        };
        assert_eq!(Capabilities::of(&reply), expected);
    }

    #[test]
    fn size_zero_is_no_limit() {
        for size in ["SIZE", "SIZE 0", "SIZE x", "SIZE 99999999999999999999"] {
            let mut reply = Reply::plain(250, "x");
            reply.lines.push(size.into());
            assert_eq!(
                (Capabilities::of(&reply).size, Capabilities::of(&reply).size_max),
                (true, None),
                "{size}"
            );
        }
    }

    #[test]
    fn deliverby_without_a_number_has_no_minimum() {
        for announced in ["DELIVERBY", "DELIVERBY 0", "DELIVERBY -5", "DELIVERBY 99999999999"] {
            let mut reply = Reply::plain(250, "x");
            reply.lines.push(announced.into());
            assert_eq!(Capabilities::of(&reply).deliver_by, Some(0), "{announced}");
        }
    }
}
