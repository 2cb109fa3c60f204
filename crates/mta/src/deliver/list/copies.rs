//! A list's message on its way to the members: a page of them is one batch, with the note of how far it has got, so that
//! each gets one copy whatever crashes when.

use std::sync::Arc;

use mail::{
    ForwardPath, Notify, OriginalRecipient, QueueId, RcptParameters, ReversePath, Timestamp, seal::Seal,
};
use store::{
    Batch, CommitError, StoreError,
    directory::{Distribution, ListRole, Member},
    ledger::{Event, Verdict},
    spool::{EntryStatus, QueueEntry, QueuedRecipient},
};

use super::Settlement;
use crate::{
    Mta, accept,
    outcome::{Fate, Success},
    route::{self, Destination, Way, local_way},
};

/// Members that are read, and at most get their copies, in one batch.
const PAGE_MEMBERS_MAX: usize = 500;
/// Entries of one page, which is one message in the queue; members that are long aliases make more than one each.
const PAGE_ENTRIES_MAX: usize = 10_000;

/// The copies of one page under a queue ID of their own.
struct Page<'a> {
    /// The list's message, whose body they share.
    entry: &'a QueueEntry,
    id: QueueId,
    now: Timestamp,
    entries: Vec<QueueEntry>,
    members: Vec<String>,
}

/// None: the entry changed under our hands.
pub(super) async fn send_on(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    mut progress: Distribution,
) -> Result<Option<Settlement>, StoreError> {
    let directory = &mta.stores.directory;
    let seal = directory.make_seal(&*mta.world.entropy).await?;
    loop {
        let is_there = directory.list(&recipient.address).await?.is_some_and(|list| list.id == progress.list);
        let after = progress.after.as_deref();
        let members = if is_there {
            directory.members(progress.list, after, PAGE_MEMBERS_MAX).await?
        } else {
            Vec::new()
        };
        let now = mta.world.clock.wall();
        let id = mta.queue_ids.next(now);
        let mut page = Page { entry, id, now, entries: Vec::new(), members: Vec::new() };
        let mut next = progress.clone();
        for member in &members {
            if page.entries.len() >= PAGE_ENTRIES_MAX {
                break;
            }
            page.add(mta, &seal, progress.list, recipient, member).await?;
            next.after = Some(member.address.to_lookup());
        }
        next.copies = next.copies.saturating_add(page.members.len() as u64);
        let mut batch = Batch::new();
        page.stage(mta, &mut batch);
        let is_last = next.after == progress.after;
        let kept = (!is_last).then_some(&next);
        directory.stage_distribution(&mut batch, entry.queue_id, Some(&progress), kept);
        if is_last {
            let to = format!("{} members", next.copies);
            let fate = Fate::delivered(to, None, Success::Confirmed);
            return Ok(Some(Settlement { fate, batch, entries: page.entries }));
        }
        mta.stores.spool.keep(&mut batch, entry);
        match mta.stores.engine.commit(batch).await {
            Ok(_) => accept::hand_over(mta, page.entries),
            Err(CommitError::Conflict(_)) => return Ok(None),
            Err(CommitError::Full) => return Err(StoreError::Full),
            Err(error) => return Err(StoreError::Io(error.to_string())),
        }
        progress = next;
        if mta.shutdown.is_given() {
            return Ok(None);
        }
    }
}

