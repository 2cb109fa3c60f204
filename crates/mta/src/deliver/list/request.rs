//! Requests by mail: joining and leaving, each confirmed by who owns the address.

use std::{sync::Arc, time::Duration};

use mail::{
    Address, header,
    list::{Command, TokenError, Wish, command, is_automatic, read_token, token},
};
use store::{
    Batch, StoreError,
    directory::{ListRole, MailingList, Subscription},
    spool::QueueEntry,
};

use super::{Settlement, answer, unreadable};
use crate::{
    Mta,
    outcome::{Fate, Success},
};

/// How long a confirmation is waited for.
const CONFIRMATION_LIFETIME: Duration = Duration::from_hours(3 * 24);

/// Who asks, in which message.
struct Asked<'a> {
    mta: &'a Arc<Mta>,
    list: &'a MailingList,
    sender: &'a Address,
}

/// What is answered.
struct Reply {
    to: Address,
    subject: String,
    paragraphs: Vec<String>,
}

pub(super) async fn answer(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    list: &MailingList,
    role: ListRole,
) -> Result<Settlement, StoreError> {
    // RFC 3834 §2: who is no person gets no answer.
    let Some(sender) = entry.reverse_path.address() else {
        return Ok(Settlement::nothing("nobody asks"));
    };
    let message = super::beginning(mta, entry).await?;
    let section = message.get(..header::body_start(&message)).unwrap_or(&message);
    if is_automatic(section) || header::count(section, "List-Id") > 0 {
        return Ok(Settlement::nothing("it is an automatic message"));
    }
    let wanted = match role {
        ListRole::Subscribe => Command::Subscribe,
        ListRole::Unsubscribe => Command::Unsubscribe,
        _ => command(&message),
    };
    if !matches!(wanted, Command::Confirm(_))
        && !mta.memory.answers.admit(&sender.to_lookup(), mta.world.clock.now())
    {
        return Ok(Settlement::nothing("this address has been answered often enough for now"));
    }
    let asked = Asked { mta, list, sender };
    let mut batch = Batch::new();
    let (reply, done) = match wanted {
        Command::Subscribe => (asked.subscribe().await?, "asked for confirmation of joining"),
        Command::Unsubscribe => (asked.unsubscribe().await?, "asked for confirmation of leaving"),
        Command::Confirm(token) => (asked.confirm(&mut batch, &token).await?, "a confirmation"),
        Command::Help => (asked.help(), "help"),
    };
    let Reply { to, subject, paragraphs } = reply;
    let entries = answer::stage(mta, &mut batch, list, &to, &subject, &paragraphs, &message).await?;
    let fate = Fate::delivered(format!("the list, which answered {to}: {done}"), None, Success::Listed);
    Ok(Settlement { fate, batch, entries })
}

impl Asked<'_> {
    async fn subscribe(&self) -> Result<Reply, StoreError> {
        if self.list.subscription == Subscription::Closed {
            return Ok(self.closed());
        }
        let member = self.mta.stores.directory.member(self.list.id, self.sender).await?;
        if member.is_some_and(|member| member.suspended_at.is_none()) {
            let already = format!("{} is a member of {} already.", self.sender, self.list.address);
            return Ok(self.reply("You are a member already", vec![already]));
        }
        self.confirmation(Wish::Subscribe, "join").await
    }

    async fn unsubscribe(&self) -> Result<Reply, StoreError> {
        if self.mta.stores.directory.member(self.list.id, self.sender).await?.is_none() {
            let other = format!(
                "{} is no member of {}. You may be one with another address: write from that one. It stands as \
                 Delivered-To in the header of what you get from the list.",
                self.sender, self.list.address
            );
            return Ok(self.reply("You are not a member", vec![other]));
        }
        self.confirmation(Wish::Unsubscribe, "leave").await
    }

    async fn confirmation(&self, wish: Wish, verb: &str) -> Result<Reply, StoreError> {
        let seal = self.mta.stores.directory.make_seal(&*self.mta.world.entropy).await?;
        let expires_at = self.mta.world.clock.wall().plus(CONFIRMATION_LIFETIME);
        let token = token(&seal, self.list.id.0, wish, self.sender, expires_at);
        Ok(self.reply(
            &format!("confirm {token}"),
            vec![
                format!(
                    "Somebody, probably you, asked that {} {verb} the mailing list {}.",
                    self.sender, self.list.address
                ),
                "To confirm it, reply to this message and leave its subject as it is. You have three days."
                    .to_owned(),
                "If you did not ask for it, do nothing, and nothing will happen.".to_owned(),
            ],
        ))
    }

    async fn confirm(&self, batch: &mut Batch, token: &str) -> Result<Reply, StoreError> {
        let directory = &self.mta.stores.directory;
        let seal = directory.make_seal(&*self.mta.world.entropy).await?;
        let now = self.mta.world.clock.wall();
        let (wish, address) = match read_token(&seal, self.list.id.0, token, now) {
            Ok(confirmed) => confirmed,
            Err(error) => return Ok(self.unconfirmed(error)),
        };
        let list = &self.list.address;
        let (subject, text) = match wish {
            Wish::Subscribe if self.list.subscription == Subscription::Closed => return Ok(self.closed()),
            Wish::Subscribe => {
                let addresses = std::slice::from_ref(&address);
                let staged = directory.stage_subscription(batch, self.list, addresses, now).await;
                staged.map_err(unreadable)?;
                ("Welcome", format!("{address} is a member of {list} now. {}", self.how_to_leave()))
            }
            Wish::Unsubscribe => {
                directory.stage_leave(batch, self.list.id, std::slice::from_ref(&address)).await?;
                ("Goodbye", format!("{address} is no member of {list} any more."))
            }
        };
        Ok(Reply { to: address, ..self.reply(subject, vec![text]) })
    }

    fn unconfirmed(&self, error: TokenError) -> Reply {
        let why = match error {
            TokenError::Expired => "It has expired: please ask again.",
            TokenError::NotOurs => {
                "It is not the one that was sent to you: please reply to that message, with its subject as it is."
            }
        };
        self.reply("Your confirmation does not count", vec![why.to_owned()])
    }

    fn closed(&self) -> Reply {
        let owners = self.address(ListRole::Owner);
        let why = format!("One cannot join {} by mail. Its owners can add you: {owners}.", self.list.address);
        self.reply("You cannot join by mail", vec![why])
    }

    fn help(&self) -> Reply {
        let mut paragraphs = vec![format!("This is the mailing list {}.", self.list.address)];
        paragraphs.extend(self.list.title.as_ref().map(|title| format!("It is about: {title}.")));
        if self.list.subscription == Subscription::Open {
            paragraphs.push(format!("To join, write to {}.", self.address(ListRole::Subscribe)));
        }
        paragraphs.push(self.how_to_leave());
        paragraphs.push(format!("Its owners read {}.", self.address(ListRole::Owner)));
        self.reply("Help", paragraphs)
    }

    fn how_to_leave(&self) -> String {
        format!("To leave, write to {}.", self.address(ListRole::Unsubscribe))
    }

    fn address(&self, role: ListRole) -> String {
        self.list.role_address(role).map(|address| address.to_string()).unwrap_or_default()
    }

    fn reply(&self, subject: &str, paragraphs: Vec<String>) -> Reply {
        let is_confirmation = subject.starts_with("confirm ");
        let name = self.list.address.local_part();
        // Nothing in front of what is read when it comes back.
        let subject = if is_confirmation { subject.to_owned() } else { format!("{name}: {subject}") };
        Reply { to: self.sender.clone(), subject, paragraphs }
    }
}
