//! Events and states in the words of people.

mod attempt;

use std::{collections::HashMap, fmt::Write, time::Duration};

use mail::{ByMode, QueueId, Timestamp, TlsDemand, cause};
use mta::queue::CANCEL;
use store::{
    ledger::{Event, Verdict},
    spool::{EntryStatus, LaneId, QueueEntry},
};

/// What lanes wait for.
#[derive(Debug, Default)]
pub struct Waits {
    /// Who fetches what waits there.
    pub fetchers: HashMap<LaneId, String>,
    /// The sites that cannot be reached.
    pub sites: HashMap<LaneId, String>,
}

/// The kind of an event, and one line that tells it.
pub fn event(event: &Event) -> (&'static str, String) {
    event_dated(event, &|at| at.to_string())
}

/// The same with points in time written in this way.
pub fn event_dated(event: &Event, date: &dyn Fn(Timestamp) -> String) -> (&'static str, String) {
    match event {
        Event::Accepted { .. } => ("accepted", accepted(event)),
        Event::Verdicts { verdicts } => {
            let texts: Vec<String> = verdicts.iter().map(verdict).collect();
            ("verdict", texts.join("; "))
        }
        Event::Attempt(attempt) => ("attempt", attempt::text(attempt)),
        Event::Delivered { recipient, to, reply } => {
            let mut text = format!("delivered for {recipient} to {to}");
            append(&mut text, ": ", reply.as_deref());
            ("delivered", text)
        }
        Event::Deferred { recipients, reason, until } => {
            ("deferred", format!("{} must wait until {}: {reason}", list(recipients), date(*until)))
        }
        Event::Bounced { recipients, reason, report } => {
            ("bounced", format!("failed for good for {}: {reason}{}", list(recipients), told(*report)))
        }
        Event::Expired { recipients, reason, report } => {
            ("expired", format!("given up for {}: {reason}{}", list(recipients), told(*report)))
        }
        Event::Operator { action, recipients, .. } if action == "etrn" => {
            ("etrn", format!("a client asked with ETRN to try now, for {}", list(recipients)))
        }
        Event::Operator { action, recipients, .. } if action == "park" => {
            ("parked", format!("on hold for {}: delivering it broke off twice", list(recipients)))
        }
        Event::Operator { action, recipients, .. } if action == CANCEL => {
            ("cancelled", format!("its sender called it off, for {}", list(recipients)))
        }
        Event::Operator { action, recipients, reason } => {
            let mut text = format!("an operator's {action}, for {}", list(recipients));
            append(&mut text, ": ", reason.as_deref());
            ("operator", text)
        }
        Event::Told { recipients, action, report } => {
            ("told", format!("the sender was told by {report}: {action} for {}", list(recipients)))
        }
        Event::Promise { promise, state, detail } => ("promise", format!("{promise} {state}: {detail}")),
        Event::Returned { .. } => ("returned", returned(event)),
        Event::Suppressed { recipient, until } => (
            "suppressed",
            format!(
                "{recipient} gets no more mail until {} from senders that heed the suppression list",
                date(*until)
            ),
        ),
        Event::ReportOn { original } => ("report-on", format!("a report on {original}")),
    }
}

/// What more belongs to an event, a line each.
pub fn notes(event: &Event) -> Vec<String> {
    match event {
        Event::Attempt(attempt) => attempt::notes(attempt),
        _ => Vec::new(),
    }
}

/// `relay: the domain is hosted here (client=192.0.2.1 recipient=bob@example.org)`
pub fn verdict(verdict: &Verdict) -> String {
    let inputs: Vec<String> = verdict.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let inputs = if inputs.is_empty() { String::new() } else { format!(" ({})", inputs.join(" ")) };
    format!("{}: {}{inputs}", verdict.rule, verdict.outcome)
}

fn accepted(event: &Event) -> String {
    let Event::Accepted {
        service,
        client_ip,
        helo,
        tls,
        identity,
        reverse_path,
        recipients,
        bytes,
        message_id,
    } = event
    else {
        return String::new();
    };
    let mut text =
        format!("accepted {bytes} octets from <{reverse_path}> for {} by {service}", list(recipients));
    append(&mut text, " from ", client_ip.as_deref());
    append(&mut text, " greeting as ", helo.as_deref());
    append(&mut text, " over ", tls.as_deref());
    append(&mut text, ", authenticated as ", identity.as_deref());
    append(&mut text, ", Message-ID ", message_id.as_deref());
    text
}

