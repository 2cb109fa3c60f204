//! `import` and `export`: mail of accounts from and to the files of other programs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use mail::Timestamp;
use serde::Serialize;
use store::mailbox::{ImportMark, KEYWORD_BYTES_MAX};

use super::{Common, Output, block_on, import_imap};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{
            AdminRequest, AdminResponse, ExportPage, ImportPage, ImportedMessage, MailboxView,
            TRANSFER_BYTES_MAX, TRANSFER_MESSAGES_MAX,
        },
    },
    mailfiles::{Found, Message, maildir, mbox},
};

/// Octets of flags and keywords in one page.
const FLAG_BYTES_MAX: usize = 64 * 1024;
/// Flags of one message.
const FLAGS_MAX: usize = 100;
/// Problems that are told one by one.
const PROBLEMS_TOLD_MAX: usize = 1000;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// A Maildir with its folders (Maildir++, or Maildirs below it)
    Maildir(Import),
    /// An mbox, or a directory of them, each a mailbox
    Mbox(Import),
    /// An account of another server, over IMAP
    Imap(Box<import_imap::ImapImport>),
}

#[derive(Debug, Args)]
pub struct Import {
    /// The account
    address: String,
    path: PathBuf,
    /// The mailbox that takes what is INBOX there; others come below it
    #[arg(long, value_name = "MAILBOX")]
    into: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// A Maildir with folders (Maildir++); what is there already is not written again
    Maildir(Export),
    /// A directory of mboxes, each written anew as a whole
    Mbox(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    /// The account
    address: String,
    path: PathBuf,
    /// Only this mailbox; may be given more than once
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    pub messages: usize,
    /// They were there from an earlier time.
    pub known: usize,
    pub problems: Vec<String>,
}

impl Outcome {
    pub fn trouble(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem);
        }
    }

    pub fn show(&self, done: &str, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            output.value(self)?;
        } else {
            output
                .line(format_args!("{} messages {done}, {} were there already", self.messages, self.known))?;
            self.problems.iter().try_for_each(|problem| output.line(problem))?;
        }
        match self.problems.len() {
            0 => Ok(()),
            count => Err(Failure::new(format!("{count} messages could not be read"))),
        }
    }
}

/// Messages to import.
struct Source {
    /// Of all files.
    octets: u64,
    found: Box<dyn Iterator<Item = Found>>,
}

impl ImportCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let data_dir = common.location.data_dir()?;
        let (import, read): (_, fn(&Path) -> std::io::Result<Source>) = match self {
            Self::Maildir(import) => (import, |path| {
                let (octets, found) = maildir::read(path)?;
                Ok(Source { octets, found: Box::new(found) })
            }),
            Self::Mbox(import) => (import, |path| {
                let (octets, found) = mbox::read(path)?;
                Ok(Source { octets, found: Box::new(found) })
            }),
            Self::Imap(import) => return import.run(common, output),
        };
        let source = read(&import.path)
            .map_err(|error| Failure::new(format!("{}: {error}", import.path.display())))?;
        let outcome = block_on(async {
            let mut session = Session::open(&data_dir, false).await?;
            let bar = progress("importing", source.octets);
            let mut pages = Pages::new(&mut session, import.address, import.into, bar);
            for found in source.found {
                pages.take(found).await?;
            }
            let outcome = pages.finish().await?;
            session.close().await?;
            Ok(outcome)
        })?;
        outcome.show("came in", output)
    }
}

/// Messages on their way in, page by page.
pub struct Pages<'a> {
    session: &'a mut Session,
    into: Option<String>,
    page: ImportPage,
    content: Vec<u8>,
    /// How often each message came so far.
    seen: HashMap<ImportMark, u32>,
    pub outcome: Outcome,
    pub progress: ProgressBar,
}

impl<'a> Pages<'a> {
    pub fn new(
        session: &'a mut Session,
        address: String,
        into: Option<String>,
        progress: ProgressBar,
    ) -> Self {
        let page = ImportPage { address, mailbox: String::new(), messages: Vec::new() };
        Self {
            session,
            into,
            page,
            content: Vec::new(),
            seen: HashMap::new(),
            outcome: Outcome::default(),
            progress,
        }
    }

    async fn take(&mut self, found: Found) -> Result<(), Failure> {
        let mailbox = self.target(&found.mailbox);
        match found.message {
            Ok(message) => self.add(mailbox, message).await?,
            Err(problem) => self.outcome.trouble(problem),
        }
        self.progress.inc(found.octets);
        Ok(())
    }

    /// The mailbox here for one there.
    pub fn target(&self, mailbox: &str) -> String {
        match &self.into {
            None => mailbox.to_owned(),
            Some(into) if mailbox == "INBOX" => into.clone(),
            Some(into) => format!("{into}/{mailbox}"),
        }
    }

    /// Asks the server in between.
    pub fn session(&mut self) -> &mut Session {
        self.session
    }

    /// A message that is known by what it says.
    pub async fn add(&mut self, mailbox: String, message: Message) -> Result<(), Failure> {
        let times = self.seen.entry(ImportMark::new(&mailbox, 0, &message.content)).or_default();
        let mark = ImportMark::new(&mailbox, *times, &message.content);
        *times += 1;
        self.add_marked(mailbox, message, mark).await
    }

