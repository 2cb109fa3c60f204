//! Mail into mailboxes and out of them, over the control socket.

use std::{collections::HashSet, io};

use bytes::{Bytes, BytesMut};
use mail::Timestamp;
use store::{
    Batch, CommitError, StoreError,
    directory::Account,
    mailbox::{
        AppendWith, FlagChange, FlagChangeKind, Flags, ImportMark, Mailbox, MailboxError, StoredMessage, Uid,
        WrittenMessage, is_over_quota,
    },
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use world::BoxStream;

use super::{
    Admin,
    directory::parse_address,
    protocol::{
        AdminResponse, ExportPage, ExportedMessage, ImportPage, ImportedMessage, MailboxSettings,
        MailboxView, TRANSFER_BYTES_MAX, TRANSFER_MESSAGES_MAX,
    },
    socket::respond,
};

/// Octets taken or given in one go.
const CHUNK_BYTES: usize = 64 * 1024;
/// Messages told apart in one go.
const CONTENTS_MAX: usize = 5000;

/// Why a page was not taken, or not given.
enum Trouble {
    /// The client hears of it.
    Told(String),
    Broken(io::Error),
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Told(error.to_string())
    }
}

/// Takes the messages of a page, all or none, and always all of their octets.
pub(super) async fn import(
    stream: &mut BufReader<BoxStream>,
    admin: &Admin,
    page: &ImportPage,
) -> io::Result<AdminResponse> {
    let octets = page.messages.iter().fold(0_u64, |sum, message| sum.saturating_add(message.octets));
    let mut content = stream.take(octets);
    let outcome = take_page(&mut content, admin, page).await;
    if let Err(Trouble::Broken(error)) = outcome {
        return Err(error);
    }
    tokio::io::copy(&mut content, &mut tokio::io::sink()).await?;
    if content.limit() > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(outcome.unwrap_or_else(|trouble| match trouble {
        Trouble::Told(message) => AdminResponse::error(message),
        Trouble::Broken(error) => AdminResponse::error(error),
    }))
}