impl Page<'_> {
    /// The copies for one member: one, unless the member is an alias that leads several ways.
    async fn add(
        &mut self,
        mta: &Mta,
        seal: &Seal,
        list: store::directory::ListId,
        recipient: &QueuedRecipient,
        member: &Member,
    ) -> Result<(), StoreError> {
        if member.suspended_at.is_some() {
            return Ok(());
        }
        let lookup = member.address.to_lookup();
        let reverse_path = match &self.entry.reverse_path {
            ReversePath::Address(bounces) => mail::list::return_address(seal, list.0, bounces, &lookup),
            ReversePath::Null => None,
        };
        let reverse_path = reverse_path.map_or(ReversePath::Null, ReversePath::Address);
        let mut lanes: Vec<(Way, Vec<QueuedRecipient>)> = Vec::new();
        for way in ways(mta, recipient, member).await? {
            let queued = queued(member, &way);
            match lanes.iter_mut().find(|(known, _)| known.lane == way.lane && known.held == way.held) {
                Some((_, recipients)) if *way.lane.0 != *route::LIST_LANE => recipients.push(queued),
                _ => lanes.push((way, vec![queued])),
            }
        }
        for (way, recipients) in lanes {
            self.entries.push(self.copy(&way, recipients, reverse_path.clone()));
        }
        self.members.push(member.address.to_string());
        Ok(())
    }

    fn copy(&self, way: &Way, recipients: Vec<QueuedRecipient>, reverse_path: ReversePath) -> QueueEntry {
        let mut mail = self.entry.mail.clone();
        // RFC 6531 §3.4
        mail.smtputf8 |= !recipients.iter().all(|recipient| recipient.address.is_ascii())
            || !reverse_path.address().is_none_or(mail::Address::is_ascii);
        QueueEntry {
            queue_id: self.id,
            part: u16::try_from(self.entries.len()).unwrap_or(u16::MAX),
            lane: way.lane.clone(),
            reverse_path,
            mail,
            recipients,
            accepted_at: self.now,
            due: self.now,
            release_at: self.now,
            attempts: 0,
            status: if way.held { EntryStatus::Held } else { EntryStatus::Waiting },
            last_error: None,
            delay_told: false,
            ..self.entry.clone()
        }
    }

    fn stage(&self, mta: &Mta, batch: &mut Batch) {
        if self.entries.is_empty() {
            return;
        }
        let event = Event::Accepted {
            service: "list".to_owned(),
            client_ip: None,
            helo: None,
            tls: None,
            identity: None,
            reverse_path: self.entry.reverse_path.to_string(),
            recipients: self.members.clone(),
            bytes: self.entry.blob_bytes,
            message_id: None,
        };
        let (ledger, list) = (&mta.stores.ledger, self.entry.recipients.first());
        let list = list.map(|recipient| recipient.address.to_string()).unwrap_or_default();
        ledger.append(batch, self.id, self.now, &event);
        let verdict = Verdict {
            rule: "list".to_owned(),
            inputs: vec![("message".to_owned(), self.entry.queue_id.to_string())],
            outcome: format!("copies for members of {list}"),
        };
        ledger.append(batch, self.id, self.now, &Event::Verdicts { verdicts: vec![verdict] });
        for member in &self.members {
            ledger.index(batch, self.id, member);
        }
        for entry in &self.entries {
            mta.stores.spool.add(batch, entry);
        }
    }
}

/// Where a member's mail goes. One who is to be reached no way fails at delivery, and that is a bounce.
async fn ways(mta: &Mta, list: &QueuedRecipient, member: &Member) -> Result<Vec<Way>, StoreError> {
    let path = ForwardPath::Address(member.address.clone());
    let config = mta.config();
    let mut ways = match route::destination(&mta.stores.directory, &config.routes, &path).await? {
        Destination::Ways { ways, .. } => ways,
        _ => vec![local_way(member.address.clone())],
    };
    // An alias that leads back to the list.
    ways.retain(|way| way.address.to_lookup() != list.address.to_lookup());
    // The addresses of a list are no members; a list itself may be.
    ways.retain(|way| *way.lane.0 != *route::LIST_LANE || ListRole::of(way.address.local_part()).is_none());
    Ok(ways)
}

fn queued(member: &Member, way: &Way) -> QueuedRecipient {
    QueuedRecipient {
        address: way.address.clone(),
        original: (way.address != member.address).then(|| member.address.clone()),
        // RFC 3461 §5.2.7.3: nothing of the author's is inherited.
        rcpt: RcptParameters {
            notify: Some(Notify { success: false, failure: true, delay: false }),
            orcpt: Some(OriginalRecipient::of(&member.address)),
            ..RcptParameters::default()
        },
    }
}
