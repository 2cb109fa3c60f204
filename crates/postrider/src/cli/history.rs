//! `trace` and `why`.

use std::{collections::HashSet, time::Duration};

use clap::Args;
use mail::QueueId;
use world::World;

use super::{Common, Output, block_on};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, EventView, HistoryView},
    },
};

/// How often a followed history is asked for.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub struct Trace {
    /// A queue ID, an address (its latest messages) or a Message-ID
    #[arg(value_name = "ID|ADDRESS|MESSAGE-ID")]
    term: String,
    /// Show what happens as it happens: until the message has left the queue, or for an address or Message-ID until
    /// interrupted. With --json each event is a line
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub struct Why {
    /// A queue ID, or an address or Message-ID for its latest message
    id: String,
}

impl Trace {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let data_dir = common.location.data_dir()?;
        block_on(async {
            let mut session = Session::open(&data_dir, false).await?;
            let shown = if self.follow {
                self.follow(&mut session, output).await
            } else {
                self.histories(&mut session).await.and_then(|histories| show(&histories, output))
            };
            session.close().await?;
            shown
        })
    }

    async fn histories(&self, session: &mut Session) -> Result<Vec<HistoryView>, Failure> {
        let request = AdminRequest::Trace { term: self.term.clone(), follow: self.follow };
        match session.ask(request).await? {
            AdminResponse::Histories { histories } => Ok(histories),
            _ => Err(Failure::new("the server answered with something else than a history")),
        }
    }

    async fn follow(&self, session: &mut Session, output: &mut Output) -> Result<(), Failure> {
        let clock = World::system().clock;
        let is_one = self.term.parse::<QueueId>().is_ok();
        let mut shown = HashSet::new();
        loop {
            let histories = self.histories(session).await?;
            let mut present = HashSet::new();
            for history in &histories {
                for event in &history.events {
                    let key = (history.id.clone(), event.at.clone(), event.text.clone());
                    if !shown.contains(&key) && !present.contains(&key) {
                        show_followed(&history.id, event, output)?;
                    }
                    present.insert(key);
                }
            }
            shown = present;
            let is_over = is_one && histories.iter().all(|history| history.queued.is_empty());
            if is_over || !session.is_running() {
                return Ok(());
            }
            clock.sleep_until(clock.now() + FOLLOW_INTERVAL).await;
        }
    }
}

fn show_followed(id: &str, event: &EventView, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&serde_json::json!({
            "id": id, "at": event.at, "kind": event.kind, "text": event.text, "details": event.details
        }));
    }
    show_event(&format!("{id}  "), event, output)
}

/// The event's line, and its notes below the text.
fn show_event(before: &str, event: &EventView, output: &mut Output) -> Result<(), Failure> {
    let head = format!("{before}{}  {:9}  ", event.at, event.kind);
    output.line(format_args!("{head}{}", event.text))?;
    let indent = head.chars().count() + 2;
    event.notes.iter().try_for_each(|note| output.line(format_args!("{:indent$}{note}", "")))
}

impl Why {
    pub fn request(self) -> AdminRequest {
        AdminRequest::Why { id: self.id }
    }
}

pub fn show(histories: &[HistoryView], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&histories);
    }
    for history in histories {
        output.line(&history.id)?;
        for event in &history.events {
            show_event("  ", event, output)?;
        }
        for entry in &history.queued {
            let next = match (&entry.next_attempt_at, &entry.waits_for) {
                (_, Some(whom)) => format!("waits to be picked up by {whom}"),
                (Some(at), None) => format!("next try at {at}"),
                (None, None) => "held until released".to_owned(),
            };
            output.line(format_args!("  in the queue for {}: {next}", entry.recipients.join(", ")))?;
        }
    }
    Ok(())
}

pub fn show_why(sentence: &str, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.value(&serde_json::json!({ "why": sentence }))
    } else {
        output.line(sentence)
    }
}
