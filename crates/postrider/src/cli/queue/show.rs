//! Entries for people.

use crate::{
    Failure,
    admin::protocol::EntryView,
    cli::{Output, output::octets},
};

/// When the next try is due, or what has to happen first.
fn next(entry: &EntryView, held: &str) -> String {
    match (&entry.next_attempt_at, &entry.waits_for, &entry.held_until) {
        (Some(at), ..) => at.clone(),
        (None, Some(whom), _) => format!("waits for {whom}"),
        (None, None, Some(until)) => format!("until {until}"),
        (None, None, None) => held.to_owned(),
    }
}

pub fn line(entry: &EntryView, output: &mut Output) -> Result<(), Failure> {
    let next = next(entry, "until released");
    output.line(format_args!(
        "{}  {:7}  {:>9}  {next}  <{}> -> {}",
        entry.id,
        entry.status,
        octets(entry.bytes),
        entry.sender,
        entry.recipients.join(", ")
    ))?;
    let site = entry.waits_for_site.as_ref().map(|site| format!("waits for {site}"));
    match site.as_ref().or(entry.last_error.as_ref()) {
        Some(error) => output.line(format_args!("               {error}")),
        None => Ok(()),
    }
}

pub fn whole(entry: &EntryView, output: &mut Output) -> Result<(), Failure> {
    let mut field = |name: &str, value: &str| output.line(format_args!("{name:12} {value}"));
    field("id", &entry.id)?;
    field("status", &entry.status)?;
    field("sender", &format!("<{}>", entry.sender))?;
    for recipient in &entry.recipients {
        field("recipient", recipient)?;
    }
    field("size", &octets(entry.bytes))?;
    let chosen = if entry.rerouted { ", chosen by an operator" } else { "" };
    field("lane", &format!("{}{chosen}", entry.lane))?;
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
    details(entry, output)?;
    output.line(format_args!("{:12} postrider trace {}", "history", entry.id))?;
    output.line("")
}

fn details(entry: &EntryView, output: &mut Output) -> Result<(), Failure> {
    let Some(details) = &entry.details else { return Ok(()) };
    if let Some(at) = &details.gives_up_at {
        output.line(format_args!("{:12} {at}", "given up"))?;
    }
    details.settled.iter().try_for_each(|what| output.line(format_args!("{:12} {what}", "so far")))?;
    details.header.iter().try_for_each(|line| output.line(format_args!("{:12} {line}", "header")))
}
