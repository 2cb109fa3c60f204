//! NOTIFY: what the client wants to hear of, unasked (RFC 5465).

use super::{
    super::{
        cursor::Cursor,
        error::{CommandError, Parsed, expected},
    },
    FetchItem, MailboxName,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Nothing.
    None,
    /// `status`: tell at once how the mailboxes are.
    Set { status: bool, groups: Vec<EventGroup> },
}

/// The events of some mailboxes; of groups that name the same mailbox the first counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    pub mailboxes: MailboxFilter,
    pub events: Events,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    Selected,
    /// Expunges wait until a command lets them through.
    SelectedDelayed,
    /// Where delivery may put messages.
    Inboxes,
    Personal,
    Subscribed,
    /// These and all below them.
    Subtree(Vec<MailboxName>),
    Mailboxes(Vec<MailboxName>),
}

/// Nothing at all is NONE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    pub message_new: Option<MessageNew>,
    pub message_expunge: bool,
    pub flag_change: bool,
    pub mailbox_name: bool,
    pub subscription_change: bool,
    pub mailbox_metadata_change: bool,
    pub server_metadata_change: bool,
}

/// What to tell of a new message; may be empty.
pub type MessageNew = Vec<FetchItem>;

impl Notify {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        if cursor.word("NONE") {
            return Ok(Self::None);
        }
        if !cursor.word_and_space("SET")? {
            return expected("SET or NONE");
        }
        let status = cursor.word_and_space("STATUS")?;
        let mut groups = vec![EventGroup::parse(cursor)?];
        while cursor.eat(b' ') {
            if groups.len() >= GROUPS_MAX {
                return Err(CommandError::TooMany { what: "event groups", limit: GROUPS_MAX }.into());
            }
            groups.push(EventGroup::parse(cursor)?);
        }
        // RFC 5465 §6
        if groups.iter().filter(|group| group.mailboxes.is_selected()).count() > 1 {
            return expected("one group for the selected mailbox");
        }
        Ok(Self::Set { status, groups })
    }
}

const GROUPS_MAX: usize = 64;

impl EventGroup {
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.expect(b'(', "an event group in brackets")?;
        let mailboxes = MailboxFilter::parse(cursor)?;
        cursor.space()?;
        let mut events = Events::default();
        if !cursor.word("NONE") {
            cursor.list("events", |cursor| events.one(cursor))?;
        }
        // RFC 5465 §5: a client that hears of new messages hears of expunged ones, and only then of flags.
        let messages = events.message_new.is_some();
        if messages != events.message_expunge || (events.flag_change && !messages) {
            return expected("MessageNew and MessageExpunge together, and both with FlagChange");
        }
        let selected = mailboxes.is_selected();
        let of_mailboxes = events.mailbox_name
            || events.subscription_change
            || events.mailbox_metadata_change
            || events.server_metadata_change;
        if selected && of_mailboxes {
            return expected("events of messages for the selected mailbox");
        }
        if !selected && events.message_new.as_ref().is_some_and(|items| !items.is_empty()) {
            return expected("items to fetch for the selected mailbox alone");
        }
        cursor.expect(b')', "a closing bracket")?;
        Ok(Self { mailboxes, events })
    }
}

impl MailboxFilter {
    pub fn is_selected(&self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }

    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let kind = cursor.atom("a kind of mailboxes")?.to_ascii_lowercase();
        match kind.as_str() {
            "selected" => Ok(Self::Selected),
            "selected-delayed" => Ok(Self::SelectedDelayed),
            "inboxes" => Ok(Self::Inboxes),
            "personal" => Ok(Self::Personal),
            "subscribed" => Ok(Self::Subscribed),
            "subtree" => one_or_more(cursor).map(Self::Subtree),
            "mailboxes" => one_or_more(cursor).map(Self::Mailboxes),
            _ => expected("a kind of mailboxes that is known"),
        }
    }
}

/// `one-or-more-mailbox`, with the space before it.
fn one_or_more(cursor: &mut Cursor<'_>) -> Parsed<Vec<MailboxName>> {
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        return cursor.list("mailboxes", MailboxName::parse);
    }
    Ok(vec![MailboxName::parse(cursor)?])
}

impl Events {
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let name = cursor.atom("an event")?.to_ascii_lowercase();
        let event = match name.as_str() {
            "messagenew" => {
                let items = if cursor.literally(" (") { fetch_items(cursor)? } else { Vec::new() };
                self.message_new = Some(items);
                return Ok(());
            }
            "messageexpunge" => &mut self.message_expunge,
            "flagchange" => &mut self.flag_change,
            "mailboxname" => &mut self.mailbox_name,
            "subscriptionchange" => &mut self.subscription_change,
            "mailboxmetadatachange" => &mut self.mailbox_metadata_change,
            "servermetadatachange" => &mut self.server_metadata_change,
            _ => return Err(CommandError::Event.into()),
        };
        *event = true;
        Ok(())
    }
}

/// Behind the opening bracket.
fn fetch_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    let mut items = vec![FetchItem::parse(cursor)?];
    while cursor.eat(b' ') {
        items.push(FetchItem::parse(cursor)?);
    }
    cursor.expect(b')', "a closing bracket")?;
    Ok(items)
}
