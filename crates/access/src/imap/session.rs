//! One connection: what the protocol machine asks for is done here.

use std::{future, io, sync::Arc, time::Instant};

use mail::Right;
use proto::{
    imap::{
        command::Tagged,
        response::{Code, Status},
        sequence::SequenceSet,
        server::{Config, Event, Server},
    },
    machine::{Machine, Step},
};
use store::{Mailboxes, directory::Account, mailbox::Quota};

use super::{
    ImapService, append::Append, fetch::FetchWork, notify::Notifier, refusal::Refusal, select::Selected,
    urlauth::UrlWork,
};
use crate::connection::{Connection, Woken};

/// Octets of answers that may wait to be written before the session goes on with a command.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Session {
    pub(super) service: Arc<ImapService>,
    pub(super) machine: Server,
    pub(super) connection: Connection,
    /// Who has logged in.
    pub(super) account: Option<Box<Account>>,
    pub(super) selected: Option<Box<Selected>>,
    /// The command under way. What is large is boxed: a session rarely has it.
    work: Option<Work>,
    pub(super) append: Option<Box<Append>>,
    idling: bool,
    pub(super) notifier: Option<Box<Notifier>>,
    /// When a client that waits for a command is told how far it has come.
    pub(super) progress_due: Instant,
    /// The longest message that is taken.
    pub(super) append_bytes_max: u64,
}

/// What is left to do of a command.
enum Work {
    Fetch(Box<FetchWork>),
    FetchUrls(Box<UrlWork>),
    /// The client hears what changed meanwhile, and then how the command went.
    Ending(Box<Status>),
    /// It hears more of new messages before that (RFC 5465 §5.2).
    Arrivals(Box<FetchWork>, Box<Status>),
}

/// What a command comes to.
pub(super) enum Next {
    Done(Status),
    Fetch(Box<FetchWork>),
    FetchUrls(Box<UrlWork>),
    /// Until the client says otherwise.
    Idle,
}

impl Session {
    pub(super) fn new(service: Arc<ImapService>, config: Config, connection: Connection) -> Self {
        let append_bytes_max = config.append_bytes_max;
        let now = service.clock.now();
        let mut machine = Server::new(config);
        machine.set_channel(connection.channel(service.logins.takes_tokens()));
        Self {
            service,
            machine,
            connection,
            account: None,
            selected: None,
            work: None,
            append: None,
            idling: false,
            notifier: None,
            progress_due: now,
            append_bytes_max,
        }
    }

    /// Cheap to clone; so that no future borrows a session, which is not for two threads.
    pub(super) fn mailboxes(&self) -> Mailboxes {
        self.service.stores.mailboxes.clone()
    }

    /// Futures that are large and seldom needed are boxed, so that a waiting session stays small.
    pub(super) async fn run(mut self) {
        loop {
            let done = match self.machine.poll(self.service.clock.now()) {
                Step::Event(event) => {
                    Box::pin(self.answer(event)).await;
                    Ok(())
                }
                Step::Write(octets) => Box::pin(self.connection.write(&octets)).await,
                Step::NeedInput => self.wait().await,
                Step::StartTls => {
                    let tokens = self.service.logins.takes_tokens();
                    Box::pin(self.connection.start_tls(&mut self.machine, tokens)).await;
                    Ok(())
                }
                Step::Close => break,
            };
            if let Err(error) = done {
                tracing::debug!(client = %self.connection.peer().ip(), %error, "the IMAP connection broke");
                return;
            }
        }
        Box::pin(self.connection.close()).await;
    }

    /// Waits for octets, the deadline or shutdown; while the client idles, for changes of its mailbox too, and for what it
    /// wants to be notified of, unless a message is coming in.
    async fn wait(&mut self) -> io::Result<()> {
        if self.idling && self.selected.as_ref().is_some_and(|selected| selected.view.has_news()) {
            return if self.tell_news() { Box::pin(self.tell_arrivals()).await } else { Ok(()) };
        }
        let at_once = self.idling || self.told_at_once().is_some();
        let watched = self.selected.as_ref().filter(|_| at_once && self.append.is_none());
        let notifier = self.notifier.as_ref().filter(|_| self.append.is_none());
        let mailbox_changed = async {
            match watched {
                Some(selected) => selected.watch.changed(&*self.service.clock).await,
                None => future::pending().await,
            }
        };
        let notified = async {
            match notifier {
                Some(notifier) => notifier.changed().await,
                None => future::pending().await,
            }
        };
        let changed = async {
            tokio::select! {
                biased;
                () = mailbox_changed => {}
                () = notified => {}
            }
        };
        let woken = self.connection.wait(&mut self.machine, changed).await?;
        if self.connection.shutdown_seen() {
            self.machine.handle_shutdown();
        }
        if woken == Woken::Other {
            Box::pin(self.hear()).await?;
        }
        Ok(())
    }