/// `it came back for bob@example.org: 550 no (that is, there is no such mailbox); … is the report on it`
fn returned(event: &Event) -> String {
    let Event::Returned { recipient, action, status, diagnostic, cause, report } = event else {
        return String::new();
    };
    let said = diagnostic.as_ref().or(status.as_ref()).map(|said| format!(": {said}")).unwrap_or_default();
    if action != "failed" {
        return format!("another host reported by {report} for {recipient}: {action}{said}");
    }
    let meaning = cause.reason().map(|reason| format!(" (that is, {reason})")).unwrap_or_default();
    format!("it came back for {recipient}{said}{meaning}; {report} is the report on it")
}

fn append(text: &mut String, before: &str, more: Option<&str>) {
    if let Some(more) = more {
        text.push_str(before);
        text.push_str(more);
    }
}

fn told(report: Option<QueueId>) -> String {
    match report {
        Some(id) => format!("; {id} is the report on it"),
        None => "; nobody was to be told".to_owned(),
    }
}

/// What a host's reply within a text comes to.
fn meaning(text: &str) -> String {
    let reason = cause::classify_noted(text).and_then(|said| said.cause.reason());
    reason.map(|reason| format!(" (that is, {reason})")).unwrap_or_default()
}

/// The first few of a list.
fn list(items: &[String]) -> String {
    const SHOWN_MAX: usize = 5;
    let mut text = items.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN_MAX {
        let _ = write!(text, " and {} more", items.len() - SHOWN_MAX);
    }
    text
}

/// Where a message is, why, what happens next, what to do; none if nothing is known of it.
pub fn why(
    id: QueueId,
    entries: &[QueueEntry],
    events: &[(Timestamp, Event)],
    waits: &Waits,
    now: Timestamp,
) -> Option<String> {
    let told = Told::Operator(id);
    let mut parts: Vec<String> = entries.iter().map(|entry| queued(told, entry, waits, now)).collect();
    if parts.is_empty() {
        parts.extend(settled(events));
    }
    if parts.is_empty() {
        parts.extend(events.last().map(|(at, last)| format!("last, at {at}: {}", self::event(last).1)));
    }
    if parts.is_empty() { None } else { Some(format!("{id}: {}.", parts.join("; "))) }
}

/// What a message waits for, in the words of [`why`], for its sender, who is no operator; none if it waits no more.
pub fn waits_for(entries: &[QueueEntry], waits: &Waits, now: Timestamp) -> Option<String> {
    let parts: Vec<String> = entries.iter().map(|entry| queued(Told::Sender, entry, waits, now)).collect();
    if parts.is_empty() { None } else { Some(format!("{}.", parts.join("; "))) }
}

/// Who hears of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Who can do something about it.
    Operator(QueueId),
    /// Whose mail program may show later what it heard now.
    Sender,
}

impl Told {
    /// What there is to be done about it.
    fn hint(self, words: impl Fn(QueueId) -> String) -> String {
        match self {
            Self::Operator(id) => words(id),
            Self::Sender => String::new(),
        }
    }

    fn lane(self, lane: &LaneId) -> String {
        self.hint(|_| format!(" in lane {}", lane.0))
    }

    fn next(self, due: Timestamp, now: Timestamp) -> String {
        match self {
            _ if due <= now => "now".to_owned(),
            Self::Operator(_) => format!("in {}", span(due.since(now))),
            Self::Sender => format!("at {due}"),
        }
    }
}

