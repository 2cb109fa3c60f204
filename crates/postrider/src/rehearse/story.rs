//! What a message lived through, told in lines; what repeats itself is told once.

use std::time::Duration;

use mail::Timestamp;
use serde::Serialize;
use store::ledger::Event;

use super::play::Sent;
use crate::admin::explain;

/// Of tries with the same answer so many are told before the rest becomes one line.
const ALIKE_TOLD: usize = 2;

/// How it ended, the worst of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Delivered,
    Waiting,
    Bounced,
    /// The server did not take it.
    Refused,
    /// Taken, not in the queue, and no end in its history: there must be none of these.
    Lost,
}

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Duration,
    pub text: String,
}

impl Sent {
    pub fn end(&self) -> End {
        let is_failure = |event: &Event| matches!(event, Event::Bounced { .. } | Event::Expired { .. });
        if self.id.is_none() {
            End::Refused
        } else if self.events.iter().any(|(_, event)| is_failure(event)) {
            End::Bounced
        } else if !self.waiting.is_empty() {
            End::Waiting
        } else if self.events.iter().any(|(_, event)| matches!(event, Event::Delivered { .. })) {
            End::Delivered
        } else {
            End::Lost
        }
    }

    /// From when it was sent to its last end; for what waits, until `over`.
    pub fn wait(&self, over: Duration) -> Duration {
        if !self.waiting.is_empty() {
            return over.saturating_sub(self.at);
        }
        let ends = self.events.iter().filter(|(_, event)| {
            matches!(event, Event::Delivered { .. } | Event::Bounced { .. } | Event::Expired { .. })
        });
        ends.map(|(at, _)| at.saturating_sub(self.at)).max().unwrap_or_default()
    }

    /// `delivered after 2 d 11 min`
    pub fn came_to(&self, over: Duration) -> String {
        let what = match self.end() {
            End::Delivered => "delivered",
            End::Waiting => "still waiting",
            End::Bounced => "failed",
            End::Refused => return "refused".to_owned(),
            End::Lost => return "lost".to_owned(),
        };
        match self.wait(over) {
            wait if wait < Duration::from_secs(1) => format!("{what} at once"),
            wait => format!("{what} after {}", explain::span(wait)),
        }
    }

    pub fn attempts(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Attempt(_))).count()
    }

    /// The sender was told that it is late.
    pub fn told_of_delay(&self) -> bool {
        self.events
            .iter()
            .any(|(_, event)| matches!(event, Event::Told { action, .. } if action == "delayed"))
    }

    /// `over`: when the run ended. `all`: tries with the same answer one by one, and what policy said.
    pub fn lines(&self, over: Duration, all: bool) -> Vec<Line> {
        let mut lines = vec![self.beginning()];
        let mut events = self.events.iter().peekable();
        let mut alike = Alike::default();
        while let Some((at, event)) = events.next() {
            if matches!(event, Event::Verdicts { .. } | Event::Accepted { .. }) && !all {
                continue;
            }
            let deferred = match (event, events.peek()) {
                (Event::Attempt(_), Some((_, deferred @ Event::Deferred { .. }))) => Some(deferred),
                _ => None,
            };
            if let (Event::Attempt(attempt), Some(deferred)) = (event, deferred) {
                events.next();
                let answer = (attempt.host.clone().unwrap_or_default(), attempt.outcome.clone());
                if all || alike.is_told(answer, *at) {
                    lines.extend(alike.rest());
                    lines.extend([line(*at, event), after(*at, &attempt.outcome, deferred)]);
                }
                continue;
            }
            lines.extend(alike.rest());
            lines.push(line(*at, event));
        }
        lines.extend(alike.rest());
        lines.extend(self.waiting(over));
        lines
    }

    fn beginning(&self) -> Line {
        let text = match (&self.receipt, self.id) {
            (Ok(receipt), Some(id)) => {
                let refused = receipt.refused.iter();
                let refused =
                    refused.map(|refused| format!("; {} refused: {}", refused.recipient, refused.reply));
                format!("accepted as {id}{}", refused.collect::<String>())
            }
            (Ok(receipt), None) => {
                let replies: Vec<_> = receipt.refused.iter().map(|refused| refused.reply.as_str()).collect();
                format!(
                    "refused: {}",
                    if replies.is_empty() { receipt.reply.clone() } else { replies.join("; ") }
                )
            }
            (Err(reason), _) => format!("not taken: {reason}"),
        };
        Line { at: self.at, text }
    }

    fn waiting(&self, over: Duration) -> impl Iterator<Item = Line> {
        self.waiting.iter().map(move |waiting| {
            let to = waiting.recipients.join(", ");
            let next = match waiting.next {
                Some(next) => format!("the next try is due on {}", day(next)),
                None => "on hold until an operator releases it".to_owned(),
            };
            let last = waiting.last_error.as_ref().map(|error| format!("; the last met: {error}"));
            let text = format!("in the queue for {to} as the run ends; {next}{}", last.unwrap_or_default());
            Line { at: over, text }
        })
    }
}

