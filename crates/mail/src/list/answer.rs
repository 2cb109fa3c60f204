//! Commands by mail, and what the list answers.

use crate::{Address, Timestamp, header, text};

/// Octets of a body that are searched for a command.
const COMMAND_BODY_BYTES_MAX: usize = 4096;

/// What somebody asks a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Subscribe,
    Unsubscribe,
    /// With the token.
    Confirm(String),
    Help,
}

/// The command in a message to `list-request`: in its subject, else in the first line of its text. Whatever else it says
/// asks for help.
pub fn command(message: &[u8]) -> Command {
    let subject = header::value(message, "Subject").unwrap_or_default();
    let body = message.get(header::body_start(message)..).unwrap_or_default();
    let body = body.get(..COMMAND_BODY_BYTES_MAX).unwrap_or(body);
    let first_line =
        body.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    [Some(subject.as_slice()), first_line].into_iter().flatten().find_map(read).unwrap_or(Command::Help)
}

fn read(line: &[u8]) -> Option<Command> {
    let line = String::from_utf8_lossy(line).to_lowercase();
    let mut words = line.split_whitespace().skip_while(|word| word.ends_with(':'));
    match words.next()? {
        "subscribe" => Some(Command::Subscribe),
        "unsubscribe" => Some(Command::Unsubscribe),
        "help" => Some(Command::Help),
        "confirm" => words.next().map(|token| Command::Confirm(token.to_owned())),
        _ => None,
    }
}

/// A message of the list itself, from the null reverse-path.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    pub from: &'a Address,
    pub to: &'a Address,
    /// One line of ASCII.
    pub subject: &'a str,
    /// Paragraphs; what others wrote in them is cleaned.
    pub paragraphs: &'a [String],
    pub id: String,
    pub at: Timestamp,
    /// The message that is answered.
    pub original: &'a [u8],
}

impl Answer<'_> {
    /// The whole message; UTF-8 stands in its header only if an address has it.
    pub fn write(&self) -> Vec<u8> {
        let is_plain =
            |id: &String| id.bytes().all(|octet| matches!(octet, b'!'..=b'~') && !b"<>".contains(&octet));
        let references = header::message_id(self.original).filter(is_plain);
        let references =
            references.map(|id| format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n")).unwrap_or_default();
        let body: String = self.paragraphs.iter().map(|paragraph| wrapped(paragraph)).collect();
        let (charset, encoding) = if body.is_ascii() { ("us-ascii", "7bit") } else { ("utf-8", "8bit") };
        let Self { from, to, subject, id, at, .. } = self;
        // RFC 3834 §5: nobody's auto-responder answers it.
        format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {}\r\nMessage-ID: <{id}>\r\n{references}\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n{body}",
            at.rfc5322()
        )
        .into_bytes()
    }
}

/// Lines of at most 76 characters where words allow it, with an empty line behind.
fn wrapped(paragraph: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text::clean(paragraph.as_bytes()).split_whitespace() {
        let chars = word.chars().count();
        if column > 0 && column + chars >= 76 {
            out.push_str("\r\n");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += chars;
    }
    out + "\r\n\r\n"
}
