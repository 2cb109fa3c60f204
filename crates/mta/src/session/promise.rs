//! What MAIL asks for about when and how a message goes, and what of that is granted: DELIVERBY (RFC 2852), MT-PRIORITY
//! (RFC 6710), FUTURERELEASE (RFC 4865).

use mail::{DeliverBy, MailParameters, MtPriority, Reply, Timestamp};

use super::{Session, content::Facts, decide::Transaction};
use crate::policy::{priority, release};

/// What a transaction was promised.
#[derive(Debug, Default)]
pub(super) struct Promises {
    priority: Option<MtPriority>,
    /// RFC 2852 §4: the time counts from MAIL on.
    deadline: Option<Timestamp>,
}

impl Session {
    /// Judges MAIL; the reply, if that is not the usual one.
    pub(super) fn promise(&mut self, parameters: &MailParameters) -> Result<Option<Reply>, Reply> {
        let (config, at) = (self.mta.config(), self.mta.world.clock.wall());
        release::check(&config, at, parameters)?;
        let granted = parameters.priority.map(|asked| priority::granted(&config, &self.client(), asked));
        let promises =
            Promises { priority: granted, deadline: parameters.deliver_by.map(|by| by.deadline(at)) };
        let transaction = self.transaction.get_or_insert_default();
        transaction.promises = promises;
        let Some((asked, granted)) = parameters.priority.zip(granted) else { return Ok(None) };
        transaction.verdicts.extend([priority::verdict(asked, granted)]);
        Ok((asked != granted).then(|| priority::changed(granted)))
    }

    /// The parameters of MAIL as they hold from now on.
    pub(super) fn granted(
        &self,
        asked: &MailParameters,
        transaction: &mut Transaction,
        facts: &Facts,
        at: Timestamp,
    ) -> MailParameters {
        let config = self.mta.config();
        // RFC 6758 §4: what MAIL says goes before what the header says.
        let is_open = transaction.promises.priority.is_none();
        let told = facts.priority.filter(|_| is_open && priority::honours_header(&config, &self.client()));
        transaction.verdicts.extend(told.map(|told| priority::verdict(told, told).with("header", told)));
        let deadline = transaction.promises.deadline;
        MailParameters {
            priority: transaction.promises.priority.or(told),
            deliver_by: asked.deliver_by.zip(deadline).map(|(by, deadline)| left(by, deadline, at)),
            ..asked.clone()
        }
    }
}

/// What is left of a time once the content has come; if that took all of it, a second, for the deadline to be missed in.
fn left(by: DeliverBy, deadline: Timestamp, at: Timestamp) -> DeliverBy {
    let left = by.until(deadline, at);
    if by.seconds > 0 { DeliverBy { seconds: left.seconds.max(1), ..left } } else { left }
}
