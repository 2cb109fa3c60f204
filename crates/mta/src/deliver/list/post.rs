//! A message for a list is there: it is delivered (RFC 3461 §5.2.7.3), and a new one, the list's, begins its way.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    MailParameters, RcptParameters, Return, ReversePath, header,
    list::{self, ListHeader},
};
use store::{
    Batch, PendingBlob, StoreError,
    directory::{Distribution, ListRole, MailingList, Posting, Subscription},
    spool::QueueEntry,
};

use super::Settlement;
use crate::{
    Mta,
    accept::{self, Acceptance, AcceptedRecipient, Origin},
    outcome::{Fate, Success},
    route::list_way,
};

/// Lists and mailboxes that a message has been through; lists that are members of lists end there.
const DELIVERED_TO_MAX: usize = 20;
/// Octets of a body that are copied at once.
const COPY_BYTES: u64 = 256 * 1024;

pub(super) async fn begin(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    list: &MailingList,
) -> Result<Settlement, StoreError> {
    let beginning = super::beginning(mta, entry).await?;
    let body_start = header::body_start(&beginning);
    let (section, rest) = beginning.split_at_checked(body_start).unwrap_or((&beginning, &[]));
    if rest.is_empty() && beginning.len() as u64 != entry.blob_bytes {
        return Ok(Settlement::failed((5, 3, 4), "its header section is too long for a list"));
    }
    let fields = list_header(list, mta.config().web_url.is_some());
    if let Some(refused) = refusal(entry, &fields, section) {
        return Ok(refused);
    }
    let body = rewritten(mta, entry, &fields, &beginning).await?;
    let Ok(bounces) = list.role_address(ListRole::Bounces) else {
        return Ok(Settlement::failed((5, 3, 5), "the list has no return address"));
    };
    let now = mta.world.clock.wall();
    let id = mta.queue_ids.next(now);
    let acceptance = Acceptance {
        queue_id: id,
        at: now,
        // RFC 5321 §3.9.2
        reverse_path: ReversePath::Address(bounces),
        mail: onward(&entry.mail),
        recipients: vec![AcceptedRecipient::new(
            list.address.clone(),
            RcptParameters::default(),
            vec![list_way(list.address.clone())],
        )],
        body,
        origin: Origin { service: "list", message_id: header::message_id(section), ..Origin::default() },
    };
    let mut batch = Batch::new();
    let entries = accept::add_to_batch(mta, &mut batch, acceptance);
    let progress = Distribution { list: list.id, after: None, copies: 0 };
    mta.stores.directory.stage_distribution(&mut batch, id, None, Some(&progress));
    let fate = Fate::delivered(format!("the members, as {id}"), None, Success::Listed);
    Ok(Settlement { fate, batch, entries })
}

/// RFC 3461 §5.2.7.3: what the sender asked for ends here; the list asks for the header section of what fails. All else
/// that was asked of the message holds for its copies (RFC 8689 §4.1).
fn onward(mail: &MailParameters) -> MailParameters {
    MailParameters {
        size: None,
        ret: Some(Return::Headers),
        envid: None,
        // RFC 3885 §3: no trail without ENVID.
        tracking: None,
        // RFC 2852 §4, RFC 4865 §4: they were kept when the list got it.
        deliver_by: None,
        hold: None,
        ..mail.clone()
    }
}

fn list_header(list: &MailingList, one_click: bool) -> ListHeader<'_> {
    ListHeader {
        address: &list.address,
        title: list.title.as_deref(),
        takes_posts: list.posting != Posting::Owners,
        takes_subscriptions: list.subscription == Subscription::Open,
        one_click,
    }
}

/// What RCPT could not know.
fn refusal(entry: &QueueEntry, fields: &ListHeader<'_>, section: &[u8]) -> Option<Settlement> {
    // RFC 3834 §4
    if entry.reverse_path.is_null() || list::is_automatic(section) {
        return Some(Settlement::failed((5, 7, 2), "lists take no automatic messages"));
    }
    // RFC 5321 §6.3
    if fields.has_seen(section) || header::count(section, "Delivered-To") > DELIVERED_TO_MAX {
        return Some(Settlement::failed((5, 4, 6), "it has been through this list before: a loop"));
    }
    None
}

/// One body for all members: the header section of the list, and what follows it as it was.
async fn rewritten(
    mta: &Mta,
    entry: &QueueEntry,
    fields: &ListHeader<'_>,
    beginning: &[u8],
) -> Result<PendingBlob, StoreError> {
    let mut writer = mta.stores.engine.blob_writer().await?;
    writer.write(Bytes::from(fields.rewrite(beginning))).await?;
    let mut at = beginning.len() as u64;
    while at < entry.blob_bytes {
        let chunk = mta.stores.engine.blob_read(entry.blob, at..at + COPY_BYTES).await?;
        if chunk.is_empty() {
            return Err(StoreError::NotFound);
        }
        at += chunk.len() as u64;
        writer.write(chunk).await?;
    }
    writer.finish().await
}
