//! Who is at a terminal that takes messages now: attached over the control socket, or logged in on this machine.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use mail::{Address, terminal::Notice};
use store::StoreError;
use tokio::sync::{mpsc, oneshot};
use world::Clock;

use crate::Mta;

/// Attached terminals, in all and of one account.
const ATTACHED_MAX: usize = 256;
const ATTACHED_PER_ACCOUNT_MAX: usize = 16;
/// Messages that wait for an attached terminal.
const WAITING_MAX: usize = 16;
/// A terminal that does not take a message for this long takes none: it is stopped, or its line hangs.
const SHOW_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters in a line on a login's terminal.
const TTY_COLUMNS: usize = 79;

/// The terminals that are attached, by their account's address in lookup form.
#[derive(Debug, Default)]
pub struct Terminals(Mutex<HashMap<String, Vec<Arc<Attached>>>>);

#[derive(Debug)]
struct Attached {
    messages: mpsc::Sender<Showing>,
    /// It did not take a message in time, and nothing since.
    behind: AtomicBool,
}

/// A message for one terminal.
#[derive(Debug)]
pub struct Showing {
    pub notice: Arc<Notice>,
    shown: oneshot::Sender<()>,
}

impl Showing {
    /// False once nobody waits for it any more: the message went another way.
    pub fn is_wanted(&self) -> bool {
        !self.shown.is_closed()
    }
}

/// A terminal while it is attached.
#[derive(Debug)]
pub struct Attachment {
    mta: Arc<Mta>,
    lookup: String,
    attached: Arc<Attached>,
    messages: mpsc::Receiver<Showing>,
}

/// Why a terminal was not attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("there is no account {0}")]
    AccountUnknown(Address),
    #[error("too many terminals are attached already")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Attachment {
    /// The next message. Cancel safe.
    pub async fn next(&mut self) -> Option<Showing> {
        self.messages.recv().await
    }

    /// The message is on the terminal.
    pub fn handle_shown(&self, showing: Showing) {
        self.attached.behind.store(false, Ordering::Relaxed);
        // Who waited may have given up.
        let _ = showing.shown.send(());
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut by_account = self.mta.terminals.by_account();
        if let Some(all) = by_account.get_mut(&self.lookup) {
            all.retain(|other| !Arc::ptr_eq(other, &self.attached));
            if all.is_empty() {
                by_account.remove(&self.lookup);
            }
        }
    }
}

impl Attached {
    fn takes_messages(&self) -> bool {
        !self.behind.load(Ordering::Relaxed) && !self.messages.is_closed()
    }

    async fn show(&self, notice: Arc<Notice>, clock: &dyn Clock, deadline: Instant) -> bool {
        let (shown, is_shown) = oneshot::channel();
        if !self.takes_messages() || self.messages.try_send(Showing { notice, shown }).is_err() {
            return false;
        }
        tokio::select! {
            biased;
            shown = is_shown => shown.is_ok(),
            () = clock.sleep_until(deadline) => {
                self.behind.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

impl Terminals {
    fn of(&self, address: &Address) -> Vec<Arc<Attached>> {
        self.by_account().get(&address.to_lookup()).cloned().unwrap_or_default()
    }

    fn by_account(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Attached>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mta {
    /// Attaches a terminal to an account until the attachment is dropped.
    pub async fn attach(self: &Arc<Self>, address: &Address) -> Result<Attachment, AttachError> {
        let account = self.stores.directory.account(address).await?;
        let account = account.ok_or_else(|| AttachError::AccountUnknown(address.clone()))?;
        let lookup = account.address.to_lookup();
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let attached = Arc::new(Attached { messages: sender, behind: AtomicBool::new(false) });
        let mut by_account = self.terminals.by_account();
        let all: usize = by_account.values().map(Vec::len).sum();
        let here = by_account.get(&lookup).map_or(0, Vec::len);
        if all >= ATTACHED_MAX || here >= ATTACHED_PER_ACCOUNT_MAX {
            return Err(AttachError::TooMany);
        }
        by_account.entry(lookup.clone()).or_default().push(attached.clone());
        drop(by_account);
        Ok(Attachment { mta: self.clone(), lookup, attached, messages })
    }

    /// Whether a message for this account's terminals could be shown now.
    pub(crate) fn is_at_terminal(&self, address: &Address) -> bool {
        self.terminals.of(address).iter().any(|attached| attached.takes_messages())
            || !self.logins_of(address).is_empty()
    }

    /// Shows the message on each of the account's terminals; true once it stands on one of them.
    pub(crate) async fn show(&self, address: &Address, notice: &Arc<Notice>) -> bool {
        let deadline = self.world.clock.now() + SHOW_TIMEOUT;
        let attached = self.terminals.of(address);
        let attached =
            attached.iter().map(|attached| attached.show(notice.clone(), &*self.world.clock, deadline));
        let logins = self.logins_of(address).into_iter().map(|tty| self.show_at(tty, notice, deadline));
        let (attached, logins) = tokio::join!(join_all(attached), join_all(logins));
        attached.into_iter().chain(logins).any(|shown| shown)
    }

    async fn show_at(&self, tty: PathBuf, notice: &Notice, deadline: Instant) -> bool {
        // As write(1) does: a bell, and a line of its own to begin with.
        let text = format!("\n\u{7}{}", notice.render(TTY_COLUMNS));
        match self.world.ttys.write(&tty, &text, deadline).await {
            Ok(()) => true,
            Err(error) => {
                tracing::info!(tty = %tty.display(), %error, "a terminal did not take a message");
                false
            }
        }
    }

    /// Terminals of the system's user of that name, if the configuration has it that accounts are users.
    fn logins_of(&self, address: &Address) -> Vec<PathBuf> {
        if !self.config().send_to_ttys {
            return Vec::new();
        }
        self.world.ttys.of_login(address.local_part()).unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "the logins of this machine cannot be read");
            Vec::new()
        })
    }
}
