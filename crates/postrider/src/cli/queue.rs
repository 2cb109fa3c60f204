//! `queue`: one set of selectors for looking and for acting.

mod change;
mod show;

use clap::{Args, Subcommand, ValueEnum};
use mail::QueueId;

use super::{Common, Output, block_on};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, Cursor, EntryView, QueueAction, QueuePage, QueueRequest},
        selector::{Selector, Status},
    },
    config::types::Span,
};
use change::{Bounce, Change, Reroute};

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// What waits, one line each
    List(Listing),
    /// How many entries
    Count(Selection),
    /// What waits, with everything known about it, and the header section
    Show(Selection),
    /// The sites that mail goes to or waits for: connections, limits, and what keeps it
    Sites,
    /// Try waiting messages now instead of at their time
    Retry(Change),
    /// Keep messages back until they are released
    Hold(Change),
    /// Let held messages go on
    Release(Change),
    /// Send messages to another host than their routes say, until they are delivered
    Reroute(Reroute),
    /// Return messages to their senders
    Bounce(Bounce),
    /// Remove messages without telling their senders
    Delete(Change),
}

/// Which messages are meant; every condition given must hold. Addresses may hold * for anything.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// Queue IDs
    #[arg(value_name = "ID")]
    positional: Vec<QueueId>,
    /// Queue ID (may be given more than once)
    #[arg(long, value_name = "ID")]
    id: Vec<QueueId>,
    /// Sender address; @DOMAIN for all of a domain, <> for delivery reports
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Recipient address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Domain of a recipient; *.DOMAIN for those below
    #[arg(long)]
    domain: Option<String>,
    /// Accepted longer ago than this, such as 4h or 2d
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    older_than: Option<Span>,
    /// Accepted less long ago than this
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    younger_than: Option<Span>,
    /// Only waiting or only held messages
    #[arg(long)]
    status: Option<StatusWord>,
    /// The lane they wait in, as the listing with --json and `show` tell it
    #[arg(long)]
    lane: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Listing {
    #[command(flatten)]
    selection: Selection,
    /// Stop after so many entries, and tell where to go on
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Go on behind this place, which a listing with --limit told
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusWord {
    Waiting,
    Held,
}

impl From<Selection> for Selector {
    fn from(selection: Selection) -> Self {
        Self {
            ids: selection.positional.into_iter().chain(selection.id).collect(),
            sender: selection.sender,
            recipient: selection.recipient,
            domain: selection.domain,
            older_than_s: selection.older_than.map(|span| span.0.as_secs()),
            younger_than_s: selection.younger_than.map(|span| span.0.as_secs()),
            lane: selection.lane,
            status: selection.status.map(|status| match status {
                StatusWord::Waiting => Status::Waiting,
                StatusWord::Held => Status::Held,
            }),
        }
    }
}

impl QueueCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List(listing) => list(common, listing, output),
            Self::Count(selection) => count(common, selection, output),
            Self::Show(selection) => show_all(common, selection, output),
            Self::Sites => super::ask(common, false, AdminRequest::QueueSites, output),
            Self::Retry(change) => change.run(common, QueueAction::Retry, output),
            Self::Hold(change) => change.run(common, QueueAction::Hold, output),
            Self::Release(change) => change.run(common, QueueAction::Release, output),
            Self::Reroute(reroute) => reroute.run(common, output),
            Self::Bounce(bounce) => bounce.run(common, output),
            Self::Delete(change) => change.run(common, QueueAction::Delete, output),
        }
    }
}

fn look(action: QueueAction, selection: Selection) -> QueueRequest {
    QueueRequest {
        action,
        selector: selection.into(),
        dry_run: false,
        after: None,
        limit: None,
        reason: None,
        lane: None,
    }
}

/// Prints page after page, so that a long queue begins to show at once.
fn list(common: &Common, listing: Listing, output: &mut Output) -> Result<(), Failure> {
    let Listing { selection, limit, after } = listing;
    let request = QueueRequest { after: after.map(Cursor), ..look(QueueAction::List, selection) };
    let mut shown = 0;
    let next = block_on(async {
        let mut pages = Pages::open(common, request).await?;
        while limit.is_none_or(|limit| shown < limit) {
            pages.at_most(limit.map(|limit| limit - shown));
            let Some(page) = pages.next().await? else { break };
            for entry in &page.entries {
                element(limit.is_some(), shown, entry, output, show::line)?;
                shown += 1;
            }
        }
        pages.close().await
    })?;
    end(limit.is_some(), shown, next, output)
}

