//! mbox: messages one after another, each begun by a line `From sender date`, lines of text that begin so marked by `>`
//! (mboxrd). Flags are in header fields that are no part of the message.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use mail::Timestamp;

use super::{Found, MESSAGE_BYTES_MAX, Message, names, push_line, with_lf};

/// Header fields that belong to the mbox.
const FIELDS: [&str; 7] =
    ["Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP", "X-IMAPbase", "X-Mozilla-Status"];
/// Letters of Status and X-Status.
const LETTERS: [(char, &str); 5] =
    [('R', "\\Seen"), ('A', "\\Answered"), ('F', "\\Flagged"), ('D', "\\Deleted"), ('T', "\\Draft")];
/// Bits of X-Mozilla-Status, as Thunderbird writes it.
const MOZILLA_BITS: [(u16, &str); 3] = [(1, "\\Seen"), (2, "\\Answered"), (4, "\\Flagged")];
const MOZILLA_EXPUNGED: u16 = 8;
const DEPTH_MAX: usize = 20;

/// The messages of a file, for the mailbox INBOX, or of a directory of files, each a mailbox.
pub fn read(path: &Path) -> io::Result<(u64, impl Iterator<Item = Found> + use<>)> {
    let mut files = Vec::new();
    if path.is_dir() {
        find_files(path, &[], &mut files, 0)?;
    } else {
        files.push(("INBOX".to_owned(), path.to_owned()));
    }
    let octets = files.iter().map(|(_, path)| fs::metadata(path).map_or(0, |metadata| metadata.len())).sum();
    let opened = files.into_iter().map(|(mailbox, path)| {
        let file = File::open(&path)?;
        Ok(Mbox { mailbox, path, input: BufReader::new(file), line: Vec::new(), begun: false, octets: 0 })
    });
    let opened = opened.collect::<io::Result<Vec<_>>>()?;
    Ok((octets, opened.into_iter().flatten()))
}

fn find_files(
    path: &Path,
    above: &[String],
    files: &mut Vec<(String, PathBuf)>,
    depth: usize,
) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        let level = |suffix| names::decode(name.strip_suffix(suffix).unwrap_or(&name));
        if kind.is_dir() && depth < DEPTH_MAX {
            let levels = [above, &[level(".sbd")]].concat();
            find_files(&entry.path(), &levels, files, depth + 1)?;
        } else if kind.is_file() && begins_as_mbox(&entry.path())? {
            files.push(([above, &[level(".mbox")]].concat().join("/"), entry.path()));
        }
    }
    Ok(())
}

fn begins_as_mbox(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(5).read_to_end(&mut start)?;
    Ok(start == b"From ")
}

/// A file that is being read.
struct Mbox {
    mailbox: String,
    path: PathBuf,
    input: BufReader<File>,
    /// The line that begins the next message.
    line: Vec<u8>,
    begun: bool,
    /// Read since the message before.
    octets: u64,
}

/// What is next in a file.
enum Next {
    Message(Message),
    /// It stands for no message.
    Nothing,
    TooLong,
    End,
}

impl Iterator for Mbox {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let next = self.read_message();
            let octets = std::mem::take(&mut self.octets);
            let message = match next {
                Ok(Next::End) => return None,
                Ok(Next::Nothing) => continue,
                Ok(Next::Message(message)) => Ok(message),
                Ok(Next::TooLong) => Err(format!("{}: a message in it is too long", self.path.display())),
                Err(error) => {
                    // Nothing of it is read again.
                    self.line.clear();
                    Err(format!("{}: {error}", self.path.display()))
                }
            };
            return Some(Found { mailbox: self.mailbox.clone(), message, octets });
        }
    }
}

