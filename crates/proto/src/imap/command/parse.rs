//! From the octets of a command to the command.

use super::{
    super::{
        cursor::Cursor,
        error::{CommandError, Fault, Parsed},
    },
    Command, GetMetadata, List, MailboxName, Notify, QuotaResource, Search, Select, Sort, Store, Tagged,
    Thread, access,
    fetch::Fetch,
    list,
    mailbox::StatusItem,
    metadata, session, urlauth,
};

/// The tag, if the octets begin with one and a space.
pub(in super::super) fn tag_of(octets: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(octets, false);
    let tag = cursor.tag()?.to_owned();
    cursor.eat(b' ').then_some(tag)
}

/// Whether the command is one whose literals are messages.
pub(in super::super) fn is_append(octets: &[u8]) -> bool {
    let mut cursor = Cursor::new(octets, false);
    let tagged = cursor.tag().is_some() && cursor.eat(b' ');
    let uid = tagged && cursor.literally("UID ");
    tagged && (cursor.literally("REPLACE ") || (!uid && cursor.literally("APPEND ")))
}

/// A whole command, or one that ends in the head of a literal: that is [`Fault::Literal`] if it can become right.
pub(in super::super) fn parse(octets: &[u8], utf8: bool) -> Parsed<Tagged> {
    let mut cursor = Cursor::new(octets, utf8);
    let tag = cursor.tag().filter(|_| cursor.eat(b' ')).ok_or(CommandError::NoTag)?.to_owned();
    let verb = cursor.atom("the name of a command")?.to_ascii_uppercase();
    let command = match verb.as_str() {
        "UID" => {
            cursor.space()?;
            let verb = cursor.atom("the name of a command")?.to_ascii_uppercase();
            numbered(&verb, true, &mut cursor)?
        }
        verb => plain(verb, &mut cursor)?,
    };
    // Some clients put a space at the end of the line.
    if matches!(command, Command::Search { .. } | Command::Fetch { .. } | Command::Capability | Command::Noop)
    {
        cursor.eat(b' ');
    }
    cursor.end()?;
    Ok(Tagged { tag, command })
}

/// Commands without an argument, or whose arguments are no mailbox.
fn plain(verb: &str, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let bare = match verb {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "NAMESPACE" => Command::Namespace,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge(None),
        "RESETKEY" => return urlauth::reset_key(cursor),
        verb => return argued(verb, cursor),
    };
    Ok(bare)
}

fn argued(verb: &str, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    type Parser = fn(&mut Cursor<'_>) -> Parsed<Command>;
    let parser: Parser = match verb {
        "ID" => |cursor| session::identification(cursor).map(Command::Id),
        "AUTHENTICATE" => session::authenticate,
        "LOGIN" => session::login,
        "ENABLE" => session::enable,
        "COMPRESS" => session::compress,
        "LIST" => |cursor| List::parse(cursor).map(Box::new).map(Command::List),
        "LSUB" => list::lsub,
        "GETQUOTA" => |cursor| cursor.text("a quota root").map(Command::GetQuota),
        "SETQUOTA" => QuotaResource::parse_set_quota,
        "GETMETADATA" => |cursor| GetMetadata::parse(cursor).map(Box::new).map(Command::GetMetadata),
        "SETMETADATA" => metadata::set_metadata,
        "NOTIFY" => |cursor| Notify::parse(cursor).map(Command::Notify),
        "GENURLAUTH" => urlauth::gen_url_auth,
        "URLFETCH" => urlauth::url_fetch,
        "SEARCH" | "SORT" | "THREAD" | "FETCH" | "STORE" | "COPY" | "MOVE" => {
            return numbered(verb, false, cursor);
        }
        verb => return of_mailbox(verb, cursor),
    };
    cursor.space()?;
    parser(cursor)
}

/// Commands whose first argument is the name of a mailbox.
fn of_mailbox(verb: &str, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    type Parser = fn(MailboxName, &mut Cursor<'_>) -> Parsed<Command>;
    let parser: Parser = match verb {
        "SELECT" => {
            |mailbox, cursor| Select::parse(mailbox, false, cursor).map(Box::new).map(Command::Select)
        }
        "EXAMINE" => {
            |mailbox, cursor| Select::parse(mailbox, true, cursor).map(Box::new).map(Command::Select)
        }
        "CREATE" => list::create,
        "DELETE" => |mailbox, _| Ok(Command::Delete(mailbox)),
        "RENAME" => |from, cursor| {
            cursor.space()?;
            Ok(Command::Rename { from, to: MailboxName::parse(cursor)? })
        },
        "SUBSCRIBE" => |mailbox, _| Ok(Command::Subscribe(mailbox)),
        "UNSUBSCRIBE" => |mailbox, _| Ok(Command::Unsubscribe(mailbox)),
        "STATUS" => |mailbox, cursor| {
            cursor.space()?;
            Ok(Command::Status { mailbox, items: cursor.list("status items", StatusItem::parse)? })
        },
        "GETACL" => |mailbox, _| Ok(Command::GetAcl(mailbox)),
        "SETACL" => access::set_acl,
        "DELETEACL" => access::delete_acl,
        "LISTRIGHTS" => access::list_rights,
        "MYRIGHTS" => |mailbox, _| Ok(Command::MyRights(mailbox)),
        "GETQUOTAROOT" => |mailbox, _| Ok(Command::GetQuotaRoot(mailbox)),
        _ => return Err(CommandError::Unknown.into()),
    };
    cursor.space()?;
    let mailbox = MailboxName::parse(cursor)?;
    parser(mailbox, cursor)
}

/// Commands on messages, by number or by UID (RFC 9051 §6.4.9).
fn numbered(verb: &str, uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if !matches!(verb, "SEARCH" | "SORT" | "THREAD" | "FETCH" | "STORE" | "COPY" | "MOVE" | "EXPUNGE") {
        return Err(Fault::Error(CommandError::Unknown));
    }
    cursor.space()?;
    match verb {
        "SEARCH" => Ok(Command::Search { uid, search: Box::new(Search::parse(cursor)?) }),
        "SORT" => Ok(Command::Sort { uid, sort: Box::new(Sort::parse(cursor)?) }),
        "THREAD" => Ok(Command::Thread { uid, thread: Box::new(Thread::parse(cursor)?) }),
        "EXPUNGE" => Ok(Command::Expunge(Some(cursor.sequence_set()?))),
        verb => {
            let messages = cursor.sequence_set()?;
            cursor.space()?;
            match verb {
                "FETCH" => Ok(Command::Fetch { uid, fetch: Box::new(Fetch::parse(messages, cursor)?) }),
                "STORE" => Ok(Command::Store { uid, store: Box::new(Store::parse(messages, cursor)?) }),
                "COPY" => Ok(Command::Copy { uid, messages, to: MailboxName::parse(cursor)? }),
                _ => Ok(Command::Move { uid, messages, to: MailboxName::parse(cursor)? }),
            }
        }
    }
}