fn queued(told: Told, entry: &QueueEntry, waits: &Waits, now: Timestamp) -> String {
    let recipients: Vec<String> =
        entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let (to, lane) = (list(&recipients), told.lane(&entry.lane));
    if entry.status == EntryStatus::Held {
        let last = match &entry.last_error {
            Some(error) => format!("; the last try met: {error}"),
            None => String::new(),
        };
        let hint = told.hint(|id| format!(" with `postrider queue release {id}`"));
        return format!("for {to} it is held until an operator lets it go{hint}{last}");
    }
    if entry.is_ahead_of_time(now) {
        let hint = told.hint(|id| {
            format!(
                "; `postrider queue release {id}` lets it go at once, `postrider queue delete {id}` calls it off"
            )
        });
        return format!("for {to} it is held until {} as its sender asked{hint}", entry.release_at);
    }
    if let Some(fetcher) = waits.fetchers.get(&entry.lane) {
        let last = match &entry.last_error {
            Some(error) if entry.attempts > 0 => format!(", whose last call met: {error}"),
            _ => String::new(),
        };
        return format!("for {to} it waits{lane} to be picked up by ATRN from {fetcher}{last}");
    }
    let reason = match &entry.last_error {
        Some(error) if entry.attempts == 1 => format!("because the first try met: {error}{}", meaning(error)),
        Some(error) => format!("because the last of {} tries met: {error}{}", entry.attempts, meaning(error)),
        None => "because it was not tried yet".to_owned(),
    };
    let tls = match entry.mail.tls {
        TlsDemand::Required => ", and goes to hosts that keep it to TLS only (REQUIRETLS)",
        _ => "",
    };
    if let Some(site) = waits.sites.get(&entry.lane) {
        let hint = told.hint(|id| format!(", or goes at once with `postrider queue retry {id}`"));
        return format!("for {to} it waits for {site}{hint}{}", deadline(entry, now));
    }
    let next = told.next(entry.due, now);
    let hint = told.hint(|id| format!(", or at once with `postrider queue retry {id}`"));
    format!("for {to} it waits{lane} {reason}{tls}; the next try is due {next}{hint}{}", deadline(entry, now))
}

/// What its sender said of how long it may take (RFC 2852).
fn deadline(entry: &QueueEntry, now: Timestamp) -> String {
    let Some((by, deadline)) = entry.mail.deliver_by.zip(entry.deadline) else { return String::new() };
    match by.mode {
        ByMode::Return => format!("; if it is not delivered by {} it goes back to its sender", deadline.at),
        ByMode::Notify if deadline.told || deadline.at <= now => {
            format!("; it was to be delivered by {}, and is late", deadline.at)
        }
        ByMode::Notify => format!("; if it is not delivered by {} its sender is told", deadline.at),
    }
}

/// How it ended for each recipient, the newest word on each kind of end.
pub fn settled(events: &[(Timestamp, Event)]) -> Vec<String> {
    let end = |(at, event): &(Timestamp, Event)| match event {
        Event::Delivered { recipient, to, .. } => {
            Some(format!("it was delivered for {recipient} to {to} at {at}"))
        }
        Event::Bounced { recipients, reason, report } => {
            let (to, meaning) = (list(recipients), meaning(reason));
            Some(format!("it failed for good for {to} at {at}: {reason}{meaning}{}", told(*report)))
        }
        Event::Expired { recipients, reason, report } => {
            let (to, meaning) = (list(recipients), meaning(reason));
            Some(format!("it was given up for {to} at {at}: {reason}{meaning}{}", told(*report)))
        }
        Event::Returned { .. } => Some(format!("at {at} {}", returned(event))),
        Event::Operator { action, recipients, .. } if action == CANCEL => {
            Some(format!("its sender called it off for {} at {at}", list(recipients)))
        }
        Event::Operator { action, recipients, reason } if action == "delete" => {
            let mut text = format!("an operator deleted it for {} at {at}", list(recipients));
            append(&mut text, ": ", reason.as_deref());
            Some(text)
        }
        _ => None,
    };
    let promise = |(_, event): &(Timestamp, Event)| match event {
        Event::Promise { promise, state, detail } if state != "asked" => {
            Some(format!("what it asked for, {promise}, was {state}: {detail}"))
        }
        _ => None,
    };
    events.iter().filter_map(end).chain(events.iter().filter_map(promise)).collect()
}

/// A length of time in its largest two units: `2 h 5 min`.
pub fn span(length: Duration) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut rest = length.as_secs();
    let mut words = Vec::new();
    for (unit, seconds) in units {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 {
            words.push(format!("{count} {unit}"));
        }
    }
    words.truncate(2);
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (3_905, "1 h 5 min"), (90_000, "1 d 1 h"), (86_405, "1 d 5 s")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<String> = (0..7).map(|number| format!("u{number}@x")).collect();
        assert_eq!(list(&many), "u0@x, u1@x, u2@x, u3@x, u4@x and 2 more");
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        assert_eq!(why(QueueId::from_u64(1), &[], &[], &Waits::default(), Timestamp::from_millis(0)), None);
    }
}
