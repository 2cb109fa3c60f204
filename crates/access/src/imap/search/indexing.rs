//! Makes the index that searches ask, behind the sessions: one account at a time, and never with more than half a processor.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use store::{
    CommitError, Mailboxes, SearchIndex, StoreError, Stores,
    mailbox::{AccountId, MailboxId, StoredMessage, Uid},
    search_index::{BlockBuilder, BlockInfo, ContentId, Pending, Revision},
};
use world::{Clock, Shutdown};

use super::parts::index_texts;

/// Messages that are in no block before one is made of them.
const PENDING_MIN: u64 = 64;
const PAGE_MESSAGES: usize = 200;
/// From the start to the first look at all accounts.
const FIRST_SWEEP_AFTER: Duration = Duration::from_mins(2);
/// From one look to the next, if there is something new.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);
/// Work between rests, which are as long.
const BUSY_MAX: Duration = Duration::from_millis(20);

/// Indexes messages for SEARCH.
#[derive(Debug)]
pub struct SearchIndexer {
    mailboxes: Mailboxes,
    index: SearchIndex,
    pace: Pace,
    pub(super) pending_min: u64,
}

type Due<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

struct Pace {
    clock: Arc<dyn Clock>,
    busy_since: Instant,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").field("busy_since", &self.busy_since).finish_non_exhaustive()
    }
}

impl Pace {
    async fn rest(&mut self) {
        let now = self.clock.now();
        let busy = now.saturating_duration_since(self.busy_since);
        if busy >= BUSY_MAX {
            self.clock.sleep_until(now + busy).await;
            self.busy_since = self.clock.now();
        }
    }
}

impl SearchIndexer {
    pub fn new(stores: &Stores, clock: Arc<dyn Clock>) -> Self {
        let pace = Pace { busy_since: clock.now(), clock };
        Self {
            mailboxes: stores.mailboxes.clone(),
            index: stores.search_index.clone(),
            pace,
            pending_min: PENDING_MIN,
        }
    }

    /// Until shutdown. Whatever is under way then is begun anew the next time.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let (index, clock) = (self.index.clone(), self.pace.clock.clone());
        let changes = index.watch();
        let mut due: Due<'_> = Box::pin(clock.sleep_until(clock.now() + FIRST_SWEEP_AFTER));
        loop {
            let wanted = tokio::select! {
                biased;
                () = shutdown.given() => return,
                account = index.wanted() => Some(account),
                () = &mut due => None,
            };
            let work = async {
                self.pace.busy_since = clock.now();
                match wanted {
                    Some(account) => _ = self.index_or_tell(account).await,
                    None => self.sweep().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.given() => return,
                () = work => {}
            }
            if wanted.is_none() {
                due = Box::pin(async {
                    clock.sleep_until(clock.now() + SWEEP_INTERVAL).await;
                    changes.changed().await;
                });
            }
        }
    }

    async fn sweep(&mut self) {
        let mut last = None;
        loop {
            match self.index.next_account(last).await {
                Ok(Some(account)) => {
                    if !self.index_or_tell(account).await {
                        return;
                    }
                    last = Some(account);
                }
                Ok(None) => return,
                Err(error) => return tracing::warn!(%error, "the accounts to be indexed cannot be read"),
            }
            self.pace.rest().await;
        }
    }

    /// False if others cannot be indexed now either.
    async fn index_or_tell(&mut self, account: AccountId) -> bool {
        match self.index(account).await {
            // It goes on with the next one.
            Ok(()) | Err(CommitError::Conflict(_)) => true,
            Err(error) => {
                tracing::warn!(account = account.0, %error, "the messages of an account cannot be indexed");
                matches!(error, CommitError::Read(_))
            }
        }
    }

    /// Makes blocks of what is in none, as far as it is worth it, and brings those there are in order.
    pub(super) async fn index(&mut self, account: AccountId) -> Result<(), CommitError> {
        let mut revision = self.index.revision(account).await?;
        let unreadable = self.index.unreadable(account).await?;
        if !unreadable.is_empty() {
            revision = self.index.drop_some(account, revision, &unreadable).await?;
        }
        loop {
            let pending = self.index.pending(account).await?;
            if pending.iter().map(Pending::messages).sum::<u64>() < self.pending_min.max(1) {
                break;
            }
            revision = self.add_block(account, revision, &pending).await?;
        }
        let index = self.index.clone();
        while let Some(alike) = SearchIndex::to_merge(&index.blocks(account).await?) {
            revision = self.rewrite(account, revision, &alike, |_| true).await?;
        }
        self.drop_dead(account, revision).await
    }

    async fn add_block(
        &mut self,
        account: AccountId,
        revision: Revision,
        pending: &[Pending],
    ) -> Result<Revision, CommitError> {
        let mut known = match self.indexed(account).await? {
            Ok(known) => known,
            Err(unsound) => return self.discard(account, revision, &[unsound]).await,
        };
        let (mut block, mut seen) = (BlockBuilder::default(), Vec::new());
        for one in pending {
            let last = self.add_mailbox(&mut block, &mut known, one).await?;
            seen.push((one.mailbox, last));
            if block.is_full() {
                break;
            }
        }
        let messages = block.messages();
        let block = tokio::task::spawn_blocking(move || block.finish()).await;
        let block = block.map_err(|error| StoreError::Io(error.to_string()))?;
        let octets = block.octets();
        let revision = self.index.replace(account, revision, &[], Some(block), &seen).await?;
        tracing::debug!(account = account.0, messages, octets, "messages were indexed");
        Ok(revision)
    }

