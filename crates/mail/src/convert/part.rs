//! What a header section says of its part.

use super::Encoding;
use crate::header;

/// RFC 2046 §5.1.1 allows 70; some go beyond.
const BOUNDARY_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Multipart {
        boundary: Vec<u8>,
        digest: bool,
        signed: bool,
    },
    /// A whole message within, as it stands.
    Message,
    /// Text, or what is read like it.
    Text,
    Other,
    /// Not to be encoded (RFC 2046 §5.2.2, §5.2.3), or a multipart without a boundary.
    Rigid,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// As labelled; `None` if the label is one of no standard.
    pub(super) encoding: Option<Encoding>,
    /// The header of a message rather than of a body part.
    pub(super) is_message: bool,
    /// The label may be replaced, or one added: there is one at most, and the section is nothing but fields.
    pub(super) editable: bool,
}

impl Part {
    /// `in_digest`: parts are messages unless they say otherwise (RFC 2046 §5.1.5).
    pub(super) fn of(section: &[u8], is_message: bool, in_digest: bool) -> Self {
        let encodings = header::count(section, "Content-Transfer-Encoding");
        let encoding = header::value(section, "Content-Transfer-Encoding");
        let encoding = encoding.map_or(Some(Encoding::SevenBit), |value| encoding_of(&value));
        let fields_end = header::fields(section).last().map_or(0, |field| field.whole.end);
        let editable = encodings <= 1 && section.get(fields_end..) == Some(b"\r\n");
        let mut kind = match header::value(section, "Content-Type") {
            Some(value) => kind_of(&value),
            None if in_digest => Kind::Message,
            None => Kind::Text,
        };
        // RFC 2045 §6.4: a container is not encoded; if one says so, it is nothing to look into.
        let plain = matches!(encoding, Some(Encoding::SevenBit | Encoding::EightBit | Encoding::Binary));
        if !plain && matches!(kind, Kind::Multipart { .. } | Kind::Message) {
            kind = Kind::Rigid;
        }
        Self { kind, encoding, is_message, editable }
    }

    pub(super) fn is_leaf(&self) -> bool {
        !matches!(self.kind, Kind::Multipart { .. } | Kind::Message)
    }
}

fn encoding_of(value: &[u8]) -> Option<Encoding> {
    let name = segments(value).into_iter().next().unwrap_or_default();
    let all = [
        Encoding::SevenBit,
        Encoding::EightBit,
        Encoding::Binary,
        Encoding::QuotedPrintable,
        Encoding::Base64,
    ];
    all.into_iter().find(|encoding| name.eq_ignore_ascii_case(encoding.name().as_bytes()))
}

fn kind_of(value: &[u8]) -> Kind {
    let segments = segments(value);
    let (name, parameters) = segments.split_first().map_or((&[][..], &[][..]), |(name, rest)| (name, rest));
    let name = name.to_ascii_lowercase();
    match name.as_slice() {
        [b'm', b'u', b'l', b't', b'i', b'p', b'a', b'r', b't', b'/', subtype @ ..] => {
            match parameter(parameters, b"boundary") {
                Some(boundary) if (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) => {
                    Kind::Multipart { boundary, digest: subtype == b"digest", signed: subtype == b"signed" }
                }
                _ => Kind::Rigid,
            }
        }
        b"message/rfc822" => Kind::Message,
        b"message/partial" | b"message/external-body" => Kind::Rigid,
        // RFC 6532 §3.7: message/global may be encoded as a whole.
        name if name.starts_with(b"text/") || name.starts_with(b"message/") => Kind::Text,
        _ => Kind::Other,
    }
}

fn parameter(segments: &[Vec<u8>], name: &[u8]) -> Option<Vec<u8>> {
    segments.iter().find_map(|segment| {
        let mut halves = segment.splitn(2, |octet| *octet == b'=');
        let found = halves.next()?.trim_ascii();
        let value = halves.next()?.trim_ascii();
        found.eq_ignore_ascii_case(name).then(|| value.to_vec())
    })
}

/// What stands between the semicolons, without quotes and comments (RFC 2045 §5.1, RFC 822 §3.4).
pub(crate) fn segments(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut segments, mut current) = (Vec::new(), Vec::new());
    let (mut quoted, mut comments) = (false, 0_usize);
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if quoted || comments > 0 => {
                current.extend(octets.next().filter(|_| quoted));
            }
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments += 1,
            b')' if comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            b';' if !quoted => segments.push(std::mem::take(&mut current)),
            octet => current.push(octet),
        }
    }
    segments.push(current);
    segments.iter().map(|segment| segment.trim_ascii().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(value: &str) -> Option<String> {
        match kind_of(value.as_bytes()) {
            Kind::Multipart { boundary, .. } => Some(String::from_utf8(boundary).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn boundaries() {
        for (value, expected) in [
            ("multipart/mixed; boundary=b", "b"),
            ("Multipart/MIXED ; charset=x;\t BOUNDARY = \"a;b = c\" ; x", "a;b = c"),
            ("multipart/mixed (a \\) (b); boundary=no); boundary=\"q\\\"(x)\" (end)", "q\"(x)"),
            ("multipart/signed; boundary=b; boundary=c", "b"),
        ] {
            assert_eq!(boundary(value).as_deref(), Some(expected), "{value}");
        }
        for value in ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary*=x"] {
            assert_eq!(kind_of(value.as_bytes()), Kind::Rigid, "{value}");
        }
        assert_eq!(kind_of(b"text/plain; boundary=b"), Kind::Text);
        assert_eq!(kind_of(b"image/png"), Kind::Other);
    }

    #[test]
    fn labels() {
        let part = |section: &str| Part::of(section.as_bytes(), true, false);
        assert_eq!(part("A: b\r\n\r\n").encoding, Some(Encoding::SevenBit));
        let label = "Content-Transfer-Encoding: 8BIT (yes)\r\n";
        assert_eq!(part(&format!("{label}\r\n")).encoding, Some(Encoding::EightBit));
        assert_eq!(part("Content-Transfer-Encoding: x-uu\r\n\r\n").encoding, None);
        assert!(part(label).editable.eq(&false) && !part(&format!("{label}{label}\r\n")).editable);
        assert!(!part("A: b\r\nno field\r\n\r\n").editable && part("\r\n").editable);
        let encoded = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        assert_eq!(part(encoded).kind, Kind::Rigid);
        assert_eq!(Part::of(b"\r\n", false, true).kind, Kind::Message);
    }
}
