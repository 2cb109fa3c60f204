//! Messages that we write ourselves, to one address, from the null reverse-path: reports, and answers of lists.

use bytes::Bytes;
use mail::{
    Address, Body, ForwardPath, MailParameters, Notify, QueueId, RcptParameters, ReversePath, Timestamp,
};
use store::StoreError;

use crate::{
    Config, Mta,
    accept::{Acceptance, AcceptedRecipient, Origin},
    forward,
    route::Destination,
};

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
    // RFC 3461 §6.1: nobody is to be told about a report.
    let rcpt = RcptParameters { notify: Some(Notify::NEVER), ..RcptParameters::default() };
    Ok(Some(AcceptedRecipient::new(to.clone(), rcpt, ways)))
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
