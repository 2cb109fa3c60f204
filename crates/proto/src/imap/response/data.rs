//! Untagged data, but for FETCH (RFC 9051 §7.2 to §7.4, and the extensions).

use super::{
    super::{
        command::{Flag, MailboxName, PartialRange, QuotaResource, Rights, SpecialUse, StatusItem},
        mutf7,
        sequence::NumberSet,
    },
    text::{astring, nstring, octets, string},
};

/// One untagged response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// RFC 5161
    Enabled(Vec<&'static str>),
    Flags(Vec<Flag>),
    Exists(u32),
    /// RFC 3501
    Recent(u32),
    Expunge(u32),
    /// RFC 7162; `earlier`: before the mailbox was selected, or the command came.
    Vanished {
        earlier: bool,
        uids: NumberSet,
    },
    List(ListEntry),
    Lsub(ListEntry),
    Namespace(Namespaces),
    Status {
        mailbox: MailboxName,
        items: Vec<(StatusItem, StatusValue)>,
    },
    /// RFC 3501, for clients that asked without RETURN.
    Search {
        numbers: Vec<u32>,
        modseq: Option<u64>,
    },
    ESearch(Box<ESearch>),
    Sort {
        numbers: Vec<u32>,
        modseq: Option<u64>,
    },
    Thread(Vec<ThreadNode>),
    /// RFC 2971
    Id(Vec<(String, String)>),
    /// Of each resource: used, and the limit.
    Quota {
        root: String,
        resources: Vec<(QuotaResource, u64, u64)>,
    },
    QuotaRoot {
        mailbox: MailboxName,
        roots: Vec<String>,
    },
    Acl {
        mailbox: MailboxName,
        entries: Vec<(String, Rights)>,
    },
    /// `optional`: each can be given or not.
    ListRights {
        mailbox: MailboxName,
        identifier: String,
        always: Rights,
        optional: Rights,
    },
    MyRights {
        mailbox: MailboxName,
        rights: Rights,
    },
    /// `mailbox`: `None` for the server.
    Metadata {
        mailbox: Option<MailboxName>,
        values: Vec<(String, Option<Vec<u8>>)>,
    },
    /// Entries that have changed (RFC 5464 §4.4.2).
    MetadataChanged {
        mailbox: Option<MailboxName>,
        entries: Vec<String>,
    },
    GenUrlAuth(Vec<String>),
    /// `None`: there is no such message, or it is not to be seen.
    UrlFetch(Vec<(String, Option<Vec<u8>>)>),
}

/// A mailbox as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    pub attributes: Vec<ListAttribute>,
    pub delimiter: Option<char>,
    /// Empty where the delimiter alone was asked for.
    pub name: String,
    /// It is there because of mailboxes below it (RFC 5258 §3.5).
    pub child_info: bool,
    /// RFC 9051 §6.3.9.7
    pub old_name: Option<MailboxName>,
    /// RFC 8440
    pub my_rights: Option<Rights>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAttribute {
    NoSelect,
    NonExistent,
    NoInferiors,
    HasChildren,
    HasNoChildren,
    Marked,
    Unmarked,
    Subscribed,
    Remote,
    Use(SpecialUse),
}

/// RFC 2342: prefix and delimiter of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub personal: Vec<(String, char)>,
    pub other_users: Vec<(String, char)>,
    pub shared: Vec<(String, char)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusValue {
    Number(u64),
    /// MAILBOXID.
    Id(String),
    /// APPENDLIMIT without a limit.
    Nil,
}

/// RFC 4731, RFC 5267, RFC 9394. What is `None` was not asked for, or there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ESearch {
    pub tag: String,
    pub uid: bool,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub count: Option<u64>,
    pub all: Option<Found>,
    pub partial: Option<(PartialRange, Found)>,
    pub modseq: Option<u64>,
}

/// Message numbers or UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Of SEARCH.
    Ascending(NumberSet),
    /// Of SORT.
    Sorted(Vec<u32>),
}