    /// Returns up to where the mailbox was looked through.
    async fn add_mailbox(
        &mut self,
        block: &mut BlockBuilder,
        known: &mut HashSet<ContentId>,
        pending: &Pending,
    ) -> Result<Uid, StoreError> {
        let mut at = pending.seen;
        while at < pending.last {
            let next = Uid(at.0.saturating_add(1));
            let page = self.mailboxes.messages(pending.mailbox, next, PAGE_MESSAGES).await?;
            if page.is_empty() {
                return Ok(pending.last);
            }
            for message in page {
                if block.is_full() {
                    return Ok(at);
                }
                at = message.uid;
                let content = ContentId::of(&message.record);
                if known.insert(content) {
                    self.add_message(block, pending.mailbox, &message, content).await?;
                    self.pace.rest().await;
                }
            }
        }
        Ok(at)
    }

    async fn add_message(
        &self,
        block: &mut BlockBuilder,
        mailbox: MailboxId,
        message: &StoredMessage,
        content: ContentId,
    ) -> Result<(), StoreError> {
        let mut words = block.message(content);
        let outcome = index_texts(&self.mailboxes, mailbox, message, &mut words).await;
        words.finish(outcome.is_ok());
        match outcome {
            // Nobody can read it; a search says so.
            Err(StoreError::NotFound | StoreError::Damaged(_) | StoreError::Value(_)) => Ok(()),
            outcome => outcome,
        }
    }

    /// What is in the blocks, or which of them cannot be read.
    async fn indexed(&self, account: AccountId) -> Result<Result<HashSet<ContentId>, BlockInfo>, StoreError> {
        let mut known = HashSet::new();
        for block in self.index.blocks(account).await? {
            match self.index.messages(&block).await {
                Ok(messages) => known.extend(messages.into_iter().map(|message| message.content)),
                // Nobody else replaces blocks.
                Err(StoreError::Damaged(_) | StoreError::NotFound) => return Ok(Err(block)),
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(known))
    }

    /// Their messages are looked at anew.
    async fn discard(
        &self,
        account: AccountId,
        revision: Revision,
        blocks: &[BlockInfo],
    ) -> Result<Revision, CommitError> {
        tracing::warn!(account = account.0, "blocks of the search index are damaged and are made anew");
        self.index.want(account);
        let dropped: Vec<_> = blocks.iter().map(|block| block.blob).collect();
        self.index.drop_some(account, revision, &dropped).await
    }

    /// One block in the place of these. Those that are damaged go, and their messages are looked at anew.
    async fn rewrite(
        &mut self,
        account: AccountId,
        revision: Revision,
        blocks: &[BlockInfo],
        is_kept: impl Fn(ContentId) -> bool + Send + 'static,
    ) -> Result<Revision, CommitError> {
        let replaced: Vec<_> = blocks.iter().map(|block| block.blob).collect();
        let revision = match self.index.merged(blocks, is_kept).await {
            Ok(block) => self.index.replace(account, revision, &replaced, Some(block), &[]).await?,
            Err(StoreError::Damaged(_) | StoreError::NotFound) => {
                self.discard(account, revision, blocks).await?
            }
            Err(error) => return Err(error.into()),
        };
        self.pace.rest().await;
        Ok(revision)
    }

    /// Once most of what is indexed is gone, blocks of which most is gone lose it.
    async fn drop_dead(&mut self, account: AccountId, revision: Revision) -> Result<(), CommitError> {
        let blocks = self.index.blocks(account).await?;
        let indexed: u64 = blocks.iter().map(|block| u64::from(block.record.messages)).sum();
        let (held, _) = self.mailboxes.usage(account).await?;
        if indexed <= held.saturating_mul(2).saturating_add(self.pending_min) {
            return Ok(());
        }
        let living = Arc::new(self.living(account).await?);
        let mut revision = revision;
        for block in blocks {
            let messages = match self.index.messages(&block).await {
                Err(StoreError::Damaged(_) | StoreError::NotFound) => Vec::new(),
                messages => messages?,
            };
            let left = messages.iter().filter(|message| living.contains(&message.content)).count();
            if left * 2 <= messages.len() {
                let living = living.clone();
                let is_kept = move |content: ContentId| living.contains(&content);
                revision = self.rewrite(account, revision, &[block], is_kept).await?;
            }
        }
        Ok(())
    }

    async fn living(&mut self, account: AccountId) -> Result<HashSet<ContentId>, StoreError> {
        let mut living = HashSet::new();
        for mailbox in self.mailboxes.list(account).await? {
            let mut next = Uid(1);
            loop {
                let page = self.mailboxes.messages(mailbox.id, next, PAGE_MESSAGES).await?;
                let Some(last) = page.last() else { break };
                next = Uid(last.uid.0.saturating_add(1));
                living.extend(page.iter().map(|message| ContentId::of(&message.record)));
                self.pace.rest().await;
            }
        }
        Ok(living)
    }
}
