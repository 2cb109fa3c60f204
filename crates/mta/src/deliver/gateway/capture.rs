//! Mail that is kept for looking at, and reaches nobody it is for.

use std::sync::Arc;

use store::spool::{QueueEntry, QueuedRecipient};

use crate::{
    Mta,
    deliver::local,
    outcome::{Fate, Success, Trouble},
    route::gateway::Capture,
};

pub(super) async fn deliver(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    capture: &Capture,
) -> Fate {
    let account = match mta.stores.directory.account(&capture.mailbox).await {
        Ok(Some(account)) => account,
        Ok(None) => {
            let reason = format!("the route captures into {}, and there is no such account", capture.mailbox);
            return Fate::Deferred(Trouble::new((4, 3, 5), reason));
        }
        Err(error) => return local::unreadable(&error),
    };
    match local::deliver(mta, entry, &local::Content::default(), recipient, &account).await {
        // Nobody is told that it arrived: it did not.
        Fate::Delivered { to, reply, append, .. } => {
            let to = format!("nobody: captured into {to}");
            Fate::Delivered { to, reply, append, success: Success::Confirmed }
        }
        other => other,
    }
}
