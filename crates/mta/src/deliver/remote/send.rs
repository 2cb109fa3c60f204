//! One message over an open connection, in as many transactions as the server's limits ask for.

use std::{collections::HashSet, sync::Arc, time::Instant};

use mail::{MailParameters, Recipient, Reply, ReversePath, Timestamp};
use proto::smtp::client::{Cause, Event, Failure, Missing, Outcome, RecipientOutcome, Stage, Transaction};
use store::spool::QueueEntry;

use super::{
    connect::Connection,
    promises::{self, Weighed},
    trail::{Span, Trail},
};
use crate::{
    Mta, bounce,
    deliver::content::Content,
    outcome::{Fate, Success, Trouble},
    planted::Planted,
};

/// What an attempt says of the site, whatever became of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SiteWord {
    Nothing,
    /// A transaction came to its end.
    Served,
    /// It has too much.
    Strained(String),
    /// It broke the connection before it took MAIL.
    Lost(String),
    /// It could not be reached, but others have connections to it: the message may go over one of those.
    Busy,
}

/// What came of it.
pub(super) struct Sent {
    /// One for each recipient of the entry; none where the server's limits left it over.
    pub(super) fates: Vec<Option<Fate>>,
    /// The last word, for the history.
    pub(super) summary: String,
    /// The connection broke before the server took anything.
    pub(super) untouched: bool,
    /// What the site showed itself to be.
    pub(super) site: SiteWord,
    /// The server announced BDAT and did not know it.
    pub(super) chunking_refused: bool,
    /// What is left over may go over another connection at once (RFC 9422 §5).
    pub(super) other_session: bool,
    /// The host took the message for some, and the others have their turn once that is noted.
    pub(super) goes_on: bool,
    /// What the sender asked for and the host does not know.
    pub(super) dropped: Vec<&'static str>,
}

impl Sent {
    /// The same for every recipient that has no fate yet.
    pub(super) fn nothing(mut fates: Vec<Option<Fate>>, fate: &Fate) -> Self {
        let summary = match fate {
            Fate::Deferred(trouble) | Fate::Failed(trouble) => trouble.reason.clone(),
            Fate::Delivered { to, .. } => to.clone(),
        };
        fates.iter_mut().filter(|slot| slot.is_none()).for_each(|slot| *slot = Some(fate.clone()));
        Self {
            fates,
            summary,
            untouched: true,
            site: SiteWord::Nothing,
            chunking_refused: false,
            other_session: false,
            goes_on: false,
            dropped: Vec::new(),
        }
    }

    /// How many recipients are left over.
    pub(super) fn open(&self) -> usize {
        self.fates.iter().filter(|fate| fate.is_none()).count()
    }

    pub(super) fn into_fates(self) -> Vec<Fate> {
        let trouble = || Trouble::new((4, 5, 3), "the host took no more recipients for now");
        self.fates.into_iter().map(|fate| fate.unwrap_or_else(|| Fate::Deferred(trouble()))).collect()
    }
}

/// The recipients without a fate go into the next transaction.
struct Progress<'a> {
    entry: &'a QueueEntry,
    reverse_path: ReversePath,
    fates: Vec<Option<Fate>>,
    mail: MailParameters,
    content: Content,
    /// In one transaction.
    recipients_max: usize,
    summary: String,
    untouched: bool,
    site: SiteWord,
    chunking_refused: bool,
    /// Indices of recipients that this session does not take.
    elsewhere: HashSet<usize>,
    other_session: bool,
    goes_on: bool,
    dropped: Vec<&'static str>,
}

/// RFC 2852 §4.1: of the time what is left. RFC 4865 §1: the holding was ours to do.
fn onward_mail(entry: &QueueEntry, now: Timestamp) -> MailParameters {
    let mail = entry.mail.clone();
    let deliver_by = mail.deliver_by.zip(entry.deadline).map(|(by, deadline)| by.until(deadline.at, now));
    MailParameters { deliver_by, hold: None, ..mail }
}

/// What a transaction leads to.
enum Next {
    /// Recipients are left over, or the message goes again with less demanded.
    Again,
    Done,
}

