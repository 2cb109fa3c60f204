//! `queue`: one set of selectors for looking and for acting.

use clap::{Args, Subcommand, ValueEnum};
use mail::QueueId;

use super::{Common, Output, block_on, output::octets};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, EntryView, QueueAction, QueuePage},
        selector::{Selector, Status},
    },
    config::types::Span,
};

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// What waits, one line each
    List(Selection),
    /// What waits, with everything known about it
    Show(Selection),
    /// The sites that mail goes to or waits for: connections, limits, and what keeps it
    Sites,
    /// Try waiting messages now instead of at their time
    Retry(Change),
    /// Keep messages back until they are released
    Hold(Change),
    /// Let held messages go on
    Release(Change),
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
    /// Sender address; <> for delivery reports
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Recipient address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Domain of a recipient
    #[arg(long)]
    domain: Option<String>,
    /// Accepted longer ago than this, such as 4h or 2d
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    older_than: Option<Span>,
    /// Only waiting or only held messages
    #[arg(long)]
    status: Option<StatusWord>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusWord {
    Waiting,
    Held,
}

#[derive(Clone, Debug, Args)]
pub struct Change {
    #[command(flatten)]
    selection: Selection,
    /// Every message; for commands that would change all of them this must be said
    #[arg(long)]
    all: bool,
    /// Only say how many it would be
    #[arg(long)]
    dry_run: bool,
}

impl From<Selection> for Selector {
    fn from(selection: Selection) -> Self {
        Self {
            ids: selection.positional.into_iter().chain(selection.id).collect(),
            sender: selection.sender,
            recipient: selection.recipient,
            domain: selection.domain,
            older_than_s: selection.older_than.map(|span| span.0.as_secs()),
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
            Self::List(selection) => list(common, selection, output, show_entry_line),
            Self::Show(selection) => list(common, selection, output, show_entry),
            Self::Sites => super::ask(common, false, AdminRequest::QueueSites, output),
            Self::Retry(change) => change.run(common, QueueAction::Retry, output),
            Self::Hold(change) => change.run(common, QueueAction::Hold, output),
            Self::Release(change) => change.run(common, QueueAction::Release, output),
            Self::Delete(change) => change.run(common, QueueAction::Delete, output),
        }
    }
}

type ShowEntry = fn(&EntryView, &mut Output) -> Result<(), Failure>;

/// Prints page after page, so that a long queue begins to show at once.
fn list(common: &Common, selection: Selection, output: &mut Output, show: ShowEntry) -> Result<(), Failure> {
    let mut shown = 0;
    pages(common, QueueAction::List, &selection.into(), false, |page| {
        for entry in &page.entries {
            if output.is_json() {
                output.element(shown, entry)?;
            } else {
                show(entry, output)?;
            }
            shown += 1;
        }
        Ok(())
    })?;
    match (output.is_json(), shown) {
        (true, 0) => output.line("[]"),
        (true, _) => output.line("]"),
        (false, 0) => output.line("the queue holds nothing like that"),
        (false, 1) => output.line("1 entry"),
        (false, _) => output.line(format_args!("{shown} entries")),
    }
}

/// Asks for the pages of the queue one after the other.
fn pages(
    common: &Common,
    action: QueueAction,
    selector: &Selector,
    dry_run: bool,
    mut take: impl FnMut(QueuePage) -> Result<(), Failure>,
) -> Result<(), Failure> {
    block_on(async {
        let mut session = Session::open(&common.location.data_dir()?, false).await?;
        let mut after = None;
        loop {
            let request = AdminRequest::Queue { action, selector: selector.clone(), dry_run, after };
            let AdminResponse::Queue(page) = session.ask(request).await? else {
                return Err(Failure::new("the server answered something else; is it of the same version?"));
            };
            after = page.next;
            take(page)?;
            if after.is_none() {
                return session.close().await;
            }
        }
    })
}