impl Found {
    /// `None`: there is nothing.
    fn text(&self) -> Option<String> {
        let text = match self {
            Self::Ascending(numbers) => numbers.to_string(),
            Self::Sorted(numbers) => numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

/// A message of a thread (RFC 5256 §4). Each stands before those that answer it, which are one deeper; a list and no
/// tree, as a thread may be as deep as a mailbox is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadNode {
    /// Zero: a thread begins.
    pub depth: usize,
    /// `None`: the message that the others answer is not among those found.
    pub number: Option<u32>,
}

impl Data {
    /// A list is empty that the grammar wants to have members.
    fn says_nothing(&self) -> bool {
        match self {
            Self::Vanished { uids, .. } => uids.is_empty(),
            Self::Metadata { values, .. } => values.is_empty(),
            Self::MetadataChanged { entries, .. } => entries.is_empty(),
            Self::GenUrlAuth(urls) => urls.is_empty(),
            Self::UrlFetch(contents) => contents.is_empty(),
            _ => false,
        }
    }
}

impl ListAttribute {
    const fn name(self) -> &'static str {
        match self {
            Self::NoSelect => "\\Noselect",
            Self::NonExistent => "\\NonExistent",
            Self::NoInferiors => "\\Noinferiors",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Marked => "\\Marked",
            Self::Unmarked => "\\Unmarked",
            Self::Subscribed => "\\Subscribed",
            Self::Remote => "\\Remote",
            Self::Use(special) => special.name(),
        }
    }
}

/// Writes in the dialect of the session.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) utf8: bool,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        string(self.out, text, self.utf8);
    }

    fn astring(&mut self, text: &str) {
        astring(self.out, text, self.utf8);
    }

    fn mailbox(&mut self, name: &str) {
        if self.utf8 { astring(self.out, name, true) } else { astring(self.out, &mutf7::encode(name), false) }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.put(&format!(" {number}"));
        }
    }

    /// With its `* ` and CRLF; nothing for a list without which the response cannot be.
    pub(super) fn data(&mut self, data: &Data) {
        if data.says_nothing() {
            return;
        }
        self.put("* ");
        match data {
            Data::Enabled(names) => {
                let names: String = names.iter().flat_map(|name| [" ", name]).collect();
                self.put(&format!("ENABLED{names}"));
            }
            Data::Flags(flags) => {
                let names: Vec<&str> = flags.iter().map(Flag::name).collect();
                self.put(&format!("FLAGS ({})", names.join(" ")));
            }
            Data::Exists(count) => self.put(&format!("{count} EXISTS")),
            Data::Recent(count) => self.put(&format!("{count} RECENT")),
            Data::Expunge(number) => self.put(&format!("{number} EXPUNGE")),
            Data::Vanished { earlier, uids } => {
                let earlier = if *earlier { " (EARLIER)" } else { "" };
                self.put(&format!("VANISHED{earlier} {uids}"));
            }
            Data::List(entry) => self.list("LIST", entry),
            Data::Lsub(entry) => self.list("LSUB", entry),
            Data::Namespace(namespaces) => self.namespaces(namespaces),
            Data::Status { mailbox, items } => self.status(mailbox, items),
            Data::Search { numbers, modseq } => self.numbers_with_modseq("SEARCH", numbers, *modseq),
            Data::ESearch(found) => self.esearch(found),
            Data::Sort { numbers, modseq } => self.numbers_with_modseq("SORT", numbers, *modseq),
            Data::Thread(threads) => self.threads(threads),
            Data::Id(fields) => self.id(fields),
            Data::Quota { root, resources } => self.quota(root, resources),
            Data::QuotaRoot { mailbox, roots } => self.named("QUOTAROOT", Some(mailbox), roots),
            Data::Acl { mailbox, entries } => self.acl(mailbox, entries),
            Data::ListRights { mailbox, identifier, always, optional } => {
                self.named("LISTRIGHTS", Some(mailbox), std::slice::from_ref(identifier));
                self.put(&format!(" \"{}\"", always.with_old_letters()));
                let letters = optional.with_old_letters();
                let letters: String = letters.chars().flat_map(|letter| [' ', letter]).collect();
                self.put(&letters);
            }
            Data::MyRights { mailbox, rights } => {
                self.named("MYRIGHTS", Some(mailbox), &[]);
                self.put(&format!(" \"{}\"", rights.with_old_letters()));
            }
            Data::Metadata { mailbox, values } => self.metadata(mailbox.as_ref(), values),
            Data::MetadataChanged { mailbox, entries } => self.named("METADATA", mailbox.as_ref(), entries),
            Data::GenUrlAuth(urls) => self.urls(urls),
            Data::UrlFetch(contents) => self.url_fetch(contents),
        }
        self.put("\r\n");
    }

    /// `mailbox`: `None` for the server.
    fn named(&mut self, name: &str, mailbox: Option<&MailboxName>, words: &[String]) {
        self.put(name);
        self.put(" ");
        self.mailbox(mailbox.map_or("", MailboxName::as_str));
        for word in words {
            self.put(" ");
            self.astring(word);
        }
    }

    fn acl(&mut self, mailbox: &MailboxName, entries: &[(String, Rights)]) {
        self.named("ACL", Some(mailbox), &[]);
        for (identifier, rights) in entries {
            self.put(" ");
            self.astring(identifier);
            self.put(&format!(" \"{}\"", rights.with_old_letters()));
        }
    }

    fn quota(&mut self, root: &str, resources: &[(QuotaResource, u64, u64)]) {
        self.put("QUOTA ");
        self.astring(root);
        let resource = |(resource, used, limit): &(QuotaResource, u64, u64)| {
            format!("{} {used} {limit}", resource.name())
        };
        let resources: Vec<String> = resources.iter().map(resource).collect();
        self.put(&format!(" ({})", resources.join(" ")));
    }

    fn urls(&mut self, urls: &[String]) {
        self.put("GENURLAUTH");
        for url in urls {
            self.put(" ");
            self.string(url);
        }
    }

    fn numbers_with_modseq(&mut self, name: &str, numbers: &[u32], modseq: Option<u64>) {
        self.put(name);
        self.numbers(numbers);
        if let Some(modseq) = modseq.filter(|_| !numbers.is_empty()) {
            self.put(&format!(" (MODSEQ {modseq})"));
        }
    }

    fn esearch(&mut self, found: &ESearch) {
        self.put("ESEARCH (TAG ");
        self.string(&found.tag);
        self.put(if found.uid { ") UID" } else { ")" });
        for (name, number) in [("MIN", found.min), ("MAX", found.max)] {
            if let Some(number) = number {
                self.put(&format!(" {name} {number}"));
            }
        }
        if let Some(count) = found.count {
            self.put(&format!(" COUNT {count}"));
        }
        // RFC 4731 §3.1: without results there is no ALL.
        if let Some(all) = found.all.as_ref().and_then(Found::text) {
            self.put(&format!(" ALL {all}"));
        }
        if let Some((range, found)) = &found.partial {
            let sign = if range.from_end { "-" } else { "" };
            let found = found.text().unwrap_or("NIL".to_owned());
            self.put(&format!(" PARTIAL ({sign}{}:{sign}{} {found})", range.first, range.last));
        }
        if let Some(modseq) = found.modseq {
            self.put(&format!(" MODSEQ {modseq}"));
        }
    }

    /// `(2)(3 6 (4 23)(44 7))`: an only child follows with a space, others have brackets of their own.
    fn threads(&mut self, nodes: &[ThreadNode]) {
        self.put(if nodes.is_empty() { "THREAD" } else { "THREAD " });
        let answers = answers(nodes);
        // The nodes above the next one, with whether they have a bracket.
        let mut above: Vec<(usize, bool)> = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            let closed = above.drain(node.depth.min(above.len())..).filter(|(_, bracket)| *bracket).count();
            self.put(&")".repeat(closed));
            let parent = above.last().and_then(|(parent, _)| nodes.get(*parent).zip(answers.get(*parent)));
            let follows_number = parent.is_some_and(|(parent, _)| parent.number.is_some());
            let bracket = !(follows_number && parent.is_some_and(|(_, answers)| *answers == 1));
            // Behind a number; other brackets follow each other closely.
            self.put(if follows_number && closed == 0 { " " } else { "" });
            self.put(if bracket { "(" } else { "" });
            self.put(&node.number.map(|number| number.to_string()).unwrap_or_default());
            above.push((place, bracket));
        }
        let open = above.iter().filter(|(_, bracket)| *bracket).count();
        self.put(&")".repeat(open));
    }

    fn list(&mut self, name: &str, entry: &ListEntry) {
        let attributes: Vec<&str> = entry.attributes.iter().map(|attribute| attribute.name()).collect();
        self.put(&format!("{name} ({}) ", attributes.join(" ")));
        nstring(self.out, entry.delimiter.map(String::from).as_deref(), self.utf8);
        self.put(" ");
        self.mailbox(&entry.name);
        let mut extended = Vec::new();
        if entry.child_info {
            extended.extend_from_slice(b"\"CHILDINFO\" (\"SUBSCRIBED\")");
        }
        if let Some(old) = &entry.old_name {
            let separator: &[u8] = if extended.is_empty() { b"" } else { b" " };
            extended.extend_from_slice(separator);
            extended.extend_from_slice(b"\"OLDNAME\" (");
            Writer { out: &mut extended, utf8: self.utf8 }.mailbox(old.as_str());
            extended.push(b')');
        }
        if !extended.is_empty() {
            self.put(" (");
            self.out.append(&mut extended);
            self.put(")");
        }
        if let Some(rights) = entry.my_rights {
            self.put("\r\n* MYRIGHTS ");
            self.mailbox(&entry.name);
            self.put(&format!(" \"{}\"", rights.with_old_letters()));
        }
    }

    fn namespaces(&mut self, namespaces: &Namespaces) {
        self.put("NAMESPACE");
        for list in [&namespaces.personal, &namespaces.other_users, &namespaces.shared] {
            if list.is_empty() {
                self.put(" NIL");
                continue;
            }
            self.put(" (");
            for (prefix, delimiter) in list {
                self.put("(");
                let prefix = if self.utf8 { prefix.clone() } else { mutf7::encode(prefix) };
                self.string(&prefix);
                self.put(" ");
                self.string(&delimiter.to_string());
                self.put(")");
            }
            self.put(")");
        }
    }

    fn status(&mut self, mailbox: &MailboxName, items: &[(StatusItem, StatusValue)]) {
        self.put("STATUS ");
        self.mailbox(mailbox.as_str());
        let item = |(item, value): &(StatusItem, StatusValue)| match value {
            StatusValue::Number(number) => format!("{} {number}", item.name()),
            StatusValue::Id(id) => format!("{} ({id})", item.name()),
            StatusValue::Nil => format!("{} NIL", item.name()),
        };
        let items: Vec<String> = items.iter().map(item).collect();
        self.put(&format!(" ({})", items.join(" ")));
    }

    fn id(&mut self, fields: &[(String, String)]) {
        if fields.is_empty() {
            return self.put("ID NIL");
        }
        for (index, (name, value)) in fields.iter().enumerate() {
            self.put(if index == 0 { "ID (" } else { " " });
            self.string(name);
            self.put(" ");
            self.string(value);
        }
        self.put(")");
    }

    fn metadata(&mut self, mailbox: Option<&MailboxName>, values: &[(String, Option<Vec<u8>>)]) {
        self.named("METADATA", mailbox, &[]);
        for (index, (entry, value)) in values.iter().enumerate() {
            self.put(if index == 0 { " (" } else { " " });
            self.astring(entry);
            self.put(" ");
            self.octets(value.as_deref());
        }
        self.put(")");
    }

    fn url_fetch(&mut self, contents: &[(String, Option<Vec<u8>>)]) {
        self.put("URLFETCH");
        for (url, content) in contents {
            self.put(" ");
            self.string(url);
            self.put(" ");
            self.octets(content.as_deref());
        }
    }

    fn octets(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => octets(self.out, value),
            None => self.put("NIL"),
        }
    }
}

/// How many nodes directly answer each.
fn answers(nodes: &[ThreadNode]) -> Vec<usize> {
    let mut answers = vec![0; nodes.len()];
    let mut above: Vec<usize> = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        above.truncate(node.depth);
        if let Some(count) = above.last().and_then(|parent| answers.get_mut(*parent)) {
            *count += 1;
        }
        above.push(place);
    }
    answers
}
