//! The start of a structure as it is stored, borrowed from the octets: who sorts a mailbox needs no more of each message,
//! and reads a hundred thousand of them.

use serde::Deserialize;

use super::Kind;

/// What a serialised [`Structure`](super::Structure) begins with. Its fields are those of that type and of the types it
/// is made of, in their order, up to the last that is needed.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what is not needed is read to be passed over")]
pub struct StructureHead<'a> {
    parts: u64,
    header_start: u64,
    body_start: u64,
    body_end: u64,
    lines: u64,
    descendants: u32,
    kind: Kind,
    #[serde(borrow)]
    content: ContentHead<'a>,
    /// Of the message itself.
    pub envelope: Option<EnvelopeHead<'a>>,
}

type Parameters<'a> = Vec<(&'a str, &'a str)>;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what is not needed is read to be passed over")]
struct ContentHead<'a> {
    media_type: &'a str,
    subtype: &'a str,
    #[serde(borrow)]
    parameters: Parameters<'a>,
    id: Option<&'a str>,
    description: Option<&'a str>,
    encoding: Option<&'a str>,
    md5: Option<&'a str>,
    disposition: Option<(&'a str, Parameters<'a>)>,
    languages: Vec<&'a str>,
    location: Option<&'a str>,
}

/// As [`Envelope`](super::Envelope).
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what is not needed is read to be passed over")]
pub struct EnvelopeHead<'a> {
    pub date: Option<&'a str>,
    pub subject: Option<&'a str>,
    #[serde(borrow)]
    pub from: Vec<AddressHead<'a>>,
    sender: Vec<AddressHead<'a>>,
    reply_to: Vec<AddressHead<'a>>,
    pub to: Vec<AddressHead<'a>>,
    pub cc: Vec<AddressHead<'a>>,
}

/// As [`EnvelopeAddress`](super::EnvelopeAddress).
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub enum AddressHead<'a> {
    Mailbox { name: Option<&'a str>, route: Option<&'a str>, local_part: &'a str, host: &'a str },
    GroupStart(&'a str),
    GroupEnd,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Structure;

    fn stored(message: &str) -> Vec<u8> {
        postcard::to_stdvec(&Structure::of(message.as_bytes())).unwrap()
    }

    #[test]
    fn a_head_is_what_the_structure_begins_with() {
        let octets = stored(
            "Date: Fri, 1 Jan 2027 00:00:00 +0000\r\nSubject: Hello\r\nFrom: \"A, B\" <a@x>\r\nSender: s@x\r\nReply-To: \
             r@x\r\nTo: friends: b@x, c@x;\r\nCc: d@x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; \
             boundary=b\r\nContent-Language: de, en\r\nContent-Disposition: inline; filename=f\r\nContent-ID: <1@x>\r\n\
             \r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
        );
        let (head, rest) = postcard::take_from_bytes::<StructureHead<'_>>(&octets).unwrap();
        let envelope = head.envelope.unwrap();
        assert_eq!(
            (envelope.date, envelope.subject),
            (Some("Fri, 1 Jan 2027 00:00:00 +0000"), Some("Hello"))
        );
        let mailbox = |name, local_part| AddressHead::Mailbox { name, route: None, local_part, host: "x" };
        assert_eq!(envelope.from, [mailbox(Some("A, B"), "a")]);
        let to = [
            AddressHead::GroupStart("friends"),
            mailbox(None, "b"),
            mailbox(None, "c"),
            AddressHead::GroupEnd,
        ];
        assert_eq!((&envelope.to[..], &envelope.cc[..]), (&to[..], &[mailbox(None, "d")][..]));
        assert!(!rest.is_empty() && head.parts == 3);
    }

    #[test]
    fn a_message_of_nothing_has_a_head() {
        let octets = stored("");
        let (head, _) = postcard::take_from_bytes::<StructureHead<'_>>(&octets).unwrap();
        assert!(head.envelope.is_none_or(|envelope| envelope.date.is_none() && envelope.from.is_empty()));
    }
}
