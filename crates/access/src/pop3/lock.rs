//! RFC 1939 §4: a maildrop is open in one session at a time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use store::mailbox::AccountId;

/// Which maildrops are open. Clones share one table.
#[derive(Clone, Debug, Default)]
pub(super) struct MaildropLocks {
    open: Arc<Mutex<HashSet<AccountId>>>,
}

/// Keeps a maildrop to its holder until it is dropped.
#[derive(Debug)]
pub(super) struct MaildropLock {
    locks: MaildropLocks,
    account: AccountId,
}

impl MaildropLocks {
    /// `None` while another session holds it.
    pub(super) fn try_lock(&self, account: AccountId) -> Option<MaildropLock> {
        self.table().insert(account).then(|| MaildropLock { locks: self.clone(), account })
    }

    fn table(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        // A set of numbers is whole after every operation, whoever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.locks.table().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_has_one_holder() {
        let locks = MaildropLocks::default();
        let held = locks.try_lock(AccountId(1)).unwrap();
        assert!(locks.try_lock(AccountId(1)).is_none());
        assert!(locks.try_lock(AccountId(2)).is_some());
        drop(held);
        assert!(locks.try_lock(AccountId(1)).is_some());
    }
}
