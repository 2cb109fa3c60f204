//! Maildir++: folders beside each other, named `.Level.Level`; flags in the files' names, dates as the files' times.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mail::Timestamp;

use super::{Found, MESSAGE_BYTES_MAX, Message, names, push_line, with_lf};

/// Letters of file names for flags.
const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];
/// Where Dovecot says which keyword `a`, `b`, … is.
const KEYWORDS: &str = "dovecot-keywords";
/// Directories within directories that are looked into.
const DEPTH_MAX: usize = 20;

/// A Maildir with a mailbox's name.
#[derive(Debug)]
struct Folder {
    mailbox: String,
    path: PathBuf,
    keywords: Vec<String>,
}

/// The messages of a Maildir and its folders: those of Maildir++, and Maildirs that are directories below it.
pub fn read(root: &Path) -> io::Result<(u64, impl Iterator<Item = Found> + use<>)> {
    let mut folders = Vec::new();
    if is_maildir(root) {
        folders.push(Folder::new("INBOX".to_owned(), root));
    }
    find_below(root, &[], &mut folders, 0)?;
    let mut files = Vec::new();
    let mut octets = 0;
    for folder in folders {
        let folder = std::rc::Rc::new(folder);
        for path in folder.files()? {
            let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            octets += length;
            files.push((folder.clone(), path, length));
        }
    }
    let found = |(folder, path, octets): (std::rc::Rc<Folder>, PathBuf, u64)| Found {
        message: folder.message(&path).map_err(|error| format!("{}: {error}", path.display())),
        mailbox: folder.mailbox.clone(),
        octets,
    };
    Ok((octets, files.into_iter().map(found)))
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

fn find_below(path: &Path, above: &[String], folders: &mut Vec<Folder>, depth: usize) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // A link might lead in a circle, or anywhere.
        let is_directory = entry.file_type()?.is_dir();
        if !is_directory || ["cur", "new", "tmp"].contains(&name.as_str()) || depth >= DEPTH_MAX {
            continue;
        }
        let mut levels = above.to_vec();
        match name.strip_prefix('.') {
            Some(name) => levels.extend(name.split('.').map(names::decode)),
            None => levels.push(names::decode(&name)),
        }
        if is_maildir(&entry.path()) {
            folders.push(Folder::new(levels.join("/"), &entry.path()));
        }
        find_below(&entry.path(), &levels, folders, depth + 1)?;
    }
    Ok(())
}

impl Folder {
    fn new(mailbox: String, path: &Path) -> Self {
        let keywords = fs::read_to_string(path.join(KEYWORDS)).unwrap_or_default();
        let numbered = keywords.lines().filter_map(|line| line.split_once(' '));
        let mut keywords = Vec::new();
        for (number, keyword) in numbered {
            if number.parse() == Ok(keywords.len()) {
                keywords.push(keyword.to_owned());
            }
        }
        Self { mailbox, path: path.to_owned(), keywords }
    }

    /// In the order of their names, which begin with the time of delivery.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for place in ["cur", "new"] {
            for entry in fs::read_dir(self.path.join(place))? {
                let entry = entry?;
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if entry.file_type()?.is_file() && !hidden {
                    files.push(entry.path());
                }
            }
        }
        files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        Ok(files)
    }

    fn message(&self, path: &Path) -> io::Result<Message> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.len() > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("it is too long for a message"));
        }
        let mut octets = Vec::new();
        (&mut file).take(MESSAGE_BYTES_MAX).read_to_end(&mut octets)?;
        let mut content = Vec::with_capacity(octets.len() + octets.len() / 32);
        octets.split_inclusive(|octet| *octet == b'\n').for_each(|line| push_line(line, &mut content));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Ok(Message { content, internal_date: Some(Timestamp::from_millis(millis)), flags: self.flags(&name) })
    }

    fn flags(&self, name: &str) -> Vec<String> {
        let letters = name.rsplit_once("2,").map_or("", |(_, letters)| letters);
        let flag = |letter: char| match letter {
            'a'..='z' => self.keywords.get(usize::from(u8::try_from(letter).ok()? - b'a')).cloned(),
            letter => LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, flag)| (*flag).to_owned()),
        };
        letters.chars().filter_map(flag).collect()
    }
}

/// A folder that messages are written into.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    /// What each message's file is called up to its flags.
    there: std::collections::HashMap<String, PathBuf>,
    keywords: Vec<String>,
}