/// Sends to the recipients that have no fate yet, so many at once.
pub(super) async fn send(
    mta: &Arc<Mta>,
    connection: &mut Connection,
    (entry, fates): (&QueueEntry, Vec<Option<Fate>>),
    recipients_max: usize,
    trail: &mut Trail,
) -> Sent {
    let host = connection.link.capabilities();
    let content = match Content::prepare(mta, entry, host, connection.chunking).await {
        Ok(content) => content,
        Err(unsent) => return Sent::nothing(fates, &unsent.fate(&connection.host)),
    };
    let reverse_path = bounce::return_path(mta, entry).await.unwrap_or_else(|error| {
        tracing::warn!(id = %entry.queue_id, %error, "the return address cannot name the message now");
        entry.reverse_path.clone()
    });
    let mut progress = Progress {
        entry,
        reverse_path,
        fates,
        mail: MailParameters { body: content.body, ..onward_mail(entry, mta.world.clock.wall()) },
        content,
        recipients_max,
        summary: String::new(),
        untouched: true,
        site: SiteWord::Nothing,
        chunking_refused: false,
        elsewhere: HashSet::new(),
        other_session: false,
        goes_on: false,
        dropped: Vec::new(),
    };
    progress.keep_promises(connection);
    if progress.open().is_empty() {
        return progress.finish();
    }
    loop {
        let before = (progress.open().len(), progress.mail.clone());
        let next = transact(mta, connection, &mut progress, trail).await;
        let after = (progress.open().len(), progress.mail.clone());
        progress.other_session = !progress.elsewhere.is_empty() || connection.link.is_spent();
        let is_over = after.0 == 0 || after == before || connection.link.is_spent();
        progress.goes_on = matches!(next, Next::Again) && progress.is_partly_delivered();
        if progress.goes_on {
            return progress.finish();
        }
        if matches!(next, Next::Done) || is_over || !connection.usable {
            return progress.finish();
        }
    }
}

impl Progress<'_> {
    /// What this host cannot give is left out, or fails the recipient.
    fn keep_promises(&mut self, connection: &Connection) {
        let Weighed { dropped, failed } = promises::weigh(self.entry, connection, &mut self.mail);
        self.dropped = dropped;
        for (index, trouble) in failed {
            self.summary.clone_from(&trouble.reason);
            self.decide(index, Fate::Failed(trouble));
        }
    }

    /// Indices of recipients that have no fate yet and may get it here.
    fn open(&self) -> Vec<usize> {
        let open = self.fates.iter().enumerate().filter(|(_, fate)| fate.is_none());
        open.map(|(index, _)| index).filter(|index| !self.elsewhere.contains(index)).collect()
    }

    fn transaction(&self, open: &[usize]) -> Transaction {
        let recipients = open.iter().filter_map(|index| self.entry.recipients.get(*index));
        Transaction {
            reverse_path: self.reverse_path.clone(),
            mail: self.mail.clone(),
            recipients: recipients
                .map(|recipient| Recipient {
                    forward_path: mail::ForwardPath::Address(recipient.address.clone()),
                    rcpt: promises::onward(recipient),
                })
                .collect(),
            body_bytes: self.content.bytes,
        }
    }

    /// Some have the message, and others no fate yet.
    fn is_partly_delivered(&self) -> bool {
        let is_taken = |fate: &Option<Fate>| matches!(fate, Some(Fate::Delivered { .. }));
        self.fates.iter().any(is_taken) && self.fates.iter().any(Option::is_none)
    }

    fn decide(&mut self, index: usize, fate: Fate) {
        if let Some(slot @ None) = self.fates.get_mut(index) {
            *slot = Some(fate);
        }
    }

    fn decide_all(&mut self, open: &[usize], fate: &Fate) {
        for index in open {
            self.decide(*index, fate.clone());
        }
    }

    fn finish(self) -> Sent {
        let note = self.content.note().map(|note| format!(" ({note})"));
        Sent {
            fates: self.fates,
            summary: self.summary + note.as_deref().unwrap_or_default(),
            untouched: self.untouched,
            site: self.site,
            chunking_refused: self.chunking_refused,
            other_session: self.other_session,
            goes_on: self.goes_on,
            dropped: self.dropped,
        }
    }
}

