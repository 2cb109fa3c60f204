//! `backup`: everything that the store remembers, into files, while the server runs or not.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use backup::{Backup, BackupEngine, End, Header, Place, Taken, VolumeId};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use mail::Timestamp;
use serde::Serialize;
use store::{
    Stores,
    mailbox::{MailboxId, Summary, Uid, canonical_name},
};
use world::World;

use super::{Common, Output, block_on, output::octets, transfer};
use crate::{
    Failure,
    admin::{Session, SessionSnapshot},
};

/// Messages read in one go.
pub const PAGE_MESSAGES: usize = 200;

/// Writes a backup. In a directory each backup adds what is new to those before it, and each can be restored; a file
/// holds one backup. What is in them is as secret as the data directory.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupCommand {
    #[command(subcommand)]
    command: Option<Look>,
    /// A directory, which is made if its name ends with `/`; or a file that is not there yet
    #[arg(required = true)]
    path: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// The backups there are
    List { path: PathBuf },
    /// What is in a backup: accounts, the mailboxes of one, the messages of one
    Show(Show),
    /// Read everything: whether it is what was written, and all there
    Verify { path: PathBuf },
}

#[derive(Debug, Args)]
struct Show {
    path: PathBuf,
    #[command(flatten)]
    which: Which,
    /// The mailboxes of this account
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// The messages of this mailbox
    #[arg(long, value_name = "NAME", requires = "account")]
    mailbox: Option<String>,
}

/// One of many backups.
#[derive(Debug, Args)]
pub struct Which {
    /// A number that `backup list` tells, or a time, such as 2026-11-23T22:36:00Z, of which the last backup before it is
    /// meant; the newest without it
    #[arg(long, value_name = "NUMBER|TIME")]
    at: Option<String>,
}

impl Which {
    pub fn open(&self, path: &Path) -> Result<Backup, Failure> {
        let place = Place::at(path);
        let number = match self.at.as_ref().map(|at| (at, at.parse::<u32>())) {
            None => None,
            Some((_, Ok(number))) => Some(number),
            Some((at, Err(_))) => Some(before(&place, at)?),
        };
        Ok(Backup::open(&place, number)?)
    }
}

/// The last backup that is not of later.
fn before(place: &Place, at: &str) -> Result<u32, Failure> {
    let until =
        Timestamp::parse_rfc3339(at).map_err(|error| Failure::usage(format!("--at {at}: {error}")))?;
    let (found, _) = place.list()?;
    let taken = |header: &Header| Timestamp::parse_rfc3339(&header.taken_at).ok();
    let found = found.iter().rev().find(|(_, (header, _))| taken(header).is_some_and(|taken| taken <= until));
    found
        .map(|(number, _)| *number)
        .ok_or_else(|| Failure::new(format!("there is no backup from before {at}")))
}

/// A backup as listings tell of it.
#[derive(Debug, Serialize)]
struct View {
    #[serde(flatten)]
    header: Header,
    #[serde(flatten)]
    end: End,
    path: String,
}

#[derive(Debug, Serialize)]
struct Problem {
    path: String,
    problem: String,
}

#[derive(Debug, Serialize)]
struct AccountRow {
    address: String,
    mailboxes: usize,
    messages: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct MailboxRow {
    name: String,
    uid_validity: u32,
    special_use: Option<String>,
    messages: u64,
    bytes: u64,
}

/// A message of a backup.
#[derive(Debug, Serialize)]
pub struct MessageRow {
    pub mailbox: String,
    pub uid: u32,
    pub internal_date: String,
    pub bytes: u64,
    pub flags: Vec<String>,
    pub message_id: Option<String>,
    pub subject: Option<String>,
}

impl BackupCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        match (self.command, self.path) {
            (Some(Look::List { path }), _) => list(&path, output),
            (Some(Look::Show(show)), _) => block_on(show.run(output)),
            (Some(Look::Verify { path }), _) => block_on(verify(&path, output)),
            (None, Some(path)) => take(&path, &common.location.data_dir()?, output),
            (None, None) => Err(Failure::usage("name a directory or a file for the backup")),
        }
    }
}

