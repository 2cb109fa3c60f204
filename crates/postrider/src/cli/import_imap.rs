//! `import imap`: an account of another server, over IMAP.

use std::{collections::BTreeMap, io::Read, path::PathBuf};

use clap::{Args, ValueEnum};
use proto::imap::client::{Fetched, Listed};
use serde::Serialize;
use store::mailbox::{ImportMark, OUTBOX};
use world::World;

use super::{
    Common, Output, block_on,
    directory::PasswordInput,
    transfer::{self, Outcome, Pages},
};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, MailboxSettings, MailboxView, Secret},
    },
    agent::{
        Login,
        imap::ImapSession,
        server::{ServerAddress, Tls},
    },
    mailfiles::Message,
};

const IMAPS_PORT: u16 = 993;
const IMAP_PORT: u16 = 143;
/// Messages asked about in one go.
const PAGE_MESSAGES: u32 = 500;
/// Octets and messages fetched in one go.
const FETCH_BYTES_MAX: u64 = 4 * 1024 * 1024;
const FETCH_MESSAGES_MAX: usize = 100;
/// Longer messages are told of, and not fetched.
const MESSAGE_BYTES_MAX: u64 = 128 * 1024 * 1024;
const PASSWORD_BYTES_MAX: u64 = 4096;
/// Where the other server's Outbox goes if there is something in it.
const OLD_OUTBOX: &str = "Old outbox";

#[derive(Debug, Args)]
pub struct ImapImport {
    /// The account here
    address: String,
    /// The other server; its port is 993 if none is given
    #[arg(value_name = "HOST[:PORT]", value_parser = imap_server)]
    server: ServerAddress,
    /// Name to log in with there, if it is not the address
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File with the password there in its first line; it is asked for on the terminal otherwise
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordInput,
    /// When TLS begins; with the connection at port 993, with STARTTLS elsewhere
    #[arg(long, value_name = "MODE")]
    tls: Option<TlsWord>,
    /// Take any certificate
    #[arg(long)]
    insecure: bool,
    /// Only this mailbox, as `--dry-run` names it; may be given more than once
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
    /// The mailbox that takes what is INBOX there; others come below it
    #[arg(long, value_name = "MAILBOX")]
    into: Option<String>,
    /// List the mailboxes there, and where they would go
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsWord {
    /// Never: the password travels in clear
    None,
    /// With STARTTLS, or not at all
    Starttls,
    /// From the start of the connection
    Implicit,
}

fn imap_server(text: &str) -> Result<ServerAddress, String> {
    ServerAddress::parse(text, IMAPS_PORT)
}

/// A mailbox there, and where it goes.
#[derive(Debug, Serialize)]
struct Plan {
    name: String,
    target: String,
    special_use: Option<String>,
    messages: u32,
    #[serde(skip)]
    listed: Listed,
}

impl ImapImport {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let login = Login {
            user: self.user.clone().unwrap_or_else(|| self.address.clone()),
            password: self.password()?,
        };
        let data_dir = common.location.data_dir()?;
        let world = World::system();
        block_on(async {
            let tls = match self.tls {
                Some(TlsWord::None) => Tls::None,
                Some(TlsWord::Implicit) => Tls::Implicit,
                None if self.server.port != IMAP_PORT => Tls::Implicit,
                Some(TlsWord::Starttls) | None => Tls::Starttls,
            };
            let most = usize::try_from(MESSAGE_BYTES_MAX).unwrap_or(usize::MAX);
            let mut remote =
                ImapSession::open(&world, &self.server, tls, !self.insecure, &login, most).await?;
            let mut session = Session::open(&data_dir, false).await?;
            let plans = self.plans(&mut remote, &mut session).await?;
            if self.dry_run {
                show(&plans, output)?;
            } else {
                self.import(&login, &plans, &mut remote, &mut session).await?.show("came in", output)?;
            }
            remote.close().await;
            session.close().await
        })
    }