async fn transact(
    mta: &Mta,
    connection: &mut Connection,
    progress: &mut Progress<'_>,
    trail: &mut Trail,
) -> Next {
    let mut open = progress.open();
    open.truncate(progress.recipients_max);
    let mut asked = open.clone();
    progress.content.restart();
    connection.link.send(progress.transaction(&open));
    let mut stage = (Span::Envelope, trail.now());
    loop {
        let event = connection.link.next_event().await;
        follow(trail, &mut stage, event.as_ref());
        match event {
            Some(Event::WantContent) => match progress.content.next().await {
                Ok(Some(piece)) => connection.link.push_content(&piece),
                Ok(None) => {
                    connection.link.end_content();
                    enter(trail, &mut stage, Span::Reply);
                }
                Err(error) => {
                    // Half a message must not be taken for a whole one: without its end it is void.
                    connection.usable = false;
                    let trouble = Trouble::new((4, 3, 0), format!("the message cannot be read: {error}"));
                    progress.decide_all(&open, &Fate::Deferred(trouble));
                    return Next::Done;
                }
            },
            Some(Event::Recipient { index, outcome }) => {
                progress.untouched = false;
                let Some(index) = open.get(index) else { continue };
                if let RecipientOutcome::Refused { reply, .. } = &outcome {
                    progress.summary = reply.to_string();
                }
                if outcome == RecipientOutcome::OtherSession {
                    progress.elsewhere.insert(*index);
                }
                match recipient_fate(connection, progress.entry, outcome) {
                    Some(fate) => progress.decide(*index, fate),
                    // RFC 5321 §4.5.3.1.10: not taken, so what becomes of this transaction is not about it.
                    None => asked.retain(|asked| asked != index),
                }
            }
            Some(Event::TransactionDone(outcome)) => {
                progress.untouched = false;
                progress.site = SiteWord::of(&outcome);
                let next = done(connection, progress, &asked, outcome);
                connection.usable = matches!(connection.link.next_event().await, Some(Event::Ready));
                return next;
            }
            Some(Event::Failed(failure)) => return failed(mta, connection, progress, &open, &failure),
            Some(Event::Ready) => {}
            None => {
                let failure = Failure { stage: Stage::Ready, cause: Cause::Closed, temporary: true };
                return failed(mta, connection, progress, &open, &failure);
            }
        }
    }
}

/// The stages of a transaction, as its events tell them.
fn follow(trail: &mut Trail, stage: &mut (Span, Instant), event: Option<&Event>) {
    match event {
        Some(Event::WantContent) if stage.0 == Span::Envelope => enter(trail, stage, Span::Content),
        Some(Event::TransactionDone(_) | Event::Failed(_)) | None => trail.ended(stage.0, stage.1),
        _ => {}
    }
}

fn enter(trail: &mut Trail, stage: &mut (Span, Instant), next: Span) {
    trail.ended(stage.0, stage.1);
    *stage = (next, trail.now());
}

fn failed(
    mta: &Mta,
    connection: &mut Connection,
    progress: &mut Progress<'_>,
    open: &[usize],
    failure: &Failure,
) -> Next {
    connection.usable = false;
    let is_taken = |fate: &Option<Fate>| matches!(fate, Some(Fate::Delivered { .. }));
    // Whoever has it does not get it again at once.
    progress.chunking_refused =
        matches!(failure.cause, Cause::ChunkingRefused(_)) && !progress.fates.iter().any(is_taken);
    // A server may leave an idle connection whenever it likes, by 421 too; that is not about this message.
    progress.untouched &= matches!(failure.stage, Stage::Ready | Stage::Rset | Stage::Mail);
    let says_no = matches!(&failure.cause, Cause::Reply(reply) if reply.code == 421);
    if progress.untouched {
        progress.site = SiteWord::Lost(format!("{}: {}", connection.name(), failure.cause));
    } else if says_no || failure.cause == Cause::TimedOut {
        progress.site = SiteWord::Strained(format!("{}: {}", connection.name(), failure.cause));
    }
    let mut trouble = Trouble::new((4, 4, 2), format!("{}: {}", connection.host, failure.cause));
    if let Cause::Reply(reply) = &failure.cause {
        trouble = refusal(connection, reply);
    }
    progress.summary.clone_from(&trouble.reason);
    if mta.has(Planted::TakesSilenceForYes) && failure.stage == Stage::Content {
        progress.decide_all(open, &Fate::delivered(connection.name(), None, Success::Confirmed));
    }
    progress.decide_all(open, &Fate::Deferred(trouble));
    Next::Done
}

impl SiteWord {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            // A sender that is put off is not the site's limit on us in each case, but more of the same will not help.
            Outcome::Refused { stage: Stage::Mail, reply, temporary: true } => {
                Self::Strained(reply.to_string())
            }
            Outcome::Replied(_) | Outcome::Refused { .. } | Outcome::NoRecipients | Outcome::Each => {
                Self::Served
            }
            Outcome::Spent | Outcome::Unsupported(_) => Self::Nothing,
        }
    }
}

fn recipient_fate(connection: &Connection, entry: &QueueEntry, outcome: RecipientOutcome) -> Option<Fate> {
    match outcome {
        RecipientOutcome::Refused { reply, temporary: true } => {
            Some(Fate::Deferred(refusal(connection, &reply)))
        }
        RecipientOutcome::Refused { reply, temporary: false } => {
            Some(Fate::Failed(refusal(connection, &reply)))
        }
        RecipientOutcome::TooMany(_) | RecipientOutcome::OtherSession => None,
        RecipientOutcome::Final(reply) => Some(replied(connection, entry, &reply)),
    }
}

