//! Limits over time: connections, messages, recipients, errors of a network; messages and recipients of an account.

use std::time::Duration;

use mail::Reply;

use super::{
    Judge, Verdict,
    limits::Rate,
    rates::{Countable, Exceeded, Subject},
};
use crate::config::Network;

/// How often a network's refusals and an account's alarm are logged.
const LOG_RATE: Rate = Rate::new(10, Duration::from_mins(1));
const ALARM_RATE: Rate = Rate::new(1, Duration::from_hours(1));

/// Counts one, and refuses if it is one too many. None if nothing limits this client.
pub fn check(judge: &Judge<'_>, what: Countable) -> Option<Verdict> {
    let subjects = subjects(judge, what);
    let (first, _) = subjects.first()?;
    let pass = || Verdict::pass("rate", "within limits").with("counted", word(what)).with("from", first);
    let rates = &judge.memory.rates;
    let counted = if judge.rehearsal {
        rates.peek(what, &subjects, judge.now)
    } else {
        rates.take(what, &subjects, judge.now)
    };
    Some(match counted {
        Ok(()) => pass(),
        Err(exceeded) => refusal(judge, what, &exceeded),
    })
}

/// Refuses a client from whose network too many errors came.
pub fn check_errors(judge: &Judge<'_>) -> Option<Verdict> {
    let subjects = subjects(judge, Countable::Errors);
    let exceeded = judge.memory.rates.charge(Countable::Errors, &subjects, 0, judge.now).err()?;
    Some(refusal(judge, Countable::Errors, &exceeded))
}

/// Counts what a session did, and says whether its network did too much of it.
pub fn charge(judge: &Judge<'_>, what: Countable, count: u32) -> Option<Verdict> {
    let subjects = subjects(judge, what);
    let exceeded = judge.memory.rates.charge(what, &subjects, count, judge.now).err()?;
    Some(refusal(judge, what, &exceeded))
}

/// False if there were so many lines about this client's network that one more tells nothing new.
pub fn may_log(judge: &Judge<'_>) -> bool {
    let [one, _] = Network::around(judge.client.ip);
    let subject = [(Subject::Network(one), LOG_RATE)];
    judge.memory.rates.take(Countable::LogLines, &subject, judge.now).is_ok()
}

fn subjects(judge: &Judge<'_>, what: Countable) -> Vec<(Subject, Rate)> {
    let limits = &judge.config.clients;
    if let Some(identity) = judge.client.identity {
        // Who authenticated answers for itself, wherever it is.
        let rate = match what {
            Countable::Messages => limits.account.messages,
            Countable::Recipients => limits.account.recipients,
            _ => None,
        };
        let account = || Subject::Account(identity.to_lookup().into());
        return rate.map(|rate| (account(), rate)).into_iter().collect();
    }
    let rate = match what {
        Countable::Connections => limits.network.connections,
        Countable::Commands => limits.network.commands,
        Countable::Messages => limits.network.messages,
        Countable::Recipients => limits.network.recipients,
        Countable::Errors => limits.network.errors,
        Countable::SuccessReports => limits.network.success_reports,
        Countable::LogLines => None,
    };
    let Some(rate) = rate.filter(|_| !judge.client.is_exempt(judge.config)) else { return Vec::new() };
    let [one, aggregate] = Network::around(judge.client.ip).map(Subject::Network);
    let aggregate_rate = Rate { count: rate.count.saturating_mul(limits.aggregate_factor), ..rate };
    vec![(one, rate), (aggregate, aggregate_rate)]
}

fn refusal(judge: &Judge<'_>, what: Countable, exceeded: &Exceeded) -> Verdict {
    if let Subject::Account(address) = &exceeded.subject {
        alarm(judge, address, what);
    }
    let whose = match &exceeded.subject {
        Subject::Network(_) => "your network",
        Subject::Account(_) => "your account",
    };
    let text = format!("too many {} from {whose}; try again in {}", word(what), words(exceeded.wait));
    let reply = match what {
        Countable::Connections | Countable::Commands | Countable::Errors => Reply::new(421, (4, 7, 0), text),
        _ => Reply::new(450, (4, 7, 1), text),
    };
    Verdict::refuse("rate", reply).with("counted", word(what)).with("from", &exceeded.subject)
}

/// An account that suddenly sends much may be in other hands.
fn alarm(judge: &Judge<'_>, account: &str, what: Countable) {
    let subject = [(Subject::Account(account.into()), ALARM_RATE)];
    if !judge.rehearsal && judge.memory.rates.take(Countable::LogLines, &subject, judge.now).is_ok() {
        tracing::warn!(
            account, client = %judge.client.ip,
            "the account sends more {} than [limits] lets it; if its owner does not know why, \
             its password is known to others: `postrider account passwd`", word(what)
        );
    }
}

fn word(what: Countable) -> &'static str {
    match what {
        Countable::Connections => "connections",
        Countable::Commands => "commands",
        Countable::Messages => "messages",
        Countable::Recipients => "recipients",
        Countable::Errors => "errors",
        Countable::SuccessReports => "requests for success reports",
        Countable::LogLines => "lines",
    }
}

/// Rounded up: who comes back after this long is not too early.
fn words(wait: Duration) -> String {
    let seconds = wait.as_secs().saturating_add(1);
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}
