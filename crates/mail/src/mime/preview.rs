//! The first words of a message (RFC 8970), for lists of messages.

use super::{Kind, Part, Structure, TransferDecoder, TransferEncoding};
use crate::{charset::CharsetDecoder, text::is_harmless};

/// RFC 8970 §3.1
pub const PREVIEW_CHARS_MAX: usize = 200;
/// Octets of a message that its preview is made of.
pub const PREVIEW_SOURCE_BYTES_MAX: usize = 32 * 1024;
/// Octets of plain text that are enough for the words wanted, in any encoding and charset.
const PLAIN_BYTES_MAX: usize = 4 * PREVIEW_CHARS_MAX * 3;
/// Of a character's name or number in HTML; what is longer is text.
const ENTITY_BYTES_MAX: usize = 12;

impl Structure {
    /// Of a message that begins with `start`: its text without white space and controls, or nothing if it has none there.
    pub fn preview(&self, start: &[u8]) -> String {
        let start = start.get(..PREVIEW_SOURCE_BYTES_MAX).unwrap_or(start);
        let text = |subtype| self.texts().find(|part| part.content.is("text", subtype));
        let plain = text("plain").map(|part| words(&decoded(part, start, PLAIN_BYTES_MAX)));
        match plain.filter(|text| !text.is_empty()) {
            Some(text) => text,
            None => text("html")
                .map(|part| words(&without_markup(&decoded(part, start, PREVIEW_SOURCE_BYTES_MAX))))
                .unwrap_or_default(),
        }
    }

    /// Leaves of the message itself that are no attachments.
    fn texts(&self) -> impl Iterator<Item = &Part> {
        let mut behind = 0;
        self.parts().iter().enumerate().filter_map(move |(place, part)| {
            if place < behind {
                return None;
            }
            if part.kind == Kind::Message {
                behind = place + part.descendants() + 1;
            }
            let attached = |(name, _): &(String, _)| name.eq_ignore_ascii_case("attachment");
            let is_text = part.kind == Kind::Leaf && !part.content.disposition.as_ref().is_some_and(attached);
            is_text.then_some(part)
        })
    }
}

/// Of the body's first octets, at most so many.
fn decoded(part: &Part, start: &[u8], bytes_max: usize) -> String {
    let within = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(start.len());
    let range = part.body();
    let octets = start.get(within(range.start)..within(range.end)).unwrap_or_default();
    let octets = octets.get(..bytes_max).unwrap_or(octets);
    let encoding =
        part.content.encoding.as_deref().map_or(Some(TransferEncoding::Identity), TransferEncoding::of);
    let Some(encoding) = encoding else { return String::new() };
    let mut text = Vec::with_capacity(octets.len());
    let mut decoder = TransferDecoder::new(encoding);
    decoder.push(octets, &mut text);
    decoder.finish(&mut text);
    let charset = part.content.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let mut decoded = String::new();
    CharsetDecoder::new(charset.map_or("", |(_, charset)| charset)).push(&text, true, &mut decoded);
    decoded
}

/// The first ones, with single spaces.
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        let word = word.chars().filter(|c| is_harmless(*c) && *c != char::REPLACEMENT_CHARACTER);
        let mut is_first = true;
        for c in word {
            let space = usize::from(std::mem::take(&mut is_first) && !out.is_empty());
            if count + space + 1 > PREVIEW_CHARS_MAX {
                return out;
            }
            if space == 1 {
                out.push(' ');
            }
            out.push(c);
            count += space + 1;
        }
    }
    out
}

/// The text of HTML: without tags, comments, and elements that nobody sees. Linear, and right for what is usual.
fn without_markup(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 4);
    let mut rest = html;
    while let Some((text, markup)) = rest.split_once('<') {
        push_text(text, &mut out);
        rest = behind_markup(markup);
        out.push(' ');
    }
    push_text(rest, &mut out);
    out
}

/// `markup`: what follows a `<`.
fn behind_markup(markup: &str) -> &str {
    if let Some(comment) = markup.strip_prefix("!--") {
        return comment.split_once("-->").map_or("", |(_, rest)| rest);
    }
    let (tag, rest) = markup.split_once('>').unwrap_or((markup, ""));
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    for hidden in ["style", "script", "title", "template"] {
        if name.eq_ignore_ascii_case(hidden) {
            return behind_end(rest, hidden);
        }
    }
    rest
}

fn behind_end<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some((_, end)) = rest.split_once("</") {
        rest = end;
        if end.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return end.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    ""
}

fn push_text(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = entity(after);
        let (character, after) = entity.unwrap_or(('&', after));
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
}

/// What is meant, and what follows its semicolon.
fn entity(text: &str) -> Option<(char, &str)> {
    let end = text.bytes().take(ENTITY_BYTES_MAX).position(|octet| octet == b';')?;
    Some((character(text.get(..end)?)?, text.get(end + 1..)?))
}

fn character(name: &str) -> Option<char> {
    const NAMED: [(&str, char); 10] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("ndash", '–'),
        ("mdash", '—'),
        ("rsquo", '’'),
        ("hellip", '…'),
    ];
    if let Some((_, character)) = NAMED.into_iter().find(|(known, _)| *known == name) {
        return Some(character);
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(message: &str) -> String {
        Structure::of(message.as_bytes()).preview(message.as_bytes())
    }

    #[test]
    fn plain_text_is_shown_decoded_and_in_one_line() {
        let message = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\
                       \r\nGr=FC=DFe\r\n\r\n  aus=\r\n der \u{1b}[31mFerne\r\n";
        assert_eq!(preview(message), "Grüße aus der [31mFerne");
        assert_eq!(preview("Subject: x\r\n\r\n"), "");
        assert_eq!(preview("no header at all"), "");
        let long = format!("Subject: x\r\n\r\n{}", "wörter ".repeat(50));
        assert_eq!(preview(&long).chars().count(), 200);
        let unknown = "Content-Transfer-Encoding: x-uu\r\n\r\nbegin 644\r\n";
        assert_eq!(preview(unknown), "");
    }

    #[test]
    fn of_alternatives_the_plain_one_is_shown_and_attachments_and_forwarded_messages_are_not() {
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
                       --b\r\nContent-Disposition: attachment\r\n\r\nattached\r\n\
                       --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nforwarded\r\n\
                       --b\r\nContent-Type: text/html\r\n\r\n<p>as HTML\r\n\
                       --b\r\n\r\nas text\r\n--b--\r\n";
        assert_eq!(preview(message), "as text");
        assert_eq!(preview(&message.replace("as text", " ")), "as HTML");
    }

    #[test]
    fn html_is_shown_without_its_markup() {
        let html = |body: &str| preview(&format!("Content-Type: text/html; charset=utf-8\r\n\r\n{body}"));
        let body = "<html><head><TITLE>t</title><style type=\"a\">p { x: '</p>' }</STYLE></head>\
                    <!-- <b>no</b> --><body>a&nbsp;&lt;b&gt; &#228;&#x20AC;&bogus; &amp<br>c<script>x</script>d";
        assert_eq!(html(body), "a <b> ä€&bogus; &amp c d");
        for broken in
            ["<", "<!--", "<style>", "<script", "a<b", "&", "&#x110000;", "&#99999999999;", "<style></sty"]
        {
            html(broken);
        }
    }

    #[test]
    fn any_cut_of_a_message_gives_something() {
        let message = "Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nYcOkw6Q8YsO2";
        let structure = Structure::of(message.as_bytes());
        for end in 0..message.len() {
            structure.preview(&message.as_bytes()[..end]);
        }
    }
}