    pub async fn add_marked(
        &mut self,
        mailbox: String,
        mut message: Message,
        ImportMark(mark): ImportMark,
    ) -> Result<(), Failure> {
        message.flags.retain(|flag| flag.len() <= KEYWORD_BYTES_MAX);
        message.flags.truncate(FLAGS_MAX);
        let flags = |flags: &[String]| flags.iter().map(String::len).sum::<usize>();
        let told: usize = self.page.messages.iter().map(|message| flags(&message.flags)).sum();
        let full = self.page.messages.len() >= TRANSFER_MESSAGES_MAX
            || told + flags(&message.flags) > FLAG_BYTES_MAX
            || (self.content.len() + message.content.len()) as u64 > TRANSFER_BYTES_MAX;
        if full || mailbox != self.page.mailbox {
            self.send().await?;
            self.page.mailbox = mailbox;
        }
        self.page.messages.push(ImportedMessage {
            octets: message.content.len() as u64,
            internal_date: message.internal_date.map(Timestamp::millis),
            flags: message.flags,
            mark: format!("{mark:032x}"),
        });
        self.content.extend_from_slice(&message.content);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        if self.page.messages.is_empty() {
            return Ok(());
        }
        match self.session.import(&self.page, &self.content).await? {
            AdminResponse::Imported { added, known } => {
                self.outcome.messages += added;
                self.outcome.known += known;
            }
            _ => return Err(Failure::new("the server gave another answer than expected")),
        }
        self.page.messages.clear();
        self.content.clear();
        Ok(())
    }

    pub async fn finish(mut self) -> Result<Outcome, Failure> {
        self.send().await?;
        self.progress.finish_and_clear();
        Ok(self.outcome)
    }
}

/// Where exported messages go.
enum Writer {
    Maildir(maildir::Writer, u32),
    Mbox(Box<mbox::Writer>),
}

impl Writer {
    /// False if it was there.
    fn write(&mut self, uid: u32, message: &Message) -> std::io::Result<bool> {
        match self {
            Self::Maildir(writer, uid_validity) => {
                let seconds = message.internal_date.unwrap_or_default().millis().div_euclid(1000);
                writer.write(&format!("{seconds}.V{uid_validity}U{uid}.postrider"), message)
            }
            Self::Mbox(writer) => writer.write(message).map(|()| true),
        }
    }
}

impl ExportCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let data_dir = common.location.data_dir()?;
        let outcome = block_on(async {
            let mut session = Session::open(&data_dir, false).await?;
            let outcome = self.export(&mut session).await?;
            session.close().await?;
            Ok(outcome)
        })?;
        outcome.show("written", output)
    }

    fn arguments(&self) -> &Export {
        match self {
            Self::Maildir(export) | Self::Mbox(export) => export,
        }
    }

    async fn export(&self, session: &mut Session) -> Result<Outcome, Failure> {
        let export = self.arguments();
        let request = AdminRequest::MailboxList { address: export.address.clone() };
        let AdminResponse::Mailboxes { mailboxes } = session.ask(request).await? else {
            return Err(Failure::new("the server gave another answer than expected"));
        };
        if let Some(name) = export.mailbox.iter().find(|name| !mailboxes.iter().any(|one| one.name == **name))
        {
            return Err(Failure::new(format!("there is no mailbox {name:?}")));
        }
        let wanted: Vec<MailboxView> = mailboxes
            .into_iter()
            .filter(|one| export.mailbox.is_empty() || export.mailbox.contains(&one.name))
            .collect();
        let progress = progress("exporting", wanted.iter().map(|one| one.bytes).sum());
        let mut outcome = Outcome::default();
        for mailbox in &wanted {
            self.export_one(session, mailbox, &mut outcome, &progress).await?;
        }
        progress.finish_and_clear();
        Ok(outcome)
    }

    async fn export_one(
        &self,
        session: &mut Session,
        mailbox: &MailboxView,
        outcome: &mut Outcome,
        progress: &ProgressBar,
    ) -> Result<(), Failure> {
        let export = self.arguments();
        let failed = |error: std::io::Error| {
            Failure::new(format!("{} cannot be written: {error}", export.path.display()))
        };
        let mut writer = match self {
            Self::Maildir(_) => {
                let folder = maildir::Writer::open(&export.path, &mailbox.name).map_err(failed)?;
                Writer::Maildir(folder, mailbox.uid_validity)
            }
            Self::Mbox(_) => {
                Writer::Mbox(Box::new(mbox::Writer::create(&export.path, &mailbox.name).map_err(failed)?))
            }
        };
        let mut after = 0;
        loop {
            let (address, name) = (export.address.clone(), mailbox.name.clone());
            let messages = session.export(ExportPage { address, mailbox: name, after }).await?;
            let Some(last) = messages.last() else { break };
            after = last.uid;
            for told in messages {
                let content = session.content(told.octets).await?;
                progress.inc(told.octets);
                if let Some(problem) = told.problem {
                    outcome.trouble(format!("{}, UID {}: {problem}", mailbox.name, told.uid));
                    continue;
                }
                let internal_date = Some(Timestamp::from_millis(told.internal_date));
                let message = Message { content, internal_date, flags: told.flags };
                let is_new = writer.write(told.uid, &message).map_err(failed)?;
                outcome.messages += usize::from(is_new);
                outcome.known += usize::from(!is_new);
            }
        }
        match writer {
            Writer::Maildir(..) => Ok(()),
            Writer::Mbox(writer) => writer.finish().map_err(failed),
        }
    }
}

pub fn progress(what: &str, octets: u64) -> ProgressBar {
    let template = format!("{what} {{bar:30}} {{bytes}}/{{total_bytes}}, {{bytes_per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(octets).with_style(style)
}