/// Tries with the same answer, one after the other.
#[derive(Debug, Default)]
struct Alike {
    answer: Option<(String, String)>,
    told: usize,
    untold: usize,
    last: Duration,
}

impl Alike {
    /// Whether this one is to be told by itself.
    fn is_told(&mut self, answer: (String, String), at: Duration) -> bool {
        if self.answer.as_ref() != Some(&answer) {
            (self.answer, self.told) = (Some(answer), 0);
        }
        if self.told < ALIKE_TOLD {
            self.told += 1;
            return true;
        }
        (self.untold, self.last) = (self.untold + 1, at);
        false
    }

    /// The line for those that were not.
    fn rest(&mut self) -> Option<Line> {
        let count = std::mem::take(&mut self.untold);
        let tries =
            if count == 1 { "1 more try".to_owned() } else { format!("{count} more tries until then") };
        let text = format!("… {tries}, with the same answer");
        (count > 0).then_some(Line { at: self.last, text })
    }
}

/// Kind and text as `trace` tells them, but for the dates.
pub fn dated(event: &Event) -> (&'static str, String) {
    explain::event_dated(event, &|at: Timestamp| day(sim::world::uptime(at)))
}

fn line(at: Duration, event: &Event) -> Line {
    let (_, text) = dated(event);
    Line { at, text }
}

/// What the queue decided after a try, whose answer stands in the line above.
fn after(at: Duration, outcome: &str, deferred: &Event) -> Line {
    let mut line = line(at, deferred);
    if let Event::Deferred { reason, .. } = deferred
        && (reason.contains(outcome) || outcome.contains(reason.as_str()))
        && let Some(short) = line.text.strip_suffix(&format!(": {reason}"))
    {
        line.text = short.to_owned();
    }
    line
}

/// `day 1 02:15`
pub fn day(at: Duration) -> String {
    let minutes = at.as_secs() / 60;
    format!("day {} {:02}:{:02}", minutes / 1440 + 1, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use store::ledger::Attempt;

    use super::*;

    #[test]
    fn days_begin_with_the_first() {
        for (minutes, text) in
            [(0, "day 1 00:00"), (135, "day 1 02:15"), (1440, "day 2 00:00"), (4319, "day 3 23:59")]
        {
            assert_eq!(day(Duration::from_mins(minutes)), text);
        }
    }

    fn sent(outcomes: &[&str]) -> Sent {
        let tries = outcomes.iter().zip(0..).flat_map(|(outcome, minute)| {
            let at = Duration::from_mins(minute);
            let attempt = Attempt { outcome: (*outcome).to_owned(), ..Attempt::default() };
            let deferred = Event::Deferred {
                recipients: vec!["b@x".to_owned()],
                reason: (*outcome).to_owned(),
                until: Timestamp::from_millis(0),
            };
            [(at, Event::Attempt(Box::new(attempt))), (at, deferred)]
        });
        Sent {
            from: "a@y.example".parse().unwrap(),
            to: Vec::new(),
            at: Duration::ZERO,
            receipt: Err("no".to_owned()),
            id: Some("6N8Z3K0QW4T1A".parse().unwrap()),
            events: tries.collect(),
            waiting: Vec::new(),
        }
    }

    #[test]
    fn tries_with_the_same_answer_become_one_line() {
        let sent = sent(&["451 a", "451 a", "451 a", "451 a", "451 b", "451 b"]);
        let begin = |all| {
            let lines = sent.lines(Duration::ZERO, all).into_iter().skip(1);
            lines.map(|line| line.text.chars().take(5).collect()).collect::<Vec<String>>()
        };
        let pair = ["tried", "b@x m"];
        assert_eq!(begin(false), [&pair[..], &pair, &["… 2 m"], &pair, &pair].concat());
        assert_eq!(begin(true), [pair; 6].concat());
        let lines = sent.lines(Duration::ZERO, false);
        assert_eq!(lines[5].text, "… 2 more tries until then, with the same answer");
        assert_eq!(lines[5].at, Duration::from_mins(3));
        assert_eq!(lines[2].text, "b@x must wait until day 1 00:00");
        assert_eq!(sent.attempts(), 6);
    }
}
