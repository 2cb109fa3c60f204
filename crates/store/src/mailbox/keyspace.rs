//! The keys of mailboxes, as [`crate::keys`] tells them.

use mail::Timestamp;

use super::{AccountId, MailboxId, Uid};
use crate::{
    Template,
    engine::Key,
    keys::{
        DELETED_MAILBOX, EXPUNGED_MESSAGE, KeyBuilder, MAILBOX, MAILBOX_ACL, MAILBOX_CHANGE,
        MAILBOX_EXPUNGED, MAILBOX_MESSAGE, MAILBOX_NAME, MESSAGE_SUMMARY, ORPHAN_SUBSCRIPTION, OUTBOX,
        SHARED_MAILBOX, URL_KEY, counter,
    },
};

pub(crate) fn mailbox_key(id: MailboxId) -> Key {
    KeyBuilder::new(MAILBOX).u64(id.account().0).u64(id.0).key()
}

pub(super) fn name_key(account: AccountId, name: &str) -> Key {
    KeyBuilder::new(MAILBOX_NAME).u64(account.0).text(name).key()
}

pub(super) fn orphan_key(account: AccountId, name: &str) -> Key {
    KeyBuilder::new(ORPHAN_SUBSCRIPTION).u64(account.0).text(name).key()
}

pub(super) fn outbox_key(account: AccountId) -> Key {
    KeyBuilder::new(OUTBOX).u64(account.0).key()
}

/// The key that is there as long as the mailbox is.
pub(super) fn presence_key(id: MailboxId) -> Key {
    if id.is_outbox() { outbox_key(id.account()) } else { mailbox_key(id) }
}

/// What all keys of a mailbox in one of its spaces begin with.
pub(super) fn space(tag: u8, mailbox: MailboxId) -> Vec<u8> {
    KeyBuilder::new(tag).u64(mailbox.0).octets()
}

pub(super) fn message_prefix(mailbox: MailboxId) -> Template {
    space(MAILBOX_MESSAGE, mailbox).into()
}

pub(super) fn message_key(mailbox: MailboxId, uid: Uid) -> Key {
    KeyBuilder::new(MAILBOX_MESSAGE).u64(mailbox.0).u32(uid.0).key()
}

pub(super) fn change_prefix(mailbox: MailboxId) -> Template {
    space(MAILBOX_CHANGE, mailbox).into()
}

pub(super) fn change_key(mailbox: MailboxId, modseq: u64) -> Key {
    KeyBuilder::new(MAILBOX_CHANGE).u64(mailbox.0).u64(modseq).key()
}

pub(super) fn summary_prefix(mailbox: MailboxId) -> Template {
    space(MESSAGE_SUMMARY, mailbox).into()
}

pub(super) fn summary_key(mailbox: MailboxId, uid: Uid) -> Key {
    KeyBuilder::new(MESSAGE_SUMMARY).u64(mailbox.0).u32(uid.0).key()
}

pub(super) fn expunged_prefix(mailbox: MailboxId) -> Template {
    space(MAILBOX_EXPUNGED, mailbox).into()
}

pub(super) fn expunged_key(mailbox: MailboxId, modseq: u64) -> Key {
    KeyBuilder::new(MAILBOX_EXPUNGED).u64(mailbox.0).u64(modseq).key()
}

pub(super) fn restorable_key(mailbox: MailboxId, uid: Uid, at: Timestamp) -> Key {
    KeyBuilder::new(EXPUNGED_MESSAGE).u64(mailbox.account().0).time(at).u64(mailbox.0).u32(uid.0).key()
}

pub(super) fn deleted_key(mailbox: MailboxId) -> Key {
    KeyBuilder::new(DELETED_MAILBOX).u64(mailbox.0).key()
}

pub(super) fn acl_key(mailbox: MailboxId) -> Key {
    KeyBuilder::new(MAILBOX_ACL).u64(mailbox.0).key()
}

pub(super) fn shared_prefix(account: AccountId) -> Vec<u8> {
    KeyBuilder::new(SHARED_MAILBOX).u64(account.0).octets()
}

pub(super) fn shared_key(account: AccountId, mailbox: MailboxId) -> Key {
    KeyBuilder::new(SHARED_MAILBOX).u64(account.0).u64(mailbox.0).key()
}

pub(super) fn url_key_prefix(account: AccountId) -> Vec<u8> {
    KeyBuilder::new(URL_KEY).u64(account.0).octets()
}

pub(super) fn url_key(account: AccountId, mailbox: MailboxId) -> Key {
    KeyBuilder::new(URL_KEY).u64(account.0).u64(mailbox.0).key()
}

/// One of the counters of a mailbox.
pub(super) fn mailbox_counter(name: u8, mailbox: MailboxId) -> Key {
    KeyBuilder::counter(name).u64(mailbox.0).key()
}

pub(super) fn uid_counter(mailbox: MailboxId) -> Key {
    mailbox_counter(counter::UID, mailbox)
}

pub(super) fn modseq_counter(mailbox: MailboxId) -> Key {
    mailbox_counter(counter::MODSEQ, mailbox)
}

/// One of the counters of an account.
pub(super) fn account_counter(name: u8, account: AccountId) -> Key {
    KeyBuilder::counter(name).u64(account.0).key()
}
