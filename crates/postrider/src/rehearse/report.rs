//! What a rehearsal came to, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};
use sim::rehearsal::Connections;

use super::{
    play::{Played, Sent},
    story::{End, Line, dated, day},
};
use crate::{Failure, admin::explain, cli::Output};

/// Of many messages of a scene only those are told whose story differs most.
const TOLD_MAX: usize = 3;

#[derive(Debug)]
pub struct Report {
    pub hostname: String,
    pub seed: u64,
    /// What is not as in service.
    pub notes: Vec<String>,
    pub scenes: Vec<SceneReport>,
}

#[derive(Debug)]
pub struct SceneReport {
    pub name: String,
    pub days: u32,
    pub notes: Vec<String>,
    pub played: Played,
}

/// Messages by their ends, and what they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub sent: usize,
    pub delivered: usize,
    pub bounced: usize,
    pub waiting: usize,
    pub refused: usize,
    pub lost: usize,
    /// Whose senders were told of a delay.
    pub delayed: usize,
    pub longest_wait: Duration,
    pub attempts: usize,
}

impl Report {
    pub fn tally(&self) -> Tally {
        self.scenes.iter().map(|scene| Tally::of(&scene.played)).fold(Tally::default(), Tally::plus)
    }

    /// `all`: every message, and every try of it.
    pub fn show(&self, all: bool, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.value(&self.json());
        }
        output.line(format_args!("{} in a simulated world; seed {}", self.hostname, self.seed))?;
        self.notes.iter().try_for_each(|note| output.line(format_args!("note: {note}")))?;
        for scene in &self.scenes {
            scene.show(all, output)?;
        }
        output.line("")?;
        let heading = [
            "SENT",
            "DELIVERED",
            "BOUNCED",
            "WAITING",
            "REFUSED",
            "TOLD OF DELAY",
            "LONGEST WAIT",
            "TRIES",
            "CONNECTIONS AT ONCE",
            "SCENE",
        ];
        let rows: Vec<_> = self.scenes.iter().map(SceneReport::row).collect();
        output.table(&heading, &rows, "nothing was played")
    }

    fn json(&self) -> Value {
        json!({
            "hostname": self.hostname,
            "seed": self.seed,
            "notes": self.notes,
            "scenes": self.scenes.iter().map(SceneReport::json).collect::<Vec<_>>(),
        })
    }
}

impl SceneReport {
    fn show(&self, all: bool, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!("\n{}", self.name))?;
        self.notes.iter().try_for_each(|note| output.line(format_args!("  note: {note}")))?;
        let told = self.told(all);
        for (number, sent) in &told {
            let to: Vec<String> = sent.to.iter().map(ToString::to_string).collect();
            let count = self.played.messages.len();
            let which = if count == 1 { String::new() } else { format!(" {} of {count}", number + 1) };
            let came_to = sent.came_to(self.played.lasted);
            output.line(format_args!(
                "  message{which}, from {} to {}: {came_to}",
                sent.from,
                to.join(", ")
            ))?;
            for Line { at, text } in sent.lines(self.played.lasted, all) {
                output.line(format_args!("    {}  {text}", day(at)))?;
            }
        }
        let untold = self.played.messages.len() - told.len();
        if untold > 0 {
            output.line(format_args!("  and {untold} more messages (--all tells of each)"))?;
        }
        Ok(())
    }

    /// The first message, the one with the worst end, and the one that took longest.
    fn told(&self, all: bool) -> Vec<(usize, &Sent)> {
        let messages: Vec<_> = self.played.messages.iter().enumerate().collect();
        if all || messages.len() <= TOLD_MAX {
            return messages;
        }
        let lasted = self.played.lasted;
        // The earliest of those that are alike.
        let worst = messages.iter().rev().max_by_key(|(_, sent)| sent.end()).map(|(number, _)| *number);
        let longest =
            messages.iter().rev().max_by_key(|(_, sent)| sent.wait(lasted)).map(|(number, _)| *number);
        let is_told = |number: usize| number == 0 || Some(number) == worst || Some(number) == longest;
        messages.into_iter().filter(|(number, _)| is_told(*number)).collect()
    }

    fn row(&self) -> Vec<String> {
        let tally = Tally::of(&self.played);
        vec![
            tally.sent.to_string(),
            tally.delivered.to_string(),
            tally.bounced.to_string(),
            tally.waiting.to_string(),
            tally.refused.to_string(),
            tally.delayed.to_string(),
            explain::span(tally.longest_wait),
            tally.attempts.to_string(),
            busiest(&self.played.connections),
            self.name.clone(),
        ]
    }

    fn json(&self) -> Value {
        let Tally { sent, delivered, bounced, waiting, refused, lost, delayed, longest_wait, attempts } =
            Tally::of(&self.played);
        let connections =
            |to: &Connections| json!({"host": to.host, "in_all": to.in_all, "most_at_once": to.most});
        json!({
            "scene": self.name,
            "days_at_most": self.days,
            "lasted_seconds": self.played.lasted.as_secs(),
            "notes": self.notes,
            "summary": {
                "sent": sent, "delivered": delivered, "bounced": bounced, "waiting": waiting, "refused": refused,
                "lost": lost, "told_of_delay": delayed, "longest_wait_seconds": longest_wait.as_secs(),
                "attempts": attempts,
            },
            "connections": self.played.connections.iter().map(connections).collect::<Vec<_>>(),
            "messages": self.played.messages.iter().map(|sent| message(sent, self.played.lasted)).collect::<Vec<_>>(),
        })
    }
}