    /// Something has changed while no command is under way.
    async fn hear(&mut self) -> io::Result<()> {
        self.refresh().await;
        self.leave_if_gone();
        if self.notifier.is_some() {
            self.tell_at_once().await?;
            self.look_around().await?;
        }
        Ok(())
    }

    async fn answer(&mut self, event: Event) {
        match event {
            Event::Authenticate(credentials) => self.log_in(&credentials).await,
            Event::ScramVerifier(user) => self.find_verifier(&user).await,
            Event::Scram(outcome) => self.finish_scram(&outcome).await,
            Event::Token(token) => self.log_in_by_token(&token).await,
            Event::External(authorization_id) => self.log_in_externally(&authorization_id).await,
            Event::Command(tagged) => self.begin(tagged).await,
            Event::More => self.go_on().await,
            Event::IdleEnded => {
                self.idling = false;
                self.end(Status::ok("idle no more")).await;
            }
            Event::Append(event) => self.take_append(event).await,
            Event::Unauthenticate => {
                // RFC 8437 §3
                (self.account, self.selected) = (None, None);
                self.stop_notifying();
                self.machine.answer_unauthenticated();
            }
            Event::StartCompression => {
                self.connection.compress();
                self.machine.handle_compression_started();
            }
        }
    }

    async fn begin(&mut self, tagged: Tagged) {
        self.restart_progress();
        if let Some(selected) = &mut self.selected {
            selected.speaks_uid = false;
        }
        if let Err(error) = self.renew_rights().await {
            return self.end(Refusal::from(error).into_status()).await;
        }
        match self.carry_out(tagged).await {
            Ok(Next::Done(status)) => self.end(status).await,
            Ok(Next::Fetch(fetch)) => {
                self.work = Some(Work::Fetch(fetch));
                self.go_on().await;
            }
            Ok(Next::FetchUrls(urls)) => {
                self.work = Some(Work::FetchUrls(urls));
                self.go_on().await;
            }
            Ok(Next::Idle) => {
                self.idling = true;
                // What changed since the last command.
                self.refresh().await;
            }
            Err(refusal) => self.end(refusal.into_status()).await,
        }
    }

    async fn go_on(&mut self) {
        let Some(mut work) = self.work.take() else { return };
        match &mut work {
            Work::Fetch(fetch) => match self.fetch_on(fetch).await {
                Ok(Some(status)) => self.end(status).await,
                Ok(None) => self.work = Some(work),
                Err(refusal) => self.end(refusal.into_status()).await,
            },
            Work::FetchUrls(urls) => match self.fetch_urls_on(urls).await {
                Ok(Some(status)) => self.end(status).await,
                Ok(None) => self.work = Some(work),
                Err(refusal) => self.end(refusal.into_status()).await,
            },
            Work::Arrivals(fetch, status) => {
                if let Ok(None) = self.fetch_on(fetch).await {
                    self.work = Some(work);
                } else {
                    self.machine.complete(status);
                    self.leave_if_gone();
                }
            }
            Work::Ending(status) => {
                if !self.tell_news() {
                    self.work = Some(work);
                } else if let Some(arrivals) = self.take_arrivals() {
                    let status = std::mem::replace(&mut **status, Status::ok(""));
                    self.work = Some(Work::Arrivals(arrivals, Box::new(status)));
                } else {
                    self.machine.complete(status);
                    self.leave_if_gone();
                }
            }
        }
    }

    /// The last of a command: the client hears what else has changed, and how it went.
    pub(super) async fn end(&mut self, status: Status) {
        self.refresh().await;
        self.work = Some(Work::Ending(Box::new(status)));
        Box::pin(self.go_on()).await;
    }

    pub(super) fn account(&self) -> Result<&Account, Refusal> {
        self.account.as_deref().ok_or_else(|| Refusal::bad("log in first"))
    }

    /// What an account may hold: as it is now, not as it was at the login.
    pub(super) async fn quota(&mut self, account: &Account) -> Result<Quota, Refusal> {
        let now = self.service.stores.directory.account(&account.address).await?;
        Ok(now.as_ref().unwrap_or(account).quota())
    }

    pub(super) fn selected(&mut self) -> Result<&mut Selected, Refusal> {
        let selected = self.selected.as_deref_mut();
        let selected = selected.ok_or_else(|| Refusal::bad("select a mailbox first"))?;
        if !selected.rights.has(Right::Read) {
            return Err(Refusal::no(Code::NonExistent, "the mailbox is not there any more"));
        }
        Ok(selected)
    }

    /// The messages that a command names, by UID.
    pub(super) fn resolve(&mut self, set: &SequenceSet, by_uid: bool) -> Result<Vec<u32>, Refusal> {
        let selected = self.selected()?;
        selected.speaks_uid = by_uid;
        let uids = selected.view.resolve(set, by_uid, &selected.saved);
        uids.map_err(|_| Refusal::bad("there is no message of that number"))
    }
}
