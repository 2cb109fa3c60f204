//! IMAP URLs of messages and their parts (RFC 5092), as CATENATE, URLAUTH and BURL use them (RFC 4469, RFC 4467).

use mail::Timestamp;

use super::{
    command::{MailboxName, Section},
    cursor::Cursor,
};

/// Longer URLs are none of ours.
const URL_BYTES_MAX: usize = 4096;

/// A message, or a part of one. Whether it is there, and who may read it, is to be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// `None`: this server.
    pub server: Option<UrlServer>,
    pub mailbox: MailboxName,
    pub uid_validity: Option<u32>,
    /// Not zero.
    pub uid: u32,
    /// Empty for the message as a whole.
    pub section: Section,
    /// The offset, and how many octets if not all.
    pub partial: Option<(u64, Option<u64>)>,
    pub authorization: Option<UrlAuthorization>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlServer {
    pub user: Option<String>,
    /// With the port, if there is one.
    pub host: String,
}

/// Who may use the URL, and what proves that it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlAuthorization {
    pub expires: Option<Timestamp>,
    pub access: UrlAccess,
    /// `None`: it is not signed yet.
    pub signature: Option<UrlSignature>,
    /// Octets of the URL that are signed, from its start.
    pub rump_bytes: usize,
}

/// RFC 4467 §3
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlAccess {
    /// Submission on behalf of this user.
    Submit(String),
    User(String),
    /// Whoever has logged in.
    AuthUser,
    Anonymous,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlSignature {
    /// In upper case.
    pub mechanism: String,
    /// Hexadecimal digits, with those of the algorithm before them.
    pub token: String,
}

impl MessageUrl {
    /// `None`: it breaks the grammar, or names no message.
    pub fn parse(url: &str) -> Option<Self> {
        if url.len() > URL_BYTES_MAX || !url.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let (server, path) = match strip_any_case(url, "imap://") {
            Some(rest) => {
                let (server, path) = rest.split_at_checked(rest.find('/')?)?;
                (Some(UrlServer::parse(server)?), path)
            }
            None => (None, url),
        };
        let (mailbox, rest) = split_any_case(path.strip_prefix('/')?, "/;UID=")?;
        let (mailbox, uid_validity) = match split_any_case(mailbox, ";UIDVALIDITY=") {
            Some((mailbox, validity)) => (mailbox, Some(nz_number(validity)?)),
            None => (mailbox, None),
        };
        let mailbox = MailboxName::new(&percent_decode(mailbox)?)?;
        let (uid, mut rest) = value(rest);
        let mut parsed = Self {
            server,
            mailbox,
            uid_validity,
            uid: nz_number(uid)?,
            section: Section::default(),
            partial: None,
            authorization: None,
        };
        if let Some(after) = strip_any_case(rest, "/;SECTION=") {
            let (section, after) = value(after);
            parsed.section = parse_section(section)?;
            rest = after;
        }
        if let Some(after) = strip_any_case(rest, "/;PARTIAL=") {
            let (partial, after) = value(after);
            parsed.partial = Some(parse_partial(partial)?);
            rest = after;
        }
        if !rest.is_empty() {
            parsed.authorization = Some(UrlAuthorization::parse(rest, url.len())?);
        }
        Some(parsed)
    }
}

impl UrlServer {
    fn parse(text: &str) -> Option<Self> {
        let (user, host) = match text.rsplit_once('@') {
            Some((user, host)) => {
                // `;AUTH=` says how the client should log in, which is nothing to us.
                let user = user.split(';').next().unwrap_or_default();
                (Some(percent_decode(user)?).filter(|user| !user.is_empty()), host)
            }
            None => (None, text),
        };
        (!host.is_empty()).then(|| Self { user, host: host.to_ascii_lowercase() })
    }
}

impl UrlAuthorization {
    /// `rest`: from the semicolon to the end of a URL of so many octets.
    fn parse(rest: &str, url_bytes: usize) -> Option<Self> {
        let (expires, rest) = match strip_any_case(rest, ";EXPIRE=") {
            Some(after) => {
                let (moment, rest) = value(after);
                (Some(Timestamp::parse_rfc3339(moment).ok()?), rest)
            }
            None => (None, rest),
        };
        let rest = strip_any_case(rest, ";URLAUTH=")?;
        let (access, signature) = match rest.split_once(':') {
            Some((access, signature)) => (access, Some(UrlSignature::parse(signature)?)),
            None => (rest, None),
        };
        let unsigned = rest.len() - access.len();
        let access = UrlAccess::parse(access)?;
        Some(Self { expires, access, signature, rump_bytes: url_bytes - unsigned })
    }
}

impl UrlAccess {
    fn parse(text: &str) -> Option<Self> {
        let user =
            |prefix| strip_any_case(text, prefix).and_then(percent_decode).filter(|user| !user.is_empty());
        if let Some(user) = user("submit+") {
            Some(Self::Submit(user))
        } else if let Some(user) = user("user+") {
            Some(Self::User(user))
        } else if text.eq_ignore_ascii_case("authuser") {
            Some(Self::AuthUser)
        } else {
            text.eq_ignore_ascii_case("anonymous").then_some(Self::Anonymous)
        }
    }
}

impl UrlSignature {
    fn parse(text: &str) -> Option<Self> {
        let (mechanism, token) = text.split_once(':')?;
        let well_formed = !mechanism.is_empty()
            && mechanism.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'))
            // RFC 4467 §9: 128 bits at least.
            && token.len() >= 32
            && token.bytes().all(|octet| octet.is_ascii_hexdigit());
        well_formed.then(|| Self { mechanism: mechanism.to_ascii_uppercase(), token: token.to_owned() })
    }
}

/// As far as a value goes, and what follows.
fn value(text: &str) -> (&str, &str) {
    text.split_at_checked(text.find(['/', ';']).unwrap_or(text.len())).unwrap_or((text, ""))
}

fn parse_section(text: &str) -> Option<Section> {
    let text = format!("{}]", percent_decode(text)?);
    let mut cursor = Cursor::new(text.as_bytes(), true);
    Section::parse(&mut cursor).ok().filter(|_| cursor.is_at_end())
}

fn parse_partial(text: &str) -> Option<(u64, Option<u64>)> {
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()));
    match text.split_once('.') {
        Some((offset, octets)) => Some((number(offset)?, Some(number(octets)?))),
        None => Some((number(text)?, None)),
    }
}

