//! `trace` and `why`.

use clap::Args;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, HistoryView},
};

#[derive(Debug, Args)]
pub struct Trace {
    /// A queue ID, an address (its latest messages) or a Message-ID
    #[arg(value_name = "ID|ADDRESS|MESSAGE-ID")]
    term: String,
}

#[derive(Debug, Args)]
pub struct Why {
    /// A queue ID, or an address or Message-ID for its latest message
    id: String,
}

impl Trace {
    pub fn request(self) -> AdminRequest {
        AdminRequest::Trace { term: self.term }
    }
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
            output.line(format_args!("  {}  {:9}  {}", event.at, event.kind, event.text))?;
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