fn take(path: &Path, data_dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let place = Place::at(path);
    let taken = block_on(async {
        let mut session = Session::open(data_dir, false).await?;
        let (mut source, taken_at) = SessionSnapshot::take(&mut session).await?;
        let id = VolumeId(format!("{:016x}", World::system().entropy.u64()));
        let release = env!("CARGO_PKG_VERSION").to_owned();
        let about = Header { number: 0, id, taken_at, release, after: None };
        let bar = transfer::progress("backing up", 0);
        let taken = backup::take(&mut source, &place, about, &mut |progress| show_on(&bar, progress)).await?;
        bar.finish_and_clear();
        session.close().await?;
        Ok(taken)
    })?;
    show_taken(taken, &place, output)
}

fn show_taken(taken: Taken, place: &Place, output: &mut Output) -> Result<(), Failure> {
    let Taken { header, end, bytes, problems } = taken;
    let (number, missing) = (header.number, end.missing_bodies);
    if output.is_json() {
        let path = place.volume(number).display().to_string();
        output.value(&serde_json::json!({
            "backup": View { header, end, path }, "bytes": bytes, "problems": problems,
        }))?;
    } else {
        output.line(format_args!(
            "backup {number}: {} bodies of messages with {}, of which {} with {} are new; {} written to {}",
            end.bodies,
            octets(end.body_bytes),
            end.new_bodies,
            octets(end.new_body_bytes),
            octets(bytes),
            place.volume(number).display()
        ))?;
        output.line("it holds mail, secrets and passwords' hashes: keep it as safe as the data directory")?;
        problems.iter().try_for_each(|problem| output.line(problem))?;
    }
    match missing {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "the backup is whole but for {missing} bodies that the store cannot read"
        ))),
    }
}

pub fn show_on(bar: &ProgressBar, progress: backup::Progress) {
    match progress {
        backup::Progress::Total(octets) => bar.set_length(octets),
        backup::Progress::Done(octets) => bar.inc(octets),
    }
}

fn list(path: &Path, output: &mut Output) -> Result<(), Failure> {
    let place = Place::at(path);
    let (found, unreadable) = place.list()?;
    let view =
        |(number, (header, end))| View { header, end, path: place.volume(number).display().to_string() };
    let backups: Vec<View> = found.into_iter().map(view).collect();
    let problem = |one: &backup::Unreadable| Problem {
        path: one.path.display().to_string(),
        problem: one.error.to_string(),
    };
    let problems: Vec<Problem> = unreadable.iter().map(problem).collect();
    if output.is_json() {
        return output.value(&serde_json::json!({ "backups": backups, "unreadable": problems }));
    }
    let row = |view: &View| {
        let needs: Vec<String> = view.end.volumes.keys().map(ToString::to_string).collect();
        vec![
            view.header.number.to_string(),
            view.header.taken_at.clone(),
            octets(view.end.body_bytes),
            octets(view.end.new_body_bytes),
            needs.join(","),
            view.path.clone(),
        ]
    };
    output.listing(
        &backups,
        &["NUMBER", "TAKEN", "MAIL", "NEW", "NEEDS", "FILE"],
        row,
        "there is no backup",
    )?;
    problems.iter().try_for_each(|problem| output.line(&problem.problem))
}

async fn verify(path: &Path, output: &mut Output) -> Result<(), Failure> {
    let bar = transfer::progress("verifying", 0);
    let verified = backup::verify(&Place::at(path), &mut |progress| show_on(&bar, progress)).await?;
    bar.finish_and_clear();
    if output.is_json() {
        output.value(&verified)?;
    } else {
        output.line(format_args!(
            "{} backups, {} pages, {} bodies of messages with {} read",
            verified.backups,
            verified.pages,
            verified.bodies,
            octets(verified.body_bytes)
        ))?;
        verified.problems.iter().try_for_each(|problem| output.line(problem))?;
    }
    match verified.problems.len() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} problems were found"))),
    }
}

/// The stores as they were; they take no changes.
pub fn stores(backup: Backup) -> Stores {
    Stores::new(Arc::new(BackupEngine::new(Arc::new(backup))))
}

impl Show {
    async fn run(self, output: &mut Output) -> Result<(), Failure> {
        let stores = stores(self.which.open(&self.path)?);
        match (&self.account, &self.mailbox) {
            (None, _) => show_accounts(&stores, output).await,
            (Some(address), None) => show_mailboxes(&stores, address, output).await,
            (Some(address), Some(name)) => {
                let account = account(&stores, address).await?;
                let found = stores.mailboxes.by_name(account.id, name).await?;
                let mailbox = found.ok_or_else(|| no_mailbox(name))?;
                let mut rows = Vec::new();
                let mut from = Uid(1);
                while let Some((page, next)) = messages(&stores, mailbox.id, &mailbox.name, from).await? {
                    rows.extend(page.into_iter().map(|(_, row)| row));
                    from = next;
                }
                show_messages(&rows, output)
            }
        }
    }
}