    fn password(&self) -> Result<Secret, Failure> {
        if let Some(password) = self.password.read()? {
            return Ok(password);
        }
        let Some(path) = &self.password_file else {
            let prompt =
                format!("Password of {} at {}: ", self.user.as_ref().unwrap_or(&self.address), self.server);
            let asked = world::ask_secret(&prompt);
            return asked.map(Secret).map_err(|error| {
                Failure::usage(format!("no terminal to ask for the password ({error}); use --password-file"))
            });
        };
        let unreadable = |error| Failure::new(format!("{} cannot be read: {error}", path.display()));
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        match text.lines().next() {
            Some(password) if !password.is_empty() => Ok(Secret(password.to_owned())),
            _ => Err(Failure::usage(format!("{} has no password in its first line", path.display()))),
        }
    }

    async fn plans(&self, remote: &mut ImapSession, session: &mut Session) -> Result<Vec<Plan>, Failure> {
        let request = AdminRequest::MailboxList { address: self.address.clone() };
        let AdminResponse::Mailboxes { mailboxes: ours } = session.ask(request).await? else {
            return Err(Failure::new("the server gave another answer than expected"));
        };
        let there = remote.list().await?;
        if let Some(name) = self.mailbox.iter().find(|name| !there.iter().any(|one| one.name == **name)) {
            return Err(Failure::new(format!("there is no mailbox {name:?} at {}", self.server)));
        }
        // A server that knows no subscriptions shows all.
        let subscribes = there.iter().any(|listed| listed.subscribed);
        let wanted = there.into_iter().filter(|listed| {
            listed.selectable && (self.mailbox.is_empty() || self.mailbox.contains(&listed.name))
        });
        let mut plans = Vec::new();
        for listed in wanted {
            let subscribed = listed.subscribed || !subscribes;
            let target = self.target(&listed, &ours);
            let (name, special_use) = (listed.name.clone(), listed.special_use.clone());
            let messages = match remote.examine(&listed.wire_name).await? {
                Ok((messages, _)) => messages,
                // The import tells of it, and goes on with the others.
                Err(_) => 0,
            };
            if is_outbox(&name) && messages == 0 && target == OLD_OUTBOX {
                continue;
            }
            plans.push(Plan { name, target, special_use, messages, listed: Listed { subscribed, ..listed } });
        }
        Ok(plans)
    }

    /// What has a special use there goes where that has its place here.
    fn target(&self, listed: &Listed, ours: &[MailboxView]) -> String {
        match &self.into {
            Some(into) if listed.name == "INBOX" => into.clone(),
            Some(into) => format!("{into}/{}", listed.name),
            None if is_outbox(&listed.name) => OLD_OUTBOX.to_owned(),
            None => {
                let same = |ours: &&MailboxView| {
                    ours.special_use.is_some() && ours.special_use == listed.special_use
                };
                ours.iter().find(same).map_or_else(|| listed.name.clone(), |ours| ours.name.clone())
            }
        }
    }

    async fn import(
        &self,
        login: &Login,
        plans: &[Plan],
        remote: &mut ImapSession,
        session: &mut Session,
    ) -> Result<Outcome, Failure> {
        let bar = transfer::progress("importing", 0);
        let mut pages = Pages::new(session, self.address.clone(), None, bar);
        for plan in plans {
            let settings = MailboxSettings {
                address: self.address.clone(),
                name: plan.target.clone(),
                special_use: plan.special_use.clone().filter(|_| self.into.is_none()),
                subscribed: plan.listed.subscribed,
            };
            if let Err(failure) = pages.session().ask(AdminRequest::MailboxAdd(settings)).await {
                pages.outcome.trouble(format!("{}: {failure}", plan.name));
                continue;
            }
            match remote.examine(&plan.listed.wire_name).await? {
                Ok((messages, validity)) => {
                    let whose = format!("{} {}", login.user, self.server);
                    let mailbox = Source { plan, address: &self.address, whose, validity };
                    mailbox.import(messages, remote, &mut pages).await?;
                }
                Err(why) => pages.outcome.trouble(format!("{} cannot be opened: {why}", plan.name)),
            }
        }
        pages.finish().await
    }
}

/// One mailbox there.
struct Source<'a> {
    plan: &'a Plan,
    address: &'a str,
    /// Who is asked where.
    whose: String,
    validity: u32,
}