impl Mbox {
    fn read_message(&mut self) -> io::Result<Next> {
        if !std::mem::replace(&mut self.begun, true) {
            self.read_line()?;
        }
        if !self.line.starts_with(b"From ") {
            return Ok(Next::End);
        }
        let date = date_of(&self.line);
        let (mut content, mut after_blank, mut too_long) = (Vec::new(), false, false);
        while self.read_line()? > 0 {
            if after_blank && self.line.starts_with(b"From ") && date_of(&self.line).is_some() {
                break;
            }
            after_blank = matches!(self.line.as_slice(), b"\n" | b"\r\n");
            too_long |= content.len() as u64 > MESSAGE_BYTES_MAX;
            if !too_long {
                push_line(without_mark(&self.line), &mut content);
            }
        }
        if too_long {
            return Ok(Next::TooLong);
        }
        // The empty line before the next message.
        if after_blank && content.ends_with(b"\r\n\r\n") || content == b"\r\n" {
            content.truncate(content.len().saturating_sub(2));
        }
        Ok(message_of(&content, date).map_or(Next::Nothing, Next::Message))
    }

    fn read_line(&mut self) -> io::Result<usize> {
        self.line.clear();
        let read = (&mut self.input).take(MESSAGE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        self.octets += read as u64;
        Ok(read)
    }
}

/// `>From ` was `From `, `>>From ` was `>From `.
fn without_mark(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|octet| **octet == b'>').count();
    let marked = marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "));
    line.get(usize::from(marked)..).unwrap_or(line)
}

/// Takes out what is the mbox's. `None` for a message that stands for none: the mailbox's own data, or one that Thunderbird
/// has only marked as gone.
fn message_of(content: &[u8], internal_date: Option<Timestamp>) -> Option<Message> {
    let mut message = Message { internal_date, ..Message::default() };
    let (mut in_header, mut skips, mut mozilla, mut is_internal) = (true, false, 0, false);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if in_header && !matches!(line.first(), Some(b' ' | b'\t')) {
            in_header = line != b"\r\n";
            let field = field_of(line);
            skips = in_header && field.is_some();
            if let Some((name, value)) = field.filter(|_| in_header) {
                match name {
                    "Status" | "X-Status" => message.flags.extend(letters(&value)),
                    "X-Keywords" => message.flags.extend(value.split_whitespace().map(str::to_owned)),
                    "X-Mozilla-Status" => mozilla = u16::from_str_radix(&value, 16).unwrap_or(0),
                    "X-IMAP" => is_internal = true,
                    _ => {}
                }
            }
        }
        if !(in_header && skips) {
            message.content.extend_from_slice(line);
        }
    }
    let bits = MOZILLA_BITS.iter().filter(|(bit, _)| mozilla & bit != 0);
    message.flags.extend(bits.map(|(_, flag)| (*flag).to_owned()));
    message.flags.sort_unstable();
    message.flags.dedup();
    (!is_internal && mozilla & MOZILLA_EXPUNGED == 0).then_some(message)
}

/// A field of ours, if the line is one.
fn field_of(line: &[u8]) -> Option<(&'static str, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    let known = FIELDS.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    Some((known, value.trim().to_owned()))
}

fn letters(value: &str) -> impl Iterator<Item = String> + '_ {
    LETTERS.iter().filter(|(letter, _)| value.contains(*letter)).map(|(_, flag)| (*flag).to_owned())
}

/// `From anna@example.org Mon Nov 23 22:36:00 2026`, with or without a zone; without, it is UTC.
fn date_of(line: &[u8]) -> Option<Timestamp> {
    let line = std::str::from_utf8(line).ok()?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let weekday = |word: &&str| ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(word);
    let at = words.iter().rposition(weekday)?;
    let rest = words.get(at + 1..)?;
    let (month, day, time) = (rest.first()?, rest.get(1)?, rest.get(2)?);
    let time = if time.matches(':').count() == 1 { format!("{time}:00") } else { (*time).to_owned() };
    let zone = rest.get(3..)?.iter().find(|word| word.starts_with(['+', '-']) && word.len() == 5);
    let year = rest
        .get(3..)?
        .iter()
        .find(|word| word.len() == 4 && word.bytes().all(|octet| octet.is_ascii_digit()))?;
    Timestamp::parse_rfc5322(&format!("{day} {month} {year} {time} {}", zone.unwrap_or(&"+0000"))).ok()
}