impl Writer {
    /// Makes the folder if it is not there.
    pub fn open(root: &Path, mailbox: &str) -> io::Result<Self> {
        let path = if mailbox == "INBOX" {
            root.to_owned()
        } else {
            let levels: Vec<String> = mailbox.split('/').map(names::encode).collect();
            root.join(format!(".{}", levels.join(".")))
        };
        make(root)?;
        if path != root {
            make(&path)?;
            // By this Courier and others know a folder.
            File::options().append(true).create(true).mode(0o600).open(path.join("maildirfolder"))?;
        }
        let folder = Folder::new(mailbox.to_owned(), &path);
        let mut there = std::collections::HashMap::new();
        for file in folder.files()? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            there.insert(base(&name).to_owned(), file);
        }
        Ok(Self { path, there, keywords: folder.keywords })
    }

    /// False if it is there already; its flags are made those of now. `name`: the same for the same message, always.
    pub fn write(&mut self, name: &str, message: &Message) -> io::Result<bool> {
        let target = self.path.join("cur").join(format!("{name}:2,{}", self.letters(&message.flags)?));
        if let Some(there) = self.there.get(name) {
            if *there != target {
                fs::rename(there, &target)?;
            }
            return Ok(false);
        }
        let draft = self.path.join("tmp").join(name);
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&with_lf(&message.content))?;
        if let Some(date) = message.internal_date {
            let millis = u64::try_from(date.millis()).unwrap_or(0);
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))?;
        }
        file.sync_all()?;
        fs::rename(&draft, &target)?;
        self.there.insert(name.to_owned(), target);
        Ok(true)
    }

    fn letters(&mut self, flags: &[String]) -> io::Result<String> {
        let mut letters = String::new();
        for flag in flags {
            match LETTERS.iter().find(|(_, known)| known.eq_ignore_ascii_case(flag)) {
                Some((letter, _)) => letters.push(*letter),
                None => letters.extend(self.keyword(flag)?),
            }
        }
        let mut sorted: Vec<char> = letters.chars().collect();
        sorted.sort_unstable();
        Ok(sorted.into_iter().collect())
    }

    /// A Maildir has room for 26 keywords.
    fn keyword(&mut self, keyword: &str) -> io::Result<Option<char>> {
        let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(keyword));
        let place = known.unwrap_or(self.keywords.len());
        let letter =
            u8::try_from(place).ok().filter(|place| *place < 26).map(|place| char::from(b'a' + place));
        if known.is_none() && letter.is_some() {
            self.keywords.push(keyword.to_owned());
            let lines: Vec<String> = self
                .keywords
                .iter()
                .enumerate()
                .map(|(place, keyword)| format!("{place} {keyword}\n"))
                .collect();
            fs::write(self.path.join(KEYWORDS), lines.concat())?;
        }
        Ok(letter)
    }
}

fn make(path: &Path) -> io::Result<()> {
    for place in ["cur", "new", "tmp"] {
        DirBuilder::new().recursive(true).mode(0o700).create(path.join(place))?;
    }
    Ok(())
}

fn base(name: &str) -> &str {
    name.rsplit_once(":2,").map_or(name, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_not_written_twice() {
        let directory = tempfile::tempdir().unwrap();
        let message = Message {
            content: b"Subject: x\r\n\r\nbody\r\n".to_vec(),
            internal_date: Some(Timestamp::from_millis(1_700_000_000_000)),
            flags: vec!["\\Seen".to_owned(), "$Junk".to_owned()],
        };
        for mailbox in ["INBOX", "a.b/Entwürfe", "INBOX/x"] {
            let mut writer = Writer::open(directory.path(), mailbox).unwrap();
            assert!(writer.write("1.1", &message).unwrap());
            let again =
                Message { flags: vec!["\\Flagged".to_owned(), "$Junk".to_owned()], ..message.clone() };
            assert!(!Writer::open(directory.path(), mailbox).unwrap().write("1.1", &again).unwrap());
        }
        let (octets, found) = read(directory.path()).unwrap();
        let found: Vec<Found> = found.collect();
        let mut names: Vec<&str> = found.iter().map(|found| found.mailbox.as_str()).collect();
        names.sort_unstable();
        assert_eq!((octets, names), (3 * 17, vec!["INBOX", "INBOX/x", "a.b/Entwürfe"]));
        for found in &found {
            let read = found.message.as_ref().unwrap();
            assert_eq!((&read.content, read.internal_date), (&message.content, message.internal_date));
            assert_eq!(read.flags, ["\\Flagged", "$Junk"]);
        }
    }
}