fn nz_number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// RFC 3986 §2.1, into UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
            out.push(u8::from_str_radix(digits?, 16).ok()?);
            rest = after;
        } else {
            out.push(octet);
        }
    }
    String::from_utf8(out).ok()
}

fn strip_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn split_any_case<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let (at, _) = text.char_indices().find(|(at, _)| {
        text.get(*at..*at + separator.len()).is_some_and(|found| found.eq_ignore_ascii_case(separator))
    })?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::{super::command::SectionText, *};

    const TOKEN: &str = "91354a473744909de610943775f92038";

    #[test]
    fn parts_of_messages_here() {
        let url = MessageUrl::parse("/Entw%C3%BCrfe/a%20b;UIDVALIDITY=385759045/;UID=20/;section=1.2.MIME")
            .unwrap();
        assert_eq!((url.server, url.mailbox.as_str()), (None, "Entwürfe/a b"));
        assert_eq!((url.uid_validity, url.uid), (Some(385_759_045), 20));
        assert_eq!(url.section, Section { part: vec![1, 2], text: SectionText::Mime });
        let url = MessageUrl::parse("/inbox/;uid=7/;SECTION=HEADER.FIELDS%20(To)/;PARTIAL=5.10").unwrap();
        assert_eq!((url.mailbox.as_str(), url.partial), ("INBOX", Some((5, Some(10)))));
        assert_eq!(url.section.text, SectionText::HeaderFields(vec!["To".to_owned()]));
        assert_eq!(MessageUrl::parse("/x/;UID=1/;PARTIAL=5").unwrap().partial, Some((5, None)));
    }

    #[test]
    fn urls_that_are_signed() {
        let rump = "imap://joe;AUTH=*@Example.com:143/INBOX/;uid=20/;section=1.2;expire=2026-11-26T09:00:00Z;\
                    urlauth=submit+fr%65d";
        let unsigned = MessageUrl::parse(rump).unwrap();
        assert_eq!(
            unsigned.server,
            Some(UrlServer { user: Some("joe".to_owned()), host: "example.com:143".to_owned() })
        );
        let authorization = unsigned.authorization.unwrap();
        assert_eq!((authorization.signature, authorization.rump_bytes), (None, rump.len()));
        assert_eq!(authorization.access, UrlAccess::Submit("fred".to_owned()));
        assert!(authorization.expires.is_some());
        let signed = MessageUrl::parse(&format!("{rump}:internal:{TOKEN}")).unwrap().authorization.unwrap();
        assert_eq!(signed.rump_bytes, rump.len());
        let signature = UrlSignature { mechanism: "INTERNAL".to_owned(), token: TOKEN.to_owned() };
        assert_eq!(signed.signature, Some(signature));
        for (text, access) in [
            ("anonymous", UrlAccess::Anonymous),
            ("AUTHUSER", UrlAccess::AuthUser),
            ("user+a", UrlAccess::User("a".to_owned())),
        ] {
            let url = MessageUrl::parse(&format!("/x/;UID=1;URLAUTH={text}")).unwrap();
            assert_eq!(url.authorization.unwrap().access, access);
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for url in [
            "",
            "/",
            "/x",
            "/x/;UID=",
            "/x/;UID=0",
            "/x/;UID=+1",
            "//;UID=1",
            "/x;UIDVALIDITY=0/;UID=1",
            "/x/;UID=1/;SECTION=0",
            "/x/;UID=1/;SECTION=MIME",
            "/x/;UID=1/;SECTION=1]",
            "/x/;UID=1/;PARTIAL=a",
            "/x/;UID=1/more",
            "/x/;UID=1;URLAUTH=",
            "/x/;UID=1;URLAUTH=submit+",
            "/x/;UID=1;URLAUTH=anonymous:internal:12",
            "/x/;UID=1;URLAUTH=anonymous:internal",
            "/x/;UID=1;EXPIRE=now;URLAUTH=anonymous",
            "/%FF/;UID=1",
            "/%4/;UID=1",
            "/%+4/;UID=1",
            "/a b/;UID=1",
            "/ä/;UID=1",
            "imap://",
            "imap:///x/;UID=1",
            "http://x/y/;UID=1",
        ] {
            assert_eq!(MessageUrl::parse(url), None, "{url}");
        }
        assert_eq!(MessageUrl::parse(&format!("/{}/;UID=1", "x".repeat(5000))), None);
    }
}
