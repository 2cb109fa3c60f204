//! URLs that let others read a message (RFC 4467). What a URL means the session finds out.

use super::{
    super::{
        LIST_ITEMS_MAX,
        cursor::Cursor,
        error::{CommandError, Parsed},
    },
    Command, MailboxName,
};

/// A URL to sign. `mechanism`: in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenUrlAuth {
    pub url: String,
    pub mechanism: String,
}

pub(super) fn gen_url_auth(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let pairs = spaced(cursor, |cursor| {
        let url = cursor.text("a URL")?;
        cursor.space()?;
        Ok(GenUrlAuth { url, mechanism: mechanism(cursor)? })
    })?;
    Ok(Command::GenUrlAuth(pairs))
}

pub(super) fn url_fetch(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    spaced(cursor, |cursor| cursor.text("a URL")).map(Command::UrlFetch)
}

/// Behind the verb.
pub(super) fn reset_key(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = cursor.eat(b' ').then(|| MailboxName::parse(cursor)).transpose()?;
    let more = mailbox.is_some() && cursor.eat(b' ');
    let mechanisms = if more { spaced(cursor, mechanism)? } else { Vec::new() };
    Ok(Command::ResetKey { mailbox, mechanisms })
}

fn mechanism(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.atom("a mechanism").map(str::to_ascii_uppercase)
}

fn spaced<T>(cursor: &mut Cursor<'_>, mut item: impl FnMut(&mut Cursor<'_>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut items = vec![item(cursor)?];
    while cursor.eat(b' ') {
        if items.len() >= LIST_ITEMS_MAX {
            return Err(CommandError::TooMany { what: "arguments", limit: LIST_ITEMS_MAX }.into());
        }
        items.push(item(cursor)?);
    }
    Ok(items)
}
