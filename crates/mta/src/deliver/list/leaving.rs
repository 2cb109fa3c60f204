//! What stands in front of one member's copy: the address that takes the member out of the list (RFC 8058). All copies
//! share one body, so it is added on delivery.

use mail::{
    header,
    list::{Verp, unsubscribe_fields, unsubscribe_token},
};
use store::{
    StoreError,
    directory::ListRole,
    spool::{QueueEntry, QueuedRecipient},
};

use crate::{Config, Mta};

/// Octets of a copy that are looked through for a field of that name.
const SECTION_BYTES_MAX: u64 = 64 * 1024;

/// The fields; empty for all that is no copy of a list, or where nobody serves their address.
pub(in crate::deliver) async fn fields(
    mta: &Mta,
    config: &Config,
    entry: &QueueEntry,
) -> Result<Vec<u8>, StoreError> {
    let (Some(base), Some(recipient)) = (&config.web_url, entry.recipients.first()) else {
        return Ok(Vec::new());
    };
    Ok(match of_copy(mta, base, entry, recipient).await? {
        // One that was sent before the address was served has such a field already.
        Some(fields) if !has_field(mta, entry).await? => fields.into_bytes(),
        _ => Vec::new(),
    })
}

/// The return address proves whose copy it is; its recipients are all one member's.
async fn of_copy(
    mta: &Mta,
    base: &str,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
) -> Result<Option<String>, StoreError> {
    let Some(bounces) = entry.reverse_path.address() else { return Ok(None) };
    let Some(verp) = Verp::read(bounces.local_part()) else { return Ok(None) };
    let directory = &mta.stores.directory;
    let Some(found) = directory.list_address(bounces).await? else { return Ok(None) };
    let Some(seal) = directory.seal().await? else { return Ok(None) };
    let member = recipient.original.as_ref().unwrap_or(&recipient.address);
    let list = &found.list;
    if found.role != ListRole::Bounces || !verp.is_of(&seal, list.id.0, &member.to_lookup()) {
        return Ok(None);
    }
    let url = format!("{base}/unsubscribe/{}", unsubscribe_token(&seal, list.id.0, member));
    Ok(Some(unsubscribe_fields(&list.address, Some(&url))))
}

async fn has_field(mta: &Mta, entry: &QueueEntry) -> Result<bool, StoreError> {
    let beginning = mta.stores.engine.blob_read(entry.blob, 0..SECTION_BYTES_MAX).await?;
    Ok(header::count(&beginning, "List-Unsubscribe") > 0)
}
