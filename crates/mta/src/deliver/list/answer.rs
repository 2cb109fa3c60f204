//! What a list writes itself.

use std::sync::Arc;

use mail::{Address, list::Answer};
use store::{
    Batch, StoreError,
    directory::{ListRole, MailingList},
    spool::QueueEntry,
};

use crate::{Mta, accept, notice};

/// Adds a message of the list to the batch; returns its entries. None if the address leads nowhere.
pub(super) async fn stage(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    list: &MailingList,
    to: &Address,
    subject: &str,
    paragraphs: &[String],
    original: &[u8],
) -> Result<Vec<QueueEntry>, StoreError> {
    let now = mta.world.clock.wall();
    let config = mta.config();
    let recipient = notice::recipient(mta, &config, to, now).await?;
    let (Some(recipient), Ok(from)) = (recipient, list.role_address(ListRole::Request)) else {
        tracing::warn!(list = %list.address, "an answer of the list has nowhere to go");
        return Ok(Vec::new());
    };
    let queue_id = mta.queue_ids.next(now);
    let id = format!("{queue_id}@{}", config.hostname);
    let message = Answer { from: &from, to, subject, paragraphs, id, at: now, original }.write();
    let smtputf8 = !to.is_ascii() || !from.is_ascii();
    let accepted = notice::acceptance(mta, queue_id, now, "list", recipient, message, smtputf8).await?;
    Ok(accept::add_to_batch(mta, batch, accepted))
}
