//! Ways out that are not SMTP: a program ([`pipe`]), a folder ([`maildir`]), a web server ([`webhook`]), one mailbox for all
//! ([`capture`]). Each recipient is an entry of its own, so that one's trouble is not the other's.

mod capture;
mod letter;
mod maildir;
mod pipe;
mod posted;
mod webhook;

use std::sync::Arc;

use store::{
    ledger,
    spool::{LaneId, QueueEntry, QueuedRecipient},
};

use super::guard::guarded;
use crate::{
    Config, Mta,
    outcome::{self, Attempt, Fate, Trouble},
    route::{self, Via, template::Values},
};

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        let config = mta.config();
        if leads_here(&config, &entry) {
            guarded(mta, &entry, deliver(mta, &config, &entry)).await;
        } else {
            super::reroute::reroute(mta, &config, &entry).await;
        }
    }
}

fn via<'a>(config: &'a Config, recipient: &QueuedRecipient) -> Option<&'a Via> {
    route::choose(&config.routes, &recipient.address).map(|route| &route.via)
}

fn leads_here(config: &Config, entry: &QueueEntry) -> bool {
    let is_here = |recipient: &QueuedRecipient| {
        via(config, recipient).is_some_and(|via| via.lane(&recipient.address) == entry.lane)
    };
    entry.recipients.iter().all(is_here)
}

async fn deliver(mta: &Arc<Mta>, config: &Config, entry: &Arc<QueueEntry>) {
    let began = mta.world.clock.now();
    let mut fates = Vec::with_capacity(entry.recipients.len());
    for recipient in &entry.recipients {
        fates.push(match via(config, recipient) {
            // RFC 7293 §7: nobody behind a gateway can tell.
            _ if asks_for_owner(recipient) => Fate::Failed(Trouble::new(
                (5, 7, 19),
                "a gateway cannot tell whether the mailbox has changed hands (RRVS)",
            )),
            Some(Via::Pipe(pipe)) => pipe::deliver(mta, entry, recipient, pipe).await,
            Some(Via::Maildir(maildir)) => maildir::deliver(mta, config, entry, recipient, maildir).await,
            Some(Via::Http(webhook)) => webhook::deliver(mta, config, entry, recipient, webhook).await,
            Some(Via::Capture(capture)) => capture::deliver(mta, entry, recipient, capture).await,
            _ => Fate::Deferred(Trouble::new((4, 4, 4), "its route has just changed")),
        });
    }
    let took = mta.world.clock.now().saturating_duration_since(began);
    let told = ledger::Attempt {
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        outcome: fates.last().map(word).unwrap_or_default(),
        ..ledger::Attempt::default()
    };
    let attempt = Attempt { told, dropped: Vec::new() };
    outcome::settle(mta, entry, fates, Some(attempt)).await;
}

fn asks_for_owner(recipient: &QueuedRecipient) -> bool {
    let demand = recipient.rcpt.valid_since.filter(|_| recipient.original.is_none());
    demand.is_some_and(|demand| !demand.or_continue)
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Delivered { to, .. } => format!("delivered to {to}"),
        Fate::Deferred(trouble) | Fate::Failed(trouble) => trouble.reason.clone(),
    }
}

/// What templates are filled in with.
fn values<'a>(entry: &'a QueueEntry, recipient: &'a QueuedRecipient) -> Values<'a> {
    Values {
        recipient: &recipient.address,
        original: recipient.original.as_ref().unwrap_or(&recipient.address),
        sender: &entry.reverse_path,
        queue_id: entry.queue_id,
    }
}

#[cfg(test)]
mod tests;