pub fn no_mailbox(name: &str) -> Failure {
    Failure::new(format!("there is no mailbox {:?} in this backup", canonical_name(name)))
}

pub async fn account(stores: &Stores, address: &str) -> Result<store::directory::Account, Failure> {
    let parsed = address.parse().map_err(|error| Failure::usage(format!("{address}: {error}")))?;
    let found = stores.directory.account(&parsed).await?;
    found.ok_or_else(|| Failure::new(format!("there is no account {address} in this backup")))
}

async fn show_accounts(stores: &Stores, output: &mut Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for account in stores.directory.accounts().await? {
        let (messages, bytes) = stores.mailboxes.usage(account.id).await?;
        let mailboxes = stores.mailboxes.list(account.id).await?.len();
        let address = account.address.to_string();
        rows.push(AccountRow { address, mailboxes, messages, bytes });
    }
    let row = |row: &AccountRow| {
        let counts = [row.mailboxes.to_string(), row.messages.to_string()];
        [vec![row.address.clone()], counts.to_vec(), vec![octets(row.bytes)]].concat()
    };
    output.listing(&rows, &["ACCOUNT", "MAILBOXES", "MESSAGES", "SIZE"], row, "there are no accounts")
}

async fn show_mailboxes(stores: &Stores, address: &str, output: &mut Output) -> Result<(), Failure> {
    let account = account(stores, address).await?;
    let mut rows = Vec::new();
    for mailbox in stores.mailboxes.list(account.id).await? {
        let status = stores.mailboxes.status(mailbox.id).await?;
        rows.push(MailboxRow {
            name: mailbox.name,
            uid_validity: mailbox.uid_validity,
            special_use: mailbox.special_use,
            messages: status.messages,
            bytes: status.octets,
        });
    }
    let row = |row: &MailboxRow| vec![row.name.clone(), row.messages.to_string(), octets(row.bytes)];
    output.listing(&rows, &["MAILBOX", "MESSAGES", "SIZE"], row, "there are no mailboxes")
}

pub type Found = (store::mailbox::StoredMessage, MessageRow);

/// Messages with UIDs from `from` on, and where to go on; none at the end.
pub async fn messages(
    stores: &Stores,
    mailbox: MailboxId,
    name: &str,
    from: Uid,
) -> Result<Option<(Vec<Found>, Uid)>, Failure> {
    let found = stores.mailboxes.messages(mailbox, from, PAGE_MESSAGES).await?;
    let Some(last) = found.last() else { return Ok(None) };
    let next = Uid(last.uid.0.saturating_add(1));
    let summaries = stores.mailboxes.summaries(mailbox, &found).await?;
    let rows = found.into_iter().zip(summaries).map(|(message, summary)| {
        let row = row_of(name, &message, summary.as_ref());
        (message, row)
    });
    Ok(Some((rows.collect(), next)))
}

fn row_of(name: &str, message: &store::mailbox::StoredMessage, summary: Option<&Summary>) -> MessageRow {
    let envelope = summary.and_then(|summary| summary.structure.parts().first()?.envelope.as_ref());
    let clean = |text: &String| mail::text::clean(text.as_bytes());
    let record = &message.record;
    MessageRow {
        mailbox: name.to_owned(),
        uid: message.uid.0,
        internal_date: record.internal_date.rfc3339_seconds(),
        bytes: record.octets(),
        flags: record.flags.names().map(str::to_owned).chain(record.keywords.iter().cloned()).collect(),
        message_id: envelope.and_then(|envelope| envelope.message_id.as_ref()).map(clean),
        subject: envelope.and_then(|envelope| envelope.subject.as_ref()).map(clean),
    }
}

pub fn show_messages(rows: &[MessageRow], output: &mut Output) -> Result<(), Failure> {
    let row = |row: &MessageRow| {
        vec![
            row.mailbox.clone(),
            row.uid.to_string(),
            row.internal_date.clone(),
            octets(row.bytes),
            row.message_id.clone().unwrap_or_default(),
            row.subject.clone().unwrap_or_default(),
        ]
    };
    let heading = ["MAILBOX", "UID", "DATE", "SIZE", "MESSAGE-ID", "SUBJECT"];
    output.listing(rows, &heading, row, "there are no such messages")
}
