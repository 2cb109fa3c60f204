//! A report came back to a list: whose copy failed is in the address, and counted.

use std::sync::Arc;

use mail::{
    header,
    list::{Verp, is_automatic},
    report::{Action, read},
};
use store::{
    Batch, StoreError,
    directory::{ListAddress, ListRole, MailingList, Member},
    spool::QueueEntry,
};

use super::{Settlement, answer};
use crate::{
    Mta,
    outcome::{Fate, Success},
};

/// Members whose addresses begin alike that are looked at.
const CANDIDATES_MAX: usize = 1000;

/// What a report says of the one member it is about.
enum Verdict {
    /// With the reason as the report has it.
    Failed(String),
    /// No report of a known form; something went wrong all the same.
    Unknown,
    Harmless,
}

pub(super) async fn count(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    found: &ListAddress,
) -> Result<Settlement, StoreError> {
    let Some(member) = member(mta, found).await? else {
        return Ok(Settlement::nothing("it is about no member"));
    };
    let reason = match verdict(&super::beginning(mta, entry).await?) {
        Verdict::Failed(reason) => reason,
        Verdict::Unknown => "a report of unknown form".to_owned(),
        Verdict::Harmless => return Ok(Settlement::nothing("it tells of no failure")),
    };
    let (list, now) = (&found.list, mta.world.clock.wall());
    let bounced = member.bounced(now);
    let mut batch = Batch::new();
    mta.stores.directory.stage_member(&mut batch, list.id, &member, &bounced);
    let mut entries = Vec::new();
    if member.suspended_at.is_none() && bounced.suspended_at.is_some() {
        entries = tell_owners(mta, &mut batch, list, &bounced, &reason).await?;
    }
    let to = format!(
        "the list: bounce {} of {} for {} ({reason})",
        bounced.bounces,
        Member::BOUNCES_MAX,
        member.address
    );
    Ok(Settlement { fate: Fate::delivered(to, None, Success::Confirmed), batch, entries })
}

async fn member(mta: &Mta, found: &ListAddress) -> Result<Option<Member>, StoreError> {
    let Some(verp) = Verp::read(found.address.local_part()) else { return Ok(None) };
    let directory = &mta.stores.directory;
    let Some(seal) = directory.seal().await? else { return Ok(None) };
    for prefix in verp.prefixes() {
        let candidates = directory.members_like(found.list.id, &prefix, CANDIDATES_MAX).await?;
        let is_meant = |member: &Member| verp.is_of(&seal, found.list.id.0, &member.address.to_lookup());
        if let Some(member) = candidates.into_iter().find(is_meant) {
            return Ok(Some(member));
        }
    }
    Ok(None)
}

fn verdict(message: &[u8]) -> Verdict {
    let outcomes = read::read(message).map(|bounce| bounce.recipients).unwrap_or_default();
    if let Some(failure) = outcomes.iter().find(|outcome| outcome.action == Action::Failed) {
        return Verdict::Failed(match failure.status {
            Some(status) => format!("status {status}"),
            None => "failed".to_owned(),
        });
    }
    // Absence messages come to the return address too (RFC 3834 §4), and are no failure.
    let section = message.get(..header::body_start(message)).unwrap_or(message);
    if outcomes.is_empty() && !is_automatic(section) { Verdict::Unknown } else { Verdict::Harmless }
}

async fn tell_owners(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    list: &MailingList,
    member: &Member,
    reason: &str,
) -> Result<Vec<QueueEntry>, StoreError> {
    let Ok(owners) = list.role_address(ListRole::Owner) else { return Ok(Vec::new()) };
    let paragraphs = [
        format!(
            "{} gets nothing from the list {} any more: the last {} messages to that member came back, the latest \
             with {reason}.",
            member.address, list.address, member.bounces
        ),
        format!(
            "If the address works again, the member can subscribe again, or `postrider list subscribe {} {}` lets mail \
             go on.",
            list.address, member.address
        ),
    ];
    let subject = format!("{}: a member is suspended", list.address.local_part());
    answer::stage(mta, batch, list, &owners, &subject, &paragraphs, &[]).await
}