impl Source<'_> {
    async fn import(
        &self,
        messages: u32,
        remote: &mut ImapSession,
        pages: &mut Pages<'_>,
    ) -> Result<(), Failure> {
        let mut first = 1;
        while first <= messages {
            let last = messages.min(first.saturating_add(PAGE_MESSAGES - 1));
            let told = remote.summaries(first, last).await?;
            let octets = told.iter().map(|one| one.octets.unwrap_or(0));
            pages.progress.inc_length(octets.fold(0, u64::saturating_add));
            let new = self.new_ones(told, pages).await?;
            self.fetch(new, remote, pages).await?;
            first = last.saturating_add(1);
        }
        Ok(())
    }

    /// A message there is the same for as long as UIDVALIDITY is (RFC 9051 §2.3.1.1): what came in once is not fetched again.
    fn mark(&self, uid: u32) -> ImportMark {
        let name = String::from_utf8_lossy(&self.plan.listed.wire_name);
        let place = format!("imap\0{}\0{name}\0{}\0{uid}", self.whose, self.validity);
        ImportMark::new(&self.plan.target, 0, place.as_bytes())
    }

    async fn new_ones(&self, told: Vec<Fetched>, pages: &mut Pages<'_>) -> Result<Vec<Fetched>, Failure> {
        let marks = told.iter().map(|one| format!("{:032x}", self.mark(one.uid).0)).collect();
        let address = self.address.to_owned();
        let asked = pages.session().ask(AdminRequest::ImportKnown { address, marks }).await?;
        let AdminResponse::Known { known } = asked else {
            return Err(Failure::new("the server gave another answer than expected"));
        };
        let mut new = Vec::new();
        for (one, is_known) in told.into_iter().zip(known) {
            let octets = one.octets.unwrap_or(0);
            if is_known {
                pages.outcome.known += 1;
                pages.progress.inc(octets);
            } else if octets > MESSAGE_BYTES_MAX {
                let (name, uid) = (&self.plan.name, one.uid);
                pages.outcome.trouble(format!("{name}, UID {uid}: {octets} octets are too many"));
            } else {
                new.push(one);
            }
        }
        Ok(new)
    }

    async fn fetch(
        &self,
        new: Vec<Fetched>,
        remote: &mut ImapSession,
        pages: &mut Pages<'_>,
    ) -> Result<(), Failure> {
        let mut some: BTreeMap<u32, Fetched> = BTreeMap::new();
        let mut octets = 0_u64;
        for one in new {
            octets = octets.saturating_add(one.octets.unwrap_or(0));
            some.insert(one.uid, one);
            if octets >= FETCH_BYTES_MAX || some.len() >= FETCH_MESSAGES_MAX {
                self.fetch_some(std::mem::take(&mut some), remote, pages).await?;
                octets = 0;
            }
        }
        self.fetch_some(some, remote, pages).await
    }

    async fn fetch_some(
        &self,
        mut some: BTreeMap<u32, Fetched>,
        remote: &mut ImapSession,
        pages: &mut Pages<'_>,
    ) -> Result<(), Failure> {
        if some.is_empty() {
            return Ok(());
        }
        let uids: Vec<u32> = some.keys().copied().collect();
        remote.fetch(&uids);
        while let Some(fetched) = remote.fetched().await? {
            // Flags that change meanwhile are told too; they come without a body.
            let Some(body) = fetched.body else { continue };
            let Some(told) = some.remove(&fetched.uid) else { continue };
            pages.progress.inc(told.octets.unwrap_or(0));
            let message =
                Message { content: body.to_vec(), internal_date: told.internal_date, flags: told.flags };
            pages.add_marked(self.plan.target.clone(), message, self.mark(told.uid)).await?;
        }
        for uid in some.keys() {
            pages.outcome.trouble(format!("{}, UID {uid}: it was not given", self.plan.name));
        }
        Ok(())
    }
}

/// A mailbox of the account's own of that name would stand in front of the one that shows what is on its way.
fn is_outbox(name: &str) -> bool {
    name == OUTBOX
}

fn show(plans: &[Plan], output: &mut Output) -> Result<(), Failure> {
    let row = |plan: &Plan| {
        let special_use = plan.special_use.clone().unwrap_or_default();
        vec![plan.name.clone(), plan.messages.to_string(), special_use, plan.target.clone()]
    };
    output.listing(plans, &["MAILBOX", "MESSAGES", "SPECIAL USE", "GOES TO"], row, "there are no mailboxes")
}
