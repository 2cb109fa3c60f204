//! `restore`: a data directory made of a backup, or mail of an account brought back into a system that runs.

use std::{collections::HashSet, path::PathBuf};

use backup::{Adopted, Adoption, Damage};
use clap::Args;
use serde::Serialize;
use store::{
    Stores,
    mailbox::{Mailbox, StoredMessage, Uid, canonical_name},
};
use world::World;

use super::{
    Common, Output,
    backups::{self, MessageRow, Which, show_on},
    block_on,
    transfer::{self, Outcome, Pages},
};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, MailboxSettings},
    },
    mailfiles::Message,
    storage,
};

/// Makes a data directory of a backup; with --account, brings mail of one account back into the system that is there.
#[derive(Debug, Args)]
pub struct Restore {
    /// The directory or file of the backup
    path: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    whole: Whole,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Restoring everything")]
struct Whole {
    /// Send what waited in the queue, instead of holding it; what was delivered since goes out a second time
    #[arg(long, conflicts_with = "account")]
    release_queue: bool,
    /// Keep UIDVALIDITY: only if nobody used the system after the backup, as when it moves to another machine
    #[arg(long, conflicts_with = "account")]
    keep_uid_validity: bool,
    /// Leave out messages whose octets are damaged, and tell of them
    #[arg(long, conflicts_with = "account")]
    skip_damaged: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Restoring mail of an account")]
struct Selection {
    /// The account; what is still there is not doubled
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// Only this mailbox; may be given more than once
    #[arg(long, value_name = "NAME", requires = "account")]
    mailbox: Vec<String>,
    /// Only messages with this Message-ID; may be given more than once
    #[arg(long, value_name = "ID", requires = "account")]
    message_id: Vec<String>,
    /// Only the message with this UID in the backup; may be given more than once
    #[arg(long, value_name = "UID", requires = "mailbox")]
    uid: Vec<u32>,
    /// The mailbox that takes what was in INBOX; others come below it
    #[arg(long, value_name = "MAILBOX", requires = "account")]
    into: Option<String>,
    /// List the messages, and restore none
    #[arg(long, requires = "account")]
    dry_run: bool,
}

/// What became of a data directory.
#[derive(Debug, Serialize)]
struct Restored {
    number: u32,
    taken_at: String,
    data_dir: String,
    bodies: u64,
    body_bytes: u64,
    queued: u64,
    held: u64,
    left_out: Vec<String>,
}

impl Restore {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let Self { path, which, whole, selection } = self;
        let backup = which.open(&path)?;
        let data_dir = common.location.data_dir()?;
        match &selection.account {
            None => {
                let restored = block_on(whole.run(&backup, &data_dir))?;
                restored.show(&whole, output)
            }
            Some(address) => {
                let stores = backups::stores(backup);
                if selection.dry_run {
                    let rows = block_on(selection.list(&stores, address))?;
                    return backups::show_messages(&rows, output);
                }
                let outcome = block_on(async {
                    let mut session = Session::open(&data_dir, false).await?;
                    let outcome = selection.restore(&stores, address, &mut session).await?;
                    session.close().await?;
                    Ok(outcome)
                })?;
                outcome.show("restored", output)
            }
        }
    }
}

impl Whole {
    async fn run(&self, backup: &backup::Backup, data_dir: &std::path::Path) -> Result<Restored, Failure> {
        let restoring = storage::restore(data_dir).await?;
        match self.fill(backup, &restoring.stores).await {
            Ok((copied, adopted)) => {
                restoring.publish().await?;
                Ok(Restored {
                    number: backup.header().number,
                    taken_at: backup.header().taken_at.clone(),
                    data_dir: data_dir.display().to_string(),
                    bodies: copied.bodies,
                    body_bytes: copied.body_bytes,
                    queued: adopted.queued,
                    held: adopted.held,
                    left_out: copied.left_out,
                })
            }
            Err(failure) => {
                restoring.discard();
                Err(failure)
            }
        }
    }

    async fn fill(
        &self,
        backup: &backup::Backup,
        stores: &Stores,
    ) -> Result<(backup::Copied, Adopted), Failure> {
        let bar = transfer::progress("restoring", 0);
        let damage = if self.skip_damaged { Damage::Skip } else { Damage::Refuse };
        let watch = &mut |progress| show_on(&bar, progress);
        let copied = match backup::copy(backup, &*stores.engine, damage, watch).await {
            Err(error @ (backup::Error::Damaged { .. } | backup::Error::Store(_))) => {
                return Err(Failure::new(format!(
                    "{error}; nothing was restored. `postrider backup verify` tells all that is damaged; restore \
                     another backup with --at, or leave out damaged messages with --skip-damaged"
                )));
            }
            copied => copied?,
        };
        bar.finish_and_clear();
        let adoption = Adoption {
            now: World::system().clock.wall(),
            reason: format!("restored from the backup of {}", backup.header().taken_at),
            release_queue: self.release_queue,
            keep_uid_validity: self.keep_uid_validity,
        };
        Ok((copied, backup::adopt(stores, &adoption).await?))
    }
}

impl Restored {
    fn show(&self, whole: &Whole, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            output.value(self)?;
        } else {
            output.line(format_args!(
                "{} is as of {} (backup {}): {} bodies of messages with {}",
                self.data_dir,
                self.taken_at,
                self.number,
                self.bodies,
                super::output::octets(self.body_bytes)
            ))?;
            if self.held > 0 {
                output.line(format_args!(
                    "{} entries of the queue are held, as they may have been delivered since: look at them with \
                     `postrider queue list --status held`, then `queue release` or `queue delete` them",
                    self.held
                ))?;
            }
            if !whole.keep_uid_validity {
                output
                    .line("every mailbox has a new UIDVALIDITY: clients load their lists of messages anew")?;
            }
            self.left_out.iter().try_for_each(|problem| output.line(problem))?;
        }
        match self.left_out.len() {
            0 => Ok(()),
            count => Err(Failure::new(format!("{count} damaged bodies of messages were left out"))),
        }
    }
}