/// A mailbox that is written as a file; it appears there when it is whole.
#[derive(Debug)]
pub struct Writer {
    draft: PathBuf,
    target: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    /// `a/b` becomes `ROOT/a/b.mbox`.
    pub fn create(root: &Path, mailbox: &str) -> io::Result<Self> {
        let mut target = root.to_owned();
        target.extend(mailbox.split('/').map(names::encode));
        target.as_mut_os_string().push(".mbox");
        let folder = target.parent().unwrap_or(root);
        fs::create_dir_all(folder)?;
        let mut draft = target.clone();
        draft.as_mut_os_string().push(".part");
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.write(true).create(true).truncate(true).open(&draft)?;
        Ok(Self { draft, target, out: BufWriter::new(file) })
    }

    pub fn write(&mut self, message: &Message) -> io::Result<()> {
        let content = with_lf(&message.content);
        writeln!(
            self.out,
            "From {} {}",
            sender(&content),
            asctime(message.internal_date.unwrap_or_default())
        )?;
        let (header, body) = parts(&content);
        self.write_header(header)?;
        self.write_flags(&message.flags)?;
        self.out.write_all(b"\n")?;
        for line in body.split_inclusive(|octet| *octet == b'\n') {
            let marks = line.iter().take_while(|octet| **octet == b'>').count();
            if line.get(marks..).is_some_and(|rest| rest.starts_with(b"From ")) {
                self.out.write_all(b">")?;
            }
            self.out.write_all(line)?;
        }
        let ended = body.is_empty() || body.ends_with(b"\n");
        self.out.write_all(if ended { b"\n" } else { b"\n\n" })
    }

    /// What a sender wrote in the place of our own fields must not become flags.
    fn write_header(&mut self, header: &[u8]) -> io::Result<()> {
        let mut skips = false;
        for line in header.split_inclusive(|octet| *octet == b'\n') {
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                skips = field_of(line).is_some();
            }
            if !skips {
                self.out.write_all(line)?;
            }
        }
        if header.is_empty() || header.ends_with(b"\n") { Ok(()) } else { self.out.write_all(b"\n") }
    }

    fn write_flags(&mut self, flags: &[String]) -> io::Result<()> {
        let has = |flag: &str| flags.iter().any(|own| own.eq_ignore_ascii_case(flag));
        let (seen, others) = LETTERS.split_first().unwrap_or((&('R', "\\Seen"), &[]));
        writeln!(self.out, "Status: {}O", if has(seen.1) { "R" } else { "" })?;
        let letters: String =
            others.iter().filter(|(_, flag)| has(flag)).map(|(letter, _)| *letter).collect();
        if !letters.is_empty() {
            writeln!(self.out, "X-Status: {letters}")?;
        }
        let keywords: Vec<&str> =
            flags.iter().map(String::as_str).filter(|flag| !flag.starts_with('\\')).collect();
        if !keywords.is_empty() {
            writeln!(self.out, "X-Keywords: {}", keywords.join(" "))?;
        }
        Ok(())
    }

    pub fn finish(self) -> io::Result<()> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.draft, &self.target)
    }
}

/// Header and body, without the empty line between them.
fn parts(content: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = content.strip_prefix(b"\n") {
        return (b"", body);
    }
    let end = content.windows(2).position(|two| two == b"\n\n");
    end.and_then(|at| Some((content.get(..=at)?, content.get(at + 2..)?))).unwrap_or((content, b""))
}

/// Who sent it, as the first Return-Path says.
fn sender(content: &[u8]) -> String {
    let line = content.split(|octet| *octet == b'\n').take_while(|line| !line.is_empty()).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Return-Path").then(|| value.trim().trim_matches(['<', '>']).to_owned())
    });
    let plain = |address: &String| {
        !address.is_empty() && address.chars().all(|c| !c.is_whitespace() && !c.is_control())
    };
    line.filter(plain).unwrap_or_else(|| "MAILER-DAEMON".to_owned())
}

