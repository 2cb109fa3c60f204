//! Mailboxes of a store that was put back to an earlier state.

use mail::Timestamp;

use super::{
    Mailbox, Mailboxes,
    create::{numbering_key, seconds},
    keyspace::{account_counter, mailbox_key, uid_counter},
};
use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, KeyRange, Order},
    keys::{MAILBOX, counter},
    value::Value,
};

const PAGE_MAILBOXES_MAX: usize = 500;
/// UIDs and numbers of mailboxes that may have been given out since, in the state that is lost.
const PASSED: i64 = 1 << 16;
/// Beyond it no UIDs are passed over: there are only so many.
const UIDS_PASSED_BELOW: u64 = 1 << 31;

impl Mailboxes {
    /// Gives every mailbox a new UIDVALIDITY, above all that were given out (RFC 9051 §2.3.1.1), and passes over UIDs and
    /// numbers of mailboxes: none names something else than it did in the state that is lost. POP3 goes on by the old
    /// UIDVALIDITY, so its clients fetch nothing twice and miss nothing. Nothing else may use the store meanwhile.
    pub async fn begin_anew(&self, now: Timestamp) -> Result<usize, CommitError> {
        let (mut range, mut count, mut last) = (KeyRange::prefix(&[MAILBOX]), 0, None);
        loop {
            let found = self.engine.scan(range.clone(), Order::Ascending, PAGE_MAILBOXES_MAX).await?;
            let Some((end, _)) = found.last() else { break };
            range.start = end.successor();
            count += found.len();
            let mut batch = Batch::new();
            let mut validity = self.counter(&numbering_key()).await?.max(seconds(now).into());
            for (key, value) in found {
                validity += 1;
                let uid_validity = u32::try_from(validity).unwrap_or(u32::MAX);
                let mailbox = Mailbox { uid_validity, ..Mailbox::decode(&value)? };
                batch.check(key, Expect::Present);
                if self.counter(&uid_counter(mailbox.id)).await? < UIDS_PASSED_BELOW {
                    batch.add(uid_counter(mailbox.id), PASSED);
                }
                if last.replace(mailbox.account) != Some(mailbox.account) {
                    batch.add(account_counter(counter::MAILBOX_NUMBER, mailbox.account), PASSED);
                }
                batch.put(mailbox_key(mailbox.id), mailbox.encode());
            }
            batch.put(numbering_key(), validity.to_be_bytes().to_vec());
            self.engine.commit(batch).await?;
        }
        self.begin_outboxes_anew(now).await?;
        Ok(count)
    }
}