async fn take_page(
    content: &mut (impl AsyncRead + Unpin + Send),
    admin: &Admin,
    page: &ImportPage,
) -> Result<AdminResponse, Trouble> {
    if page.messages.len() > TRANSFER_MESSAGES_MAX {
        return Err(Trouble::Told(format!("no more than {TRANSFER_MESSAGES_MAX} messages at once")));
    }
    let (mailboxes, now) = (&admin.stores.mailboxes, admin.world.clock.wall());
    let account = account(admin, &page.address).await?;
    let mailbox = mailbox_or_made(admin, &account, &page.mailbox).await?;
    let (mut batch, mut known, mut marks) = (Batch::new(), 0, HashSet::new());
    for message in &page.messages {
        let mark = u128::from_str_radix(&message.mark, 16).map(ImportMark)?;
        let mut one = (&mut *content).take(message.octets);
        if !marks.insert(mark) || mailboxes.is_imported(account.id, mark).await? {
            tokio::io::copy(&mut one, &mut tokio::io::sink()).await.map_err(Trouble::Broken)?;
            known += 1;
            continue;
        }
        let written = write(admin, &mut one).await?;
        if one.limit() > 0 {
            return Err(Trouble::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        mailboxes.append_written(&mut batch, mailbox.id, written, with(message, now), account.quota(), now);
        mailboxes.stage_imported(&mut batch, account.id, mark);
    }
    let added = page.messages.len() - known;
    match admin.stores.engine.commit(batch).await {
        Ok(_) => Ok(AdminResponse::Imported { added, known }),
        Err(error) if is_over_quota(&error, account.id) => Err(Trouble::Told(format!(
            "{} may not hold so much; `postrider account set-quota` gives it more room",
            account.address
        ))),
        Err(CommitError::Conflict(_)) => {
            Err(Trouble::Told("the mailbox or the import changed meanwhile; run it again".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn write(admin: &Admin, content: &mut (impl AsyncRead + Unpin)) -> Result<WrittenMessage, Trouble> {
    let mut writer = admin.stores.mailboxes.message_writer().await?;
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        if content.read_buf(&mut chunk).await.map_err(Trouble::Broken)? == 0 {
            return Ok(writer.finish().await?);
        }
        writer.write(chunk.freeze()).await?;
    }
}

fn with(message: &ImportedMessage, now: Timestamp) -> AppendWith {
    // RFC 9051 §9: what is no flag and begins with a backslash is no keyword either.
    let (mut flags, mut keywords) = (Flags::default(), Vec::new());
    for flag in &message.flags {
        match Flags::named(flag) {
            Some(known) => flags = flags | known,
            None => keywords.extend(Some(flag).filter(|flag| !flag.starts_with('\\')).cloned()),
        }
    }
    let bounded = FlagChange { how: FlagChangeKind::Replace, flags, keywords };
    let (flags, keywords) = bounded.applied(Flags::default(), &[]);
    let internal_date = message.internal_date.map_or(now, Timestamp::from_millis);
    AppendWith { internal_date, flags, keywords }
}

async fn account(admin: &Admin, address: &str) -> Result<Account, Trouble> {
    let address = parse_address(address)?;
    let account = admin.stores.directory.account(&address).await?;
    account.ok_or_else(|| Trouble::Told(format!("there is no account {address}")))
}

async fn mailbox_or_made(admin: &Admin, account: &Account, name: &str) -> Result<Mailbox, Trouble> {
    let mailboxes = &admin.stores.mailboxes;
    if let Some(found) = mailboxes.by_name(account.id, name).await? {
        return Ok(found);
    }
    match mailboxes.create(account.id, name, None, admin.world.clock.wall()).await {
        Ok(made) => Ok(made),
        // RFC 9051 §6.3.4: a `/` at the end is no part of it; or somebody made it meanwhile.
        Err(MailboxError::Exists) => {
            let found = mailboxes.by_name(account.id, name.trim_end_matches('/')).await?;
            found.ok_or_else(|| Trouble::Told(format!("the mailbox {name:?} comes and goes")))
        }
        Err(error) => Err(Trouble::Told(format!("the mailbox {name:?} cannot be made: {error}"))),
    }
}

/// Which messages came in before.
pub(super) async fn known(admin: &Admin, address: &str, marks: &[String]) -> AdminResponse {
    match try_known(admin, address, marks).await {
        Ok(known) => AdminResponse::Known { known },
        Err(Trouble::Told(message)) => AdminResponse::error(message),
        Err(Trouble::Broken(error)) => AdminResponse::error(error),
    }
}

async fn try_known(admin: &Admin, address: &str, marks: &[String]) -> Result<Vec<bool>, Trouble> {
    let account = account(admin, address).await?;
    let mut known = Vec::with_capacity(marks.len());
    for mark in marks {
        let mark = u128::from_str_radix(mark, 16).map(ImportMark)?;
        known.push(admin.stores.mailboxes.is_imported(account.id, mark).await?);
    }
    Ok(known)
}

/// Makes a mailbox, unless it is there.
pub(super) async fn add_mailbox(admin: &Admin, settings: &MailboxSettings) -> AdminResponse {
    match try_add_mailbox(admin, settings).await {
        Ok(message) => AdminResponse::done(message),
        Err(Trouble::Told(message)) => AdminResponse::error(message),
        Err(Trouble::Broken(error)) => AdminResponse::error(error),
    }
}

async fn try_add_mailbox(admin: &Admin, settings: &MailboxSettings) -> Result<String, Trouble> {
    let (mailboxes, MailboxSettings { name, special_use, .. }) = (&admin.stores.mailboxes, settings);
    let account = account(admin, &settings.address).await?;
    if mailboxes.by_name(account.id, name).await?.is_some() {
        return Ok(format!("{name} is there"));
    }
    let now = admin.world.clock.wall();
    let made = match mailboxes.create(account.id, name, special_use.as_deref(), now).await {
        // Not one that can be chosen here; the mailbox matters more.
        Err(MailboxError::SpecialUse) => mailboxes.create(account.id, name, None, now).await?,
        made => made?,
    };
    if !settings.subscribed {
        mailboxes.subscribe(account.id, &made.name, false).await?;
    }
    Ok(format!("{name} was made"))
}

/// What tells the messages of a mailbox apart; nothing if there is no such mailbox.
pub(super) async fn contents(admin: &Admin, address: &str, mailbox: &str, after: u32) -> AdminResponse {
    match try_contents(admin, address, mailbox, after).await {
        Ok(response) => response,
        Err(Trouble::Told(message)) => AdminResponse::error(message),
        Err(Trouble::Broken(error)) => AdminResponse::error(error),
    }
}

async fn try_contents(
    admin: &Admin,
    address: &str,
    mailbox: &str,
    after: u32,
) -> Result<AdminResponse, Trouble> {
    let mailboxes = &admin.stores.mailboxes;
    let account = account(admin, address).await?;
    let Some(found) = mailboxes.by_name(account.id, mailbox).await? else {
        return Ok(AdminResponse::Contents { likenesses: Vec::new(), next: None });
    };
    let messages = mailboxes.messages(found.id, Uid(after.saturating_add(1)), CONTENTS_MAX).await?;
    let next = messages.last().map(|last| last.uid.0);
    let likenesses = messages.iter().map(|message| message.record.likeness()).collect();
    Ok(AdminResponse::Contents { likenesses, next })
}

pub(super) async fn mailboxes(admin: &Admin, address: &str) -> AdminResponse {
    match list(admin, address).await {
        Ok(mailboxes) => AdminResponse::Mailboxes { mailboxes },
        Err(Trouble::Told(message)) => AdminResponse::error(message),
        Err(Trouble::Broken(error)) => AdminResponse::error(error),
    }
}

async fn list(admin: &Admin, address: &str) -> Result<Vec<MailboxView>, Trouble> {
    let account = account(admin, address).await?;
    let mut views = Vec::new();
    for mailbox in admin.stores.mailboxes.list(account.id).await? {
        let status = admin.stores.mailboxes.status(mailbox.id).await?;
        views.push(MailboxView {
            name: mailbox.name,
            special_use: mailbox.special_use,
            uid_validity: mailbox.uid_validity,
            messages: status.messages,
            bytes: status.octets,
        });
    }
    Ok(views)
}

/// Tells of messages, and then gives their octets. A connection that breaks off in between gave a message that cannot be
/// read after all.
pub(super) async fn export(
    stream: &mut BufReader<BoxStream>,
    admin: &Admin,
    page: &ExportPage,
) -> io::Result<()> {
    let found = match find_page(admin, page).await {
        Ok(found) => found,
        Err(Trouble::Told(message)) => return respond(stream, &AdminResponse::error(message)).await,
        Err(Trouble::Broken(error)) => return Err(error),
    };
    let messages = found.iter().map(|(message, content)| view(message, content)).collect();
    respond(stream, &AdminResponse::Exported { messages }).await?;
    for (message, content) in &found {
        match content {
            Ok(Some(octets)) => stream.write_all(octets).await?,
            Ok(None) => give(stream, admin, message).await?,
            Err(_) => {}
        }
    }
    stream.flush().await
}

/// A message with its octets, unless they are too many to hold.
type Content = Result<Option<Bytes>, StoreError>;

async fn find_page(admin: &Admin, page: &ExportPage) -> Result<Vec<(StoredMessage, Content)>, Trouble> {
    let mailboxes = &admin.stores.mailboxes;
    let account = account(admin, &page.address).await?;
    let mailbox = mailboxes.by_name(account.id, &page.mailbox).await?;
    let mailbox = mailbox.ok_or_else(|| Trouble::Told(format!("there is no mailbox {:?}", page.mailbox)))?;
    let from = Uid(page.after.saturating_add(1));
    let mut left = TRANSFER_BYTES_MAX;
    let mut found: Vec<(StoredMessage, Content)> = Vec::new();
    for message in mailboxes.messages(mailbox.id, from, TRANSFER_MESSAGES_MAX).await? {
        let octets = message.record.octets();
        if octets > left && !found.is_empty() {
            break;
        }
        let content = if octets > left { Ok(None) } else { whole(admin, &message).await.map(Some) };
        left = left.saturating_sub(octets);
        found.push((message, content));
    }
    Ok(found)
}

async fn whole(admin: &Admin, message: &StoredMessage) -> Result<Bytes, StoreError> {
    let octets = admin.stores.mailboxes.read(&message.record, 0..u64::MAX).await?;
    if octets.len() as u64 == message.record.octets() {
        return Ok(octets);
    }
    Err(StoreError::Damaged("the message is shorter than its record says".to_owned()))
}

async fn give(stream: &mut BufReader<BoxStream>, admin: &Admin, message: &StoredMessage) -> io::Result<()> {
    let (mut at, end) = (0, message.record.octets());
    while at < end {
        let chunk = admin.stores.mailboxes.read(&message.record, at..at + CHUNK_BYTES as u64).await;
        let chunk = chunk.map_err(io::Error::other)?;
        if chunk.is_empty() {
            return Err(io::Error::other("a message is shorter than its record says"));
        }
        at += chunk.len() as u64;
        stream.write_all(&chunk).await?;
    }
    Ok(())
}

fn view(message: &StoredMessage, content: &Content) -> ExportedMessage {
    let record = &message.record;
    let flags = record.flags.names().map(str::to_owned).chain(record.keywords.iter().cloned());
    ExportedMessage {
        uid: message.uid.0,
        octets: if content.is_ok() { record.octets() } else { 0 },
        internal_date: record.internal_date.millis(),
        flags: flags.collect(),
        problem: content.as_ref().err().map(ToString::to_string),
    }
}