/// `Mon Nov 23 22:36:00 2026`, in UTC.
fn asctime(at: Timestamp) -> String {
    let text = at.rfc5322();
    let words: Vec<&str> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [weekday, day, month, year, time, ..] => {
            format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(path: &Path) -> Vec<(String, Message)> {
        let (_, found) = read(path).unwrap();
        found.map(|found| (found.mailbox, found.message.unwrap())).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let message = |content: &str, flags: &[&str]| Message {
            content: content.as_bytes().to_vec(),
            internal_date: Some(Timestamp::from_millis(1_700_000_000_000)),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        let messages = [
            message(
                "Return-Path: <a@b>\r\nSubject: x\r\n\r\nFrom me\r\n>From you\r\n\r\nFrom x Mon Nov 23 22:36:00 2026\r\n",
                &["$Junk", "\\Seen"],
            ),
            message("Subject: no body\r\n\r\n", &[]),
            message(
                "Subject: y\r\n\r\nends with an empty line\r\n\r\n",
                &["\\Deleted", "\\Draft", "\\Flagged"],
            ),
        ];
        let mut writer = Writer::create(directory.path(), "a.b/ü").unwrap();
        for message in &messages {
            writer.write(message).unwrap();
        }
        writer.finish().unwrap();
        let read = read_all(directory.path());
        assert!(read.iter().all(|(mailbox, _)| mailbox == "a.b/ü"));
        assert_eq!(read.into_iter().map(|(_, message)| message).collect::<Vec<_>>(), messages);
    }

    #[test]
    fn files_of_other_programs_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Old");
        let text = "From MAILER-DAEMON Mon Nov 23 22:36:00 2026\nX-IMAP: 1 2\nSubject: internal\n\nx\n\n\
                    From - Mon Nov 23 22:36:00 2026 +0100\nX-Mozilla-Status: 0005\nSubject: a\n\nbody\n\n\
                    From  at\n\nFrom gone Mon Nov 23 22:36 2026\nX-Mozilla-Status: 0009\n\ngone\n\n\
                    From b@c Mon Nov  2 22:36:00 MST 2026\nStatus: RO\nX-Status: A\n F\nSubject: b\n\nno end";
        fs::write(&path, text).unwrap();
        fs::write(directory.path().join("Old.msf"), "not mail").unwrap();
        let read = read_all(directory.path());
        let contents: Vec<_> =
            read.iter().map(|(_, message)| String::from_utf8_lossy(&message.content).into_owned()).collect();
        assert_eq!(contents, ["Subject: a\r\n\r\nbody\r\n\r\nFrom  at\r\n", "Subject: b\r\n\r\nno end"]);
        assert_eq!(read[0].1.flags, ["\\Flagged", "\\Seen"]);
        assert_eq!(read[1].1.flags, ["\\Answered", "\\Seen"]);
        assert_eq!(read[0].1.internal_date.unwrap().rfc5322(), "Mon, 23 Nov 2026 21:36:00 +0000");
        assert_eq!(read[1].1.internal_date.unwrap().rfc5322(), "Mon, 02 Nov 2026 22:36:00 +0000");
        assert_eq!(read_all(&path)[0].0, "INBOX");
    }

    #[test]
    fn a_sender_cannot_set_flags() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(directory.path(), "x").unwrap();
        let content = b"Status: RO\r\nX-Keywords: evil\r\n more\r\nSubject: s\r\n\r\nbody\r\n".to_vec();
        writer.write(&Message { content, ..Message::default() }).unwrap();
        writer.finish().unwrap();
        let read = read_all(directory.path()).remove(0).1;
        assert_eq!((read.flags.len(), read.content), (0, b"Subject: s\r\n\r\nbody\r\n".to_vec()));
    }
}