fn done(connection: &mut Connection, progress: &mut Progress<'_>, open: &[usize], outcome: Outcome) -> Next {
    match outcome {
        Outcome::Replied(reply) => {
            progress.summary = reply.to_string();
            // Recipients that were answered apart keep their own fate.
            progress.decide_all(open, &replied(connection, progress.entry, &reply));
            Next::Again
        }
        Outcome::Refused { reply, temporary, .. } => {
            progress.summary = reply.to_string();
            let trouble = refusal(connection, &reply);
            let fate = if temporary { Fate::Deferred(trouble) } else { Fate::Failed(trouble) };
            progress.decide_all(open, &fate);
            Next::Done
        }
        Outcome::NoRecipients | Outcome::Each => Next::Again,
        Outcome::Spent => Next::Done,
        Outcome::Unsupported(missing) => progress.demand_less(connection, open, missing),
    }
}

impl Progress<'_> {
    /// The server lacks something: if the message does not truly need it, it goes without.
    fn demand_less(&mut self, connection: &Connection, open: &[usize], missing: Missing) -> Next {
        let (status, what) = match missing {
            Missing::SmtpUtf8 if self.mail.smtputf8 && !self.needs_smtputf8() => {
                self.mail.smtputf8 = false;
                return Next::Again;
            }
            Missing::RequireTls => ((5, 7, 30), "does not keep messages to TLS (REQUIRETLS)".to_owned()),
            Missing::SmtpUtf8 => ((5, 6, 7), "does not take addresses beyond ASCII (SMTPUTF8)".to_owned()),
            Missing::EightBitMime => ((5, 6, 3), "does not take 8-bit content (8BITMIME)".to_owned()),
            Missing::BinaryMime => ((5, 6, 3), "does not take binary content (BINARYMIME)".to_owned()),
            Missing::DeliverBy => (
                (5, 4, 7),
                "does not promise to return a message in the time that is left (DELIVERBY)".to_owned(),
            ),
            Missing::Size { bytes_max } => {
                ((5, 3, 4), format!("takes messages of {bytes_max} octets at most"))
            }
        };
        let trouble = Trouble::new(status, format!("the host {} {what}", connection.host));
        self.summary.clone_from(&trouble.reason);
        self.decide_all(open, &Fate::Failed(trouble));
        Next::Done
    }

    /// What the message itself needs, whatever the client said of it.
    fn needs_smtputf8(&self) -> bool {
        let entry = self.entry;
        !self.content.header_is_ascii
            || !entry.recipients.iter().all(|recipient| recipient.address.is_ascii())
            || !entry.reverse_path.address().is_none_or(mail::Address::is_ascii)
    }
}

/// Who tells of it that the host took the message.
fn success(connection: &Connection, entry: &QueueEntry) -> Success {
    let (host, capabilities) = (connection.host.clone(), connection.link.capabilities());
    let keeps_deadline = capabilities.deliver_by.is_some();
    // RFC 2033 §4.2: it is delivered, not relayed.
    if connection.lmtp && !capabilities.dsn {
        return Success::Final;
    }
    // RFC 2852 §4.1: each step if that was asked for, and that the deadline goes no further.
    match entry.mail.deliver_by {
        Some(by) if by.trace || !keeps_deadline => Success::Handed { host, keeps_deadline },
        _ if capabilities.dsn => Success::Confirmed,
        _ => Success::Unconfirmed { host },
    }
}

fn replied(connection: &Connection, entry: &QueueEntry, reply: &Reply) -> Fate {
    if reply.is_success() {
        Fate::delivered(connection.name(), Some(reply.to_string()), success(connection, entry))
    } else if reply.is_permanent() {
        Fate::Failed(refusal(connection, reply))
    } else {
        Fate::Deferred(refusal(connection, reply))
    }
}

fn refusal(connection: &Connection, reply: &Reply) -> Trouble {
    let status = reply.enhanced.map_or_else(
        || (if reply.is_permanent() { 5 } else { 4 }, 0, 0),
        |status| (status.class, status.subject, status.detail),
    );
    let mut trouble = Trouble::new(status, format!("the host {} said: {reply}", connection.name()));
    trouble.remote_mta = Some(connection.host.clone());
    trouble.diagnostic = Some(reply.transcript());
    trouble
}
