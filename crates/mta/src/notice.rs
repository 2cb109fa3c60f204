//! Messages that we write ourselves, to one address, from the null reverse-path: reports, and answers of lists.

use bytes::Bytes;
use mail::{
    Address, Body, ForwardPath, MailParameters, Notify, QueueId, RcptParameters, ReversePath, Timestamp,
};
use store::{StoreError, ledger::Event};

use crate::{
    Config, Mta,
    accept::{Acceptance, AcceptedRecipient, Origin},
    forward,
    route::{self, Destination},
};

/// The services that reports are accepted by, as histories name them.
pub(crate) const REPORT: &str = "report";
/// A report to the postmaster on mail from the null sender.
pub(crate) const DEAD_LETTER: &str = "dead letter";

/// Whether the message is such a report: of it nobody is told.
pub(crate) async fn is_dead_letter(mta: &Mta, id: QueueId) -> Result<bool, StoreError> {
    let first = mta.stores.ledger.first(id).await?;
    Ok(matches!(first, Some(Event::Accepted { service, .. }) if service == DEAD_LETTER))
}

/// Who reads the postmaster's mail; none if nobody does.
pub(crate) async fn postmaster(mta: &Mta, config: &Config) -> Result<Option<AcceptedRecipient>, StoreError> {
    let directory = &mta.stores.directory;
    let Destination::Ways { ways, .. } =
        route::destination(directory, &config.routes, &ForwardPath::Postmaster).await?
    else {
        return Ok(None);
    };
    let Some(first) = ways.first().map(|way| way.address.clone()) else { return Ok(None) };
    Ok(Some(AcceptedRecipient::new(first, untold(), ways)))
}

/// RFC 3461 §6.1: nobody is to be told about a report.
fn untold() -> RcptParameters {
    RcptParameters { notify: Some(Notify::NEVER), ..RcptParameters::default() }
}

/// How to reach the address; none if it leads nowhere.
pub(crate) async fn recipient(
    mta: &Mta,
    config: &Config,
    to: &Address,
    now: Timestamp,
) -> Result<Option<AcceptedRecipient>, StoreError> {
    let path = ForwardPath::Address(to.clone());
    let Destination::Ways { ways, .. } =
        forward::destination(&mta.stores.directory, config, &path, now).await?
    else {
        return Ok(None);
    };
    Ok(Some(AcceptedRecipient::new(to.clone(), untold(), ways)))
}

pub(crate) async fn acceptance(
    mta: &Mta,
    queue_id: QueueId,
    at: Timestamp,
    service: &'static str,
    recipient: AcceptedRecipient,
    message: Vec<u8>,
    smtputf8: bool,
) -> Result<Acceptance, StoreError> {
    let mut writer = mta.stores.engine.blob_writer().await?;
    writer.write(Bytes::from(message)).await?;
    Ok(Acceptance {
        queue_id,
        at,
        reverse_path: ReversePath::Null,
        mail: MailParameters { body: Body::EightBitMime, smtputf8, ..MailParameters::default() },
        recipients: vec![recipient],
        body: writer.finish().await?,
        origin: Origin { service, ..Origin::default() },
    })
}
