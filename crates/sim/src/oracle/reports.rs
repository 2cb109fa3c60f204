//! What senders were told.

use std::collections::{BTreeMap, BTreeSet};

use mail::QueueId;
use store::ledger::Event;

use super::{Case, letter_of};
use crate::letter::{Read, Tag};

/// A letter, its recipient, and who was told that it failed.
type Told = BTreeSet<(Tag, String, String)>;

impl Case<'_> {
    /// Reports come from nobody, tell of letters, and reach senders that are here.
    pub(super) fn reports(&mut self) {
        let (told, touched) = (self.told(), self.touched());
        let accounts: BTreeSet<_> =
            self.evidence.servers.iter().flat_map(|kept| kept.accounts.iter().cloned()).collect();
        for submission in &self.evidence.submissions {
            for recipient in &self.targets(&submission.recipients) {
                let (tag, sender) = (&submission.tag, &submission.sender);
                let way = self.ways.get(&(tag.clone(), recipient.clone()));
                let bounced = way.is_some_and(|way| way.bounced > 0) && accounts.contains(sender);
                let is_told = told.contains(&(tag.clone(), recipient.clone(), sender.clone()));
                if bounced && !is_told && !touched.contains(tag) {
                    self.wrong.push(format!("{tag} for {recipient} bounced, and {sender} was not told"));
                }
            }
        }
    }

    fn told(&mut self) -> Told {
        let evidence = self.evidence;
        let mut told = Told::new();
        let copies = evidence.servers.iter().flat_map(|kept| &kept.copies);
        for copy in copies {
            let Read::Report { about, fates, null_path } = &copy.read else { continue };
            let Some(about) = about else {
                // The oldest account of a server has postmaster's mail.
                let is_postmaster =
                    evidence.servers.iter().any(|it| it.accounts.first() == Some(&copy.account));
                if !(evidence.dead_letters && is_postmaster) {
                    let (account, id) = (&copy.account, copy.queue_id);
                    self.wrong.push(format!(
                        "a report on no letter is in the mailbox of {account}: {fates:?} {id:?}"
                    ));
                }
                continue;
            };
            if !null_path {
                self.wrong.push(format!("the report on {about} has a reverse-path"));
            }
            let failed = fates.iter().filter(|(_, action)| action == "failed");
            for recipient in failed.flat_map(|(recipient, _)| evidence.aliases.targets(recipient)) {
                told.insert((about.clone(), recipient, copy.account.clone()));
            }
        }
        told
    }

    /// Letters of which a report met an operator, who threw it away or sent it where it does not belong.
    fn touched(&self) -> BTreeSet<Tag> {
        let histories: BTreeMap<_, _> =
            self.evidence.servers.iter().flat_map(|kept| &kept.histories).collect();
        let mut touched = BTreeSet::new();
        for events in histories.values() {
            let original = events.iter().find_map(|(_, event)| match event {
                Event::ReportOn { original } => histories.get(original),
                _ => None,
            });
            let letter = original.and_then(|events| events.iter().find_map(|(_, event)| letter_of(event)));
            let Some((tag, _)) = letter else { continue };
            // From host to host, as each calls it.
            let mut ways = vec![*events];
            while let Some(events) = ways.pop() {
                for (_, event) in events {
                    match event {
                        Event::Operator { action, .. } if is_far(action) => drop(touched.insert(tag.clone())),
                        Event::Delivered { reply: Some(reply), .. } => {
                            let name = reply.rsplit(' ').next().and_then(|name| name.parse().ok());
                            ways.extend(name.and_then(|name: QueueId| histories.get(&name)).copied());
                        }
                        _ => {}
                    }
                }
            }
        }
        touched
    }
}

/// An order after which a report may not get to whom it is for.
fn is_far(action: &str) -> bool {
    matches!(action, "delete" | "bounce") || action.starts_with("reroute to")
}