impl Change {
    fn run(self, common: &Common, action: QueueAction, output: &mut Output) -> Result<(), Failure> {
        let Self { selection, all, dry_run } = self;
        let selector = Selector::from(selection);
        if selector.is_all() && !all && action != QueueAction::Retry {
            return Err(Failure::usage(
                "say which messages: IDs, --sender, --recipient, --domain, --older-than, --status, or --all",
            ));
        }
        let by_id = !selector.ids.is_empty();
        let (mut count, mut shared) = (0, 0);
        pages(common, action, &selector, dry_run, |page| {
            count += page.count;
            shared += page.shared;
            Ok(())
        })?;
        report(action, count, shared, dry_run, output)?;
        if by_id && count == 0 {
            return Err(Failure::new(
                "no entry of these IDs is in a state for that; `postrider queue show ID` tells it",
            ));
        }
        Ok(())
    }
}

fn report(
    action: QueueAction,
    count: u64,
    shared: u64,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&serde_json::json!({ "count": count, "shared": shared, "dry_run": dry_run }));
    }
    let done = match action {
        QueueAction::List => "listed",
        QueueAction::Retry => "due now",
        QueueAction::Hold => "held",
        QueueAction::Release => "released",
        QueueAction::Delete => "deleted",
    };
    let entries = if count == 1 { "entry" } else { "entries" };
    let would = if dry_run { "would be " } else { "" };
    output.line(format_args!("{count} {entries} {would}{done}"))?;
    if shared > 0 {
        output.line(format_args!(
            "{shared} left alone because others are among their recipients; use --id for them"
        ))?;
    }
    Ok(())
}

/// Entries that came as one response.
pub fn show_entries(entries: &[EntryView], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&entries);
    }
    entries.iter().try_for_each(|entry| show_entry_line(entry, output))
}

/// When the next try is due, or what has to happen first.
fn next(entry: &EntryView, held: &str) -> String {
    match (&entry.next_attempt_at, &entry.waits_for, &entry.held_until) {
        (Some(at), ..) => at.clone(),
        (None, Some(whom), _) => format!("waits for {whom}"),
        (None, None, Some(until)) => format!("until {until}"),
        (None, None, None) => held.to_owned(),
    }
}

fn show_entry_line(entry: &EntryView, output: &mut Output) -> Result<(), Failure> {
    let next = next(entry, "until released");
    output.line(format_args!(
        "{}  {:7}  {:>9}  {next}  <{}> -> {}",
        entry.id,
        entry.status,
        octets(entry.bytes),
        entry.sender,
        entry.recipients.join(", ")
    ))?;
    match entry
        .waits_for_site
        .as_ref()
        .map(|site| format!("waits for {site}"))
        .as_ref()
        .or(entry.last_error.as_ref())
    {
        Some(error) => output.line(format_args!("               {error}")),
        None => Ok(()),
    }
}

fn show_entry(entry: &EntryView, output: &mut Output) -> Result<(), Failure> {
    let mut field = |name: &str, value: &str| output.line(format_args!("{name:12} {value}"));
    field("id", &entry.id)?;
    field("status", &entry.status)?;
    field("sender", &format!("<{}>", entry.sender))?;
    for recipient in &entry.recipients {
        field("recipient", recipient)?;
    }
    field("size", &octets(entry.bytes))?;
    field("lane", &entry.lane)?;
    field("accepted", &entry.accepted_at)?;
    field("attempts", &entry.attempts.to_string())?;
    if let Some(until) = &entry.held_until {
        field("held until", until)?;
    }
    if let (Some(by), Some(else_what)) = (&entry.deliver_by, &entry.if_late) {
        field(
            "deliver by",
            &format!("{by}, or {}", if else_what == "told" { "its sender is told" } else { "returned" }),
        )?;
    }
    if entry.priority != 0 {
        field("priority", &entry.priority.to_string())?;
    }
    field("next try", &next(entry, "when released"))?;
    if let Some(site) = &entry.waits_for_site {
        field("waits for", site)?;
    }
    field("last error", entry.last_error.as_deref().unwrap_or("none"))?;
    field("history", &format!("postrider trace {}", entry.id))?;
    output.line("")
}