fn show_all(common: &Common, selection: Selection, output: &mut Output) -> Result<(), Failure> {
    let mut shown = 0;
    block_on(async {
        let mut pages = Pages::open(common, look(QueueAction::Show, selection)).await?;
        while let Some(page) = pages.next().await? {
            for entry in &page.entries {
                element(false, shown, entry, output, show::whole)?;
                shown += 1;
            }
        }
        pages.close().await
    })?;
    end(false, shown, None, output)
}

type ShowEntry = fn(&EntryView, &mut Output) -> Result<(), Failure>;

fn element(
    is_part: bool,
    index: u64,
    entry: &EntryView,
    output: &mut Output,
    show: ShowEntry,
) -> Result<(), Failure> {
    match (output.is_json(), index) {
        (false, _) => show(entry, output),
        (true, 0) if is_part => {
            output.line("{\"entries\":")?;
            output.element(index, entry)
        }
        (true, _) => output.element(index, entry),
    }
}

/// Of a part it is told where the next begins.
fn end(is_part: bool, shown: u64, next: Option<Cursor>, output: &mut Output) -> Result<(), Failure> {
    match (output.is_json(), shown) {
        (true, 0) if is_part => output.value(&serde_json::json!({ "entries": [], "next": next })),
        (true, _) if is_part => {
            let next = serde_json::to_string(&next).map_err(Failure::new)?;
            output.line(format_args!("],\"next\":{next}}}"))
        }
        (true, 0) => output.line("[]"),
        (true, _) => output.line("]"),
        (false, 0) => output.line("the queue holds nothing like that"),
        (false, _) => {
            output.line(format_args!("{shown} {}", if shown == 1 { "entry" } else { "entries" }))?;
            match next {
                Some(Cursor(place)) => output.line(format_args!("there may be more: --after {place}")),
                None => Ok(()),
            }
        }
    }
}

fn count(common: &Common, selection: Selection, output: &mut Output) -> Result<(), Failure> {
    let mut count = 0;
    block_on(async {
        let mut pages = Pages::open(common, look(QueueAction::Count, selection)).await?;
        while let Some(page) = pages.next().await? {
            count += page.count;
        }
        pages.close().await
    })?;
    if output.is_json() { output.value(&serde_json::json!({ "count": count })) } else { output.line(count) }
}

/// Asks for the pages of the queue one after the other.
struct Pages {
    session: Session,
    request: QueueRequest,
    at_end: bool,
}

impl Pages {
    async fn open(common: &Common, request: QueueRequest) -> Result<Self, Failure> {
        let session = Session::open(&common.location.data_dir()?, false).await?;
        Ok(Self { session, request, at_end: false })
    }

    /// With the configuration, which reports to senders need. A mistake in it does not stop who names the data of a server
    /// that runs.
    async fn open_to_change(common: &Common, request: QueueRequest) -> Result<Self, Failure> {
        match common.location.config() {
            Ok(config) => {
                let session = Session::open_configured(&config).await?;
                Ok(Self { session, request, at_end: false })
            }
            Err(_) => Self::open(common, request).await,
        }
    }

    fn at_most(&mut self, entries: Option<u64>) {
        self.request.limit = entries.map(|entries| usize::try_from(entries).unwrap_or(usize::MAX));
    }

    async fn next(&mut self) -> Result<Option<QueuePage>, Failure> {
        if self.at_end {
            return Ok(None);
        }
        let AdminResponse::Queue(mut page) =
            self.session.ask(AdminRequest::Queue(self.request.clone())).await?
        else {
            return Err(Failure::new("the server answered something else; is it of the same version?"));
        };
        self.request.after = page.next.take();
        self.at_end = self.request.after.is_none();
        Ok(Some(page))
    }

    /// The same of these messages.
    fn begin_again(&mut self, ids: Vec<QueueId>) {
        self.request.selector.ids = ids;
        self.request.after = None;
        self.at_end = false;
    }

    /// Where it would go on.
    async fn close(self) -> Result<Option<Cursor>, Failure> {
        self.session.close().await?;
        Ok(self.request.after)
    }
}

/// Entries that came as one response.
pub fn show_entries(entries: &[EntryView], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&entries);
    }
    entries.iter().try_for_each(|entry| show::line(entry, output))
}