/// `3 to mx.big.example, no more to 2 others`
fn busiest(connections: &[Connections]) -> String {
    // The first of those that are alike.
    let Some(most) = connections.iter().rev().max_by_key(|to| to.most) else { return "none".to_owned() };
    let others = connections.len() - 1;
    let others = if others == 0 { String::new() } else { format!(", no more to {others} others") };
    format!("{} to {}{others}", most.most, most.host)
}

fn message(sent: &Sent, lasted: Duration) -> Value {
    let events = sent.events.iter().map(|(at, event)| {
        let (kind, text) = dated(event);
        let notes = explain::notes(event);
        json!({"at_ms": millis(*at), "day": day(*at), "kind": kind, "text": text, "notes": notes})
    });
    let waiting = sent.waiting.iter().map(|waiting| {
        json!({
            "recipients": waiting.recipients, "next_attempt_at_ms": waiting.next.map(millis),
            "last_error": waiting.last_error,
        })
    });
    json!({
        "id": sent.id.map(|id| id.to_string()),
        "from": sent.from.to_string(),
        "to": sent.to.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sent_at_ms": millis(sent.at),
        "reply": sent.receipt.as_ref().map_or_else(Clone::clone, |receipt| receipt.reply.clone()),
        "refused": sent.receipt.as_ref().ok().map(|receipt| &receipt.refused),
        "end": sent.end(),
        "wait_seconds": sent.wait(lasted).as_secs(),
        "attempts": sent.attempts(),
        "told_of_delay": sent.told_of_delay(),
        "events": events.collect::<Vec<_>>(),
        "in_queue": waiting.collect::<Vec<_>>(),
    })
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

impl Tally {
    fn of(played: &Played) -> Self {
        let one = |sent: &Sent| {
            let end = sent.end();
            let is = |wanted: End| usize::from(end == wanted);
            Self {
                sent: 1,
                delivered: is(End::Delivered),
                bounced: is(End::Bounced),
                waiting: is(End::Waiting),
                refused: is(End::Refused),
                lost: is(End::Lost),
                delayed: usize::from(sent.told_of_delay()),
                longest_wait: sent.wait(played.lasted),
                attempts: sent.attempts(),
            }
        };
        played.messages.iter().map(one).fold(Self::default(), Self::plus)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            delivered: self.delivered + other.delivered,
            bounced: self.bounced + other.bounced,
            waiting: self.waiting + other.waiting,
            refused: self.refused + other.refused,
            lost: self.lost + other.lost,
            delayed: self.delayed + other.delayed,
            longest_wait: self.longest_wait.max(other.longest_wait),
            attempts: self.attempts + other.attempts,
        }
    }
}
