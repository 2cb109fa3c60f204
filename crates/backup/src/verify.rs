//! Whether everything that was written can be read, and everything referred to is there.

use std::{collections::HashSet, fs, sync::Arc};

use serde::Serialize;
use store::{BlobId, PasswordCost, Stores, mailbox::Uid};

use crate::{
    Progress, Watch,
    engine::BackupEngine,
    error::Error,
    place::Place,
    read::{Backup, Pairs},
    table::{self, PIECE_BYTES, Row},
};

const PROBLEMS_TOLD_MAX: usize = 1000;
const PAGE: usize = 500;

#[derive(Debug, Default, Serialize)]
pub struct Verified {
    pub backups: u64,
    pub pages: u64,
    pub bodies: u64,
    pub body_bytes: u64,
    /// In words; none if all is well.
    pub problems: Vec<String>,
}

impl Verified {
    fn trouble(&mut self, problem: &dyn ToString) {
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem.to_string());
        }
    }
}

/// Reads every octet of every backup, and looks whether messages and queue entries of the newest have their bodies.
pub async fn verify(place: &Place, watch: Watch<'_>) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let (found, unreadable) = place.list()?;
    for volume in unreadable {
        verified.trouble(&volume.error);
    }
    let lengths = found.keys().filter_map(|number| fs::metadata(place.volume(*number)).ok());
    watch(Progress::Total(lengths.map(|metadata| metadata.len()).sum()));
    let mut seen = HashSet::new();
    let mut newest = None;
    for number in found.keys() {
        match Backup::open(place, Some(*number)) {
            Ok(backup) => {
                verified.backups += 1;
                pages(&backup, &mut seen, &mut verified, watch);
                newest = Some(backup);
            }
            Err(error) => verified.trouble(&error),
        }
    }
    match newest {
        Some(newest) => references(newest, &mut verified).await,
        None if verified.problems.is_empty() => verified.trouble(&"there is no backup here"),
        None => {}
    }
    Ok(verified)
}

/// The pages that were not seen before, and the bodies that they tell of.
fn pages(backup: &Backup, seen: &mut HashSet<(u32, u64)>, verified: &mut Verified, watch: Watch<'_>) {
    for (index, page) in backup.pages.iter().enumerate() {
        if !seen.insert((page.volume, page.offset)) {
            continue;
        }
        verified.pages += 1;
        match backup.page(index) {
            Ok(pairs) => {
                let octets = pairs.iter().map(|(key, value)| key.0.len() + value.len());
                watch(Progress::Done(octets.sum::<usize>() as u64));
                bodies(backup, &pairs, verified, watch);
            }
            Err(error) => verified.trouble(&error),
        }
    }
}

fn bodies(backup: &Backup, pairs: &Pairs, verified: &mut Verified, watch: Watch<'_>) {
    let end = table::start();
    for (key, value) in pairs.iter().filter(|(key, _)| *key >= end) {
        let Some(row) = Row::decode(key, value) else {
            verified.trouble(&"the table of bodies cannot be read");
            continue;
        };
        let pieces = 0..row.body.bytes.div_ceil(PIECE_BYTES);
        match pieces.map(|index| backup.piece(&row, index)).find_map(Result::err) {
            None => {
                verified.bodies += 1;
                verified.body_bytes += row.body.bytes;
            }
            Some(error) => verified.trouble(&error),
        }
        watch(Progress::Done(row.body.bytes));
    }
}

async fn references(newest: Backup, verified: &mut Verified) {
    let newest = Arc::new(newest);
    let engine = Arc::new(BackupEngine::new(Arc::clone(&newest)));
    let stores = Stores::with_password_cost(engine, PasswordCost::default());
    if let Err(error) = walk(&stores, &newest, verified).await {
        verified.trouble(&error);
    }
}

async fn walk(stores: &Stores, newest: &Backup, verified: &mut Verified) -> Result<(), Error> {
    for account in stores.directory.accounts().await? {
        for mailbox in stores.mailboxes.list(account.id).await? {
            let mut from = Uid(1);
            loop {
                let messages = stores.mailboxes.messages(mailbox.id, from, PAGE).await?;
                let Some(last) = messages.last() else { break };
                from = Uid(last.uid.0.saturating_add(1));
                for message in &messages {
                    if !has(newest, message.record.blob, message.record.blob_bytes)? {
                        let (address, name, uid) = (&account.address, &mailbox.name, message.uid.0);
                        verified.trouble(&format!("{address}, {name}, UID {uid}: the message is not there"));
                    }
                }
            }
        }
    }
    let mut after = None;
    loop {
        let entries = stores.spool.list(after, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = Some(last.id());
        for entry in &entries {
            if !has(newest, entry.blob, entry.blob_bytes)? {
                verified.trouble(&format!("queue entry {}: the message is not there", entry.queue_id));
            }
        }
    }
}

fn has(backup: &Backup, id: BlobId, bytes: u64) -> Result<bool, Error> {
    Ok(backup.row(id)?.is_some_and(|row| row.place.is_some() && row.body.bytes == bytes))
}
