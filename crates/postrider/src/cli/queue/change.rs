//! What changes the queue: which messages, a dry run, progress, and what came of it.

use std::{collections::BTreeSet, io::IsTerminal, time::Duration};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mail::QueueId;
use world::World;

use super::{Pages, Selection, show};
use crate::{
    Failure,
    admin::{
        protocol::{EntryView, QueueAction, QueueRequest},
        selector::Selector,
    },
    cli::{Common, Output, block_on},
};

/// Entries that a dry run shows.
const SAMPLE_ENTRIES: usize = 10;
/// How long messages in the middle of a delivery are waited for.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
const BUSY_POLL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Args)]
pub struct Change {
    #[command(flatten)]
    selection: Selection,
    /// Every message; for commands that would change all of them this must be said
    #[arg(long)]
    all: bool,
    /// Only say how many it would be, and show some of them
    #[arg(long)]
    dry_run: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Bounce {
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Debug, Args)]
pub struct Reroute {
    #[command(flatten)]
    change: Change,
    /// Protocol of the host
    #[arg(long, requires = "host", default_value_if("host", clap::builder::ArgPredicate::IsPresent, "smtp"))]
    via: Option<Protocol>,
    /// Host to send to: a name, an address, or for LMTP unix:/PATH
    #[arg(long, group = "where_to")]
    host: Option<String>,
    /// Its port: 25, with LMTP 24
    #[arg(long, requires = "host", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Lane of one host, as `queue list` and `route` tell it; what its route says of TLS and login holds
    #[arg(long, value_name = "LANE", group = "where_to")]
    to_lane: Option<String>,
    /// Back to where the routes lead
    #[arg(long, group = "where_to")]
    reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Smtp,
    Lmtp,
}

/// What a command came to.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    shared: u64,
    untold: u64,
    busy: BTreeSet<QueueId>,
    sample: Vec<EntryView>,
}

impl Bounce {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        self.change.run(common, QueueAction::Bounce, output)
    }
}

impl Reroute {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let lane = match (&self.host, &self.to_lane, self.reset) {
            (Some(host), ..) => Some(self.lane_of(host)),
            (None, Some(lane), _) => Some(lane.clone()),
            (None, None, true) => None,
            (None, None, false) => {
                return Err(Failure::usage(
                    "say where to: --host, --to-lane, or --reset for back to the routes",
                ));
            }
        };
        self.change.carry_out(common, QueueAction::Reroute, lane, output)
    }

    fn lane_of(&self, host: &str) -> String {
        let lmtp = self.via == Some(Protocol::Lmtp);
        let port = self.port.unwrap_or(if lmtp { 24 } else { 25 });
        let host = mta::route::NextHost {
            host: host.to_owned(),
            port,
            tls: mta::route::RouteTls::Opportunistic,
            login: None,
            lmtp,
        };
        host.lane().0.to_string()
    }
}

impl Change {
    pub fn run(self, common: &Common, action: QueueAction, output: &mut Output) -> Result<(), Failure> {
        self.carry_out(common, action, None, output)
    }

    fn carry_out(
        self,
        common: &Common,
        action: QueueAction,
        lane: Option<String>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let Self { selection, all, dry_run, reason } = self;
        let selector = Selector::from(selection);
        if selector.is_all() && !all && action != QueueAction::Retry {
            return Err(Failure::usage(
                "say which messages: IDs, --sender, --recipient, --domain, --lane, --older-than, --younger-than, \
                 --status, or --all",
            ));
        }
        let by_id = !selector.ids.is_empty();
        let request = QueueRequest { action, selector, dry_run, after: None, limit: None, reason, lane };
        let tally = block_on(tally(common, request))?;
        tally.show(action, dry_run, output)?;
        if by_id && tally.count == 0 && tally.busy.is_empty() {
            return Err(Failure::new(
                "no entry of these IDs is in a state for that; `postrider queue show ID` tells it",
            ));
        }
        if tally.busy.is_empty() { Ok(()) } else { Err(Failure::new("not all of them could be changed")) }
    }
}

async fn tally(common: &Common, request: QueueRequest) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let (progress, clock) = (progress(request.action), World::system().clock);
    let mut pages = Pages::open_to_change(common, request).await?;
    tally.take_all(&mut pages, &progress).await?;
    // What is being delivered is settled soon, or comes back to the queue.
    let polls = BUSY_PATIENCE.as_millis() / BUSY_POLL.as_millis();
    for _ in 0..polls {
        if tally.busy.is_empty() {
            break;
        }
        progress.set_message("; waiting for deliveries to end");
        clock.sleep_until(clock.now() + BUSY_POLL).await;
        pages.begin_again(std::mem::take(&mut tally.busy).into_iter().collect());
        tally.take_all(&mut pages, &progress).await?;
    }
    progress.finish_and_clear();
    pages.close().await?;
    Ok(tally)
}

fn progress(action: QueueAction) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!("{{spinner}} {{pos}} {}{{msg}}, {{elapsed}}", done(action));
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

fn done(action: QueueAction) -> &'static str {
    match action {
        QueueAction::List | QueueAction::Count | QueueAction::Show => "listed",
        QueueAction::Retry => "due now",
        QueueAction::Hold => "held",
        QueueAction::Release => "released",
        QueueAction::Reroute => "rerouted",
        QueueAction::Bounce => "bounced",
        QueueAction::Delete => "deleted",
    }
}

impl Tally {
    async fn take_all(&mut self, pages: &mut Pages, progress: &ProgressBar) -> Result<(), Failure> {
        while let Some(mut page) = pages.next().await? {
            self.count += page.count;
            self.shared += page.shared;
            self.untold += page.untold;
            self.busy.extend(page.busy);
            page.entries.truncate(SAMPLE_ENTRIES - self.sample.len());
            self.sample.append(&mut page.entries);
            progress.set_position(self.count);
        }
        Ok(())
    }

    fn show(&self, action: QueueAction, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
        let Self { count, shared, untold, busy, sample } = self;
        if output.is_json() {
            let busy: Vec<String> = busy.iter().map(ToString::to_string).collect();
            return output.value(&serde_json::json!({
                "count": count, "shared": shared, "untold": untold, "busy": busy, "dry_run": dry_run, "sample": sample,
            }));
        }
        let entries = |count: u64| if count == 1 { "entry" } else { "entries" };
        let would = if dry_run { "would be " } else { "" };
        output.line(format_args!("{count} {} {would}{}", entries(*count), done(action)))?;
        if *shared > 0 {
            output.line(format_args!(
                "{shared} left alone because others are among their recipients; use --id for them"
            ))?;
        }
        if *untold > 0 {
            output.line(format_args!(
                "of these {untold} without a report: nobody is told about a report, nor who wants none"
            ))?;
        }
        if !busy.is_empty() {
            output
                .line(format_args!("{} left alone because they are being delivered right now", busy.len()))?;
        }
        sample.iter().try_for_each(|entry| show::line(entry, output))?;
        let rest = count.saturating_sub(sample.len() as u64);
        if dry_run && rest > 0 && !sample.is_empty() {
            output.line(format_args!("… and {rest} more"))
        } else {
            Ok(())
        }
    }
}