impl Selection {
    /// The mailboxes of the backup that are meant.
    async fn mailboxes(&self, stores: &Stores, address: &str) -> Result<Vec<Mailbox>, Failure> {
        let account = backups::account(stores, address).await?;
        let mut found = stores.mailboxes.list(account.id).await?;
        let wanted: Vec<_> = self.mailbox.iter().map(|name| canonical_name(name)).collect();
        if let Some(name) = wanted.iter().find(|name| !found.iter().any(|one| one.name == ***name)) {
            return Err(backups::no_mailbox(name));
        }
        found.retain(|one| wanted.is_empty() || wanted.iter().any(|name| one.name == **name));
        Ok(found)
    }

    fn wants(&self, row: &MessageRow) -> bool {
        let bare = |id: &str| id.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
        let named = |row: &str| self.message_id.iter().any(|id| bare(id) == bare(row));
        (self.message_id.is_empty() || row.message_id.as_deref().is_some_and(named))
            && (self.uid.is_empty() || self.uid.contains(&row.uid))
    }

    async fn list(&self, stores: &Stores, address: &str) -> Result<Vec<MessageRow>, Failure> {
        let mut rows = Vec::new();
        for mailbox in self.mailboxes(stores, address).await? {
            let mut from = Uid(1);
            while let Some((page, next)) = backups::messages(stores, mailbox.id, &mailbox.name, from).await? {
                rows.extend(page.into_iter().map(|(_, row)| row).filter(|row| self.wants(row)));
                from = next;
            }
        }
        Ok(rows)
    }

    async fn restore(
        &self,
        stores: &Stores,
        address: &str,
        session: &mut Session,
    ) -> Result<Outcome, Failure> {
        let mailboxes = self.mailboxes(stores, address).await?;
        let mut octets = 0;
        for mailbox in &mailboxes {
            octets += stores.mailboxes.status(mailbox.id).await?.octets;
        }
        let bar = transfer::progress("restoring", octets);
        let mut pages = Pages::new(session, address.to_owned(), self.into.clone(), bar);
        for mailbox in &mailboxes {
            self.restore_one(stores, address, mailbox, &mut pages).await?;
        }
        let outcome = pages.finish().await?;
        let nothing = outcome.messages + outcome.known + outcome.problems.len() == 0;
        if nothing && !(self.message_id.is_empty() && self.uid.is_empty()) {
            return Err(Failure::new("there is no such message in this backup"));
        }
        Ok(outcome)
    }

    async fn restore_one(
        &self,
        stores: &Stores,
        address: &str,
        mailbox: &Mailbox,
        pages: &mut Pages<'_>,
    ) -> Result<(), Failure> {
        let target = pages.target(&mailbox.name);
        let there = likenesses(pages.session(), address, &target).await?;
        let (mut from, mut is_made) = (Uid(1), false);
        if self.message_id.is_empty() && self.uid.is_empty() {
            // The mailbox itself is wanted, also if nothing is in it.
            make(pages.session(), address, &target, mailbox).await?;
            is_made = true;
        }
        while let Some((page, next)) = backups::messages(stores, mailbox.id, &mailbox.name, from).await? {
            from = next;
            for (message, row) in page {
                pages.progress.inc(row.bytes);
                if !self.wants(&row) {
                    continue;
                }
                if there.contains(&message.record.likeness()) {
                    pages.outcome.known += 1;
                    continue;
                }
                if !std::mem::replace(&mut is_made, true) {
                    make(pages.session(), address, &target, mailbox).await?;
                }
                match content(stores, &message).await {
                    Ok(content) => {
                        let internal_date = Some(message.record.internal_date);
                        let message = Message { content, internal_date, flags: row.flags };
                        pages.add(target.clone(), message).await?;
                    }
                    Err(problem) => {
                        pages.outcome.trouble(format!("{}, UID {}: {problem}", row.mailbox, row.uid));
                    }
                }
            }
        }
        Ok(())
    }
}

async fn content(stores: &Stores, message: &StoredMessage) -> Result<Vec<u8>, Failure> {
    let content = stores.mailboxes.read(&message.record, 0..u64::MAX).await?;
    if content.len() as u64 == message.record.octets() {
        return Ok(content.to_vec());
    }
    Err(Failure::new("the message is shorter than its record says"))
}

async fn make(session: &mut Session, address: &str, name: &str, like: &Mailbox) -> Result<(), Failure> {
    let settings = MailboxSettings {
        address: address.to_owned(),
        name: name.to_owned(),
        special_use: like.special_use.clone(),
        subscribed: like.subscribed,
    };
    session.ask(AdminRequest::MailboxAdd(settings)).await.map(drop)
}

/// What the mailbox holds now.
async fn likenesses(session: &mut Session, address: &str, mailbox: &str) -> Result<HashSet<u64>, Failure> {
    let (mut all, mut after) = (HashSet::new(), 0);
    loop {
        let (address, mailbox) = (address.to_owned(), mailbox.to_owned());
        match session.ask(AdminRequest::MailboxContents { address, mailbox, after }).await? {
            AdminResponse::Contents { likenesses, next: Some(next) } => {
                all.extend(likenesses);
                after = next;
            }
            AdminResponse::Contents { .. } => return Ok(all),
            _ => return Err(Failure::new("the server gave another answer than expected")),
        }
    }
}
