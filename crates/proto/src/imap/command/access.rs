//! Access control lists (RFC 4314).

use super::{
    super::{
        cursor::Cursor,
        error::{CommandError, Parsed},
    },
    Command, MailboxName,
};

pub use mail::{Right, Rights, RightsChange};

pub(super) fn set_acl(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let identifier = identifier(cursor)?;
    cursor.space()?;
    let text = cursor.text("rights")?;
    let (kind, letters): (fn(Rights) -> RightsChange, &str) =
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(letters), _) => (RightsChange::Add, letters),
            (None, Some(letters)) => (RightsChange::Remove, letters),
            (None, None) => (RightsChange::Replace, &text),
        };
    // RFC 4314 §3.1: unknown rights are refused with BAD.
    let rights = Rights::parse(letters).ok_or(CommandError::Right)?;
    Ok(Command::SetAcl { mailbox, identifier, change: kind(rights) })
}

pub(super) fn delete_acl(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::DeleteAcl { mailbox, identifier: identifier(cursor)? })
}

pub(super) fn list_rights(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::ListRights { mailbox, identifier: identifier(cursor)? })
}

fn identifier(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    cursor.text("an identifier")
}
