//! A scenario: what the hosts outside do and when, and which messages are sent. Every key is defined here, once.

use std::{collections::BTreeSet, path::Path};

use toml::{Spanned, de::DeTable};

use super::values::{During, NotifyOption, Priority, Said};
use crate::config::{
    ConfigError,
    problem::Problems,
    read_toml,
    section::section,
    span_in,
    types::{HostName, MailAddress, Rate, Size, Span, choice},
};

/// Histories are kept so long.
pub const DAYS_MAX: u32 = 30;
const MESSAGES_MAX: u32 = 10_000;
/// Of all messages together; they are kept in memory.
const OCTETS_MAX: u64 = 256 << 20;

section! {
    /// What is played. Times count from the start of the run.
    Scenario "" {
        /// Days that are played at most; a run ends sooner once nothing waits.
        days: u32 = 7;
        /// Domains whose mail this server hosts; their addresses get accounts as messages name them. Without it: the
        /// hostname without its first label. (What the data directory says is not looked at.)
        domains: Vec<HostName> = Vec::new(), example "[\"example.org\"]";
        /// Hosts outside that are not simply there and take everything.
        peer: Vec<Peer> = Vec::new();
        /// Times when name servers give no answers.
        dns: Vec<DnsOutage> = Vec::new();
        /// Messages that are sent.
        message: Vec<TestMessage> = Vec::new();
    }
}

section! {
    /// Hosts outside that are not simply there and take everything: those of a domain, or one by its name. What is said of
    /// a host by its name holds in place of what is said of its domain.
    Peer "[[peer]]" {
        /// The domain whose mail they take.
        domain: Option<HostName> = None, example "\"big.example\"";
        /// One host: the one a route names, or one of mx.
        host: Option<String> = None, example "\"smtp.provider.example\"";
        /// The hosts of the domain, best first. Without it: mx. and the domain.
        mx: Vec<HostName> = Vec::new(), example "[\"mx1.big.example\", \"mx2.big.example\"]";
        /// When nothing answers there.
        down: Option<During> = None, example "\"1h..2d\"";
        /// Senders and recipients that it does not know have to come again after so long (451).
        greylist: Option<Span> = None, example "\"5m\"";
        /// Messages that it takes in a time; further ones get limit_reply.
        limit: Rate = Rate(None), example "\"20/1m\"";
        /// What they get.
        limit_reply: Option<Said> = None, example "\"421 4.7.0 too fast\"";
        /// Messages that it takes on one connection, which it then ends with 421.
        messages_per_connection: Option<u32> = None, example "10";
        /// Connections at once; further ones are greeted with 421.
        connections_max: Option<u32> = None, example "5";
        /// What everybody is told.
        refuse: Option<Said> = None, example "\"550 5.7.1 blocked\"";
        /// At which point.
        refuse_at: RefuseAt = RefuseAt::Recipient;
        /// When. Without it: always.
        refuse_during: Option<During> = None, example "\"1h..2d\"";
        /// When mailboxes there are full (452).
        full: Option<During> = None, example "\"1h..2d\"";
        /// How long each reply takes.
        slow: Span = Span::seconds(0);
        /// Whether TLS is offered, with a certificate that verifies.
        tls: bool = true;
    }
}

choice! {
    /// When a refusal is spoken.
    RefuseAt { Greeting "greeting", Recipient "recipient", Content "content" }
}

section! {
    /// Times when name servers give no answers.
    DnsOutage "[[dns]]" {
        /// The domain whose name servers it is, for all names below it. Without it: all of them.
        domain: Option<HostName> = None, example "\"big.example\"";
        /// What comes in place of an answer: SERVFAIL, or nothing.
        answer: DnsFault = DnsFault::Servfail;
        /// When.
        during: During, example "\"1h..7h\"";
    }
}

choice! {
    /// How a name server fails.
    DnsFault { Servfail "servfail", Silent "silent" }
}

section! {
    /// Messages that are sent.
    TestMessage "[[message]]" {
        /// The sender. An address of one of the domains logs in and submits; others come in as strangers. Without it:
        /// sender@ the first of the domains.
        from: Option<MailAddress> = None, example "\"ann@example.org\"";
        /// The recipients.
        to: Vec<MailAddress>, example "[\"bob@big.example\"]";
        /// How many such messages.
        count: u32 = 1;
        /// When the first is sent.
        at: Span = Span::seconds(0);
        /// When each further one is, after the one before; with 0s as soon as that was taken.
        every: Span = Span::seconds(0);
        /// Octets of each.
        size: Size = Size(2048);
        /// What the sender wants to be told (DSN).
        notify: Option<NotifyOption> = None, example "\"success,failure,delay\"";
        /// To be delivered within this time (DELIVERBY).
        deliver_by: Option<Span> = None, example "\"4h\"";
        /// What happens if that cannot be.
        if_late: IfLate = IfLate::Return;
        /// Not to leave before so long (FUTURERELEASE).
        hold_for: Option<Span> = None, example "\"90m\"";
        /// MT-PRIORITY.
        priority: Option<Priority> = None, example "\"4\"";
    }
}

choice! {
    /// What happens to a message that is late: it comes back, or its sender is told.
    IfLate { Return "return", Notify "notify" }
}

impl Scenario {
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        Self::parse(path, &text)
    }

    /// `path` is for messages only.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        read_toml(text, Self::read_table, check).map_err(|problems| ConfigError::Invalid {
            path: path.to_owned(),
            text: text.to_owned(),
            problems,
        })
    }
}

fn check(scenario: &Scenario, root: &Spanned<DeTable<'_>>, problems: &mut Problems) {
    let root = root.get_ref();
    if !(1..=DAYS_MAX).contains(&scenario.days) {
        let span = root.iter().find(|(key, _)| key.get_ref() == "days").map(|(_, value)| value.span());
        problems.add(span.unwrap_or_default(), format!("days is a number from 1 to {DAYS_MAX}"));
    }
    check_peers(scenario, root, problems);
    check_messages(scenario, root, problems);
}

fn check_peers(scenario: &Scenario, root: &DeTable<'_>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (index, peer) in scenario.peer.iter().enumerate() {
        let at = |key: &str| span_in(root, "peer", Some(index), key);
        let (key, name) = match (&peer.domain, &peer.host) {
            (Some(domain), None) => ("domain", domain.0.to_ascii_lowercase()),
            (None, Some(host)) => ("host", host.to_ascii_lowercase()),
            _ => {
                problems.add(at("host"), "[[peer]] needs either domain = \"DOMAIN\" or host = \"NAME\"");
                continue;
            }
        };
        if !seen.insert((key, name)) {
            problems.add(at(key), format!("another [[peer]] has this {key} already"));
        }
        if peer.host.is_some() && !peer.mx.is_empty() {
            problems.add(at("mx"), "mx is for domains; a host has a name only");
        }
        for key in ["refuse_at", "refuse_during"] {
            let is_written = at(key) != at("");
            if peer.refuse.is_none() && is_written {
                problems.add(at(key), format!("{key} needs refuse = \"REPLY\" beside it"));
            }
        }
        if peer.limit_reply.is_some() && peer.limit.0.is_none() {
            problems.add(at("limit_reply"), "limit_reply needs limit = \"NUMBER/TIME\" beside it");
        }
    }
}

fn check_messages(scenario: &Scenario, root: &DeTable<'_>, problems: &mut Problems) {
    if scenario.message.is_empty() {
        problems
            .add(0..0, "there is no [[message]], so nothing would be sent; add one with to = [\"ADDRESS\"]");
    }
    for (index, message) in scenario.message.iter().enumerate() {
        let at = |key: &str| span_in(root, "message", Some(index), key);
        if message.to.is_empty() {
            problems.add(at("to"), "to needs one recipient at least");
        }
        if message.last_at().0.as_secs() >= u64::from(scenario.days) * 86_400 {
            let key = if message.count > 1 { "every" } else { "at" };
            problems
                .add(at(key), format!("the run is over after {} days, before all are sent", scenario.days));
        }
    }
    let count = scenario.message.iter().fold(0_u32, |sum, message| sum.saturating_add(message.count));
    if count > MESSAGES_MAX {
        problems.add(0..0, format!("these are {count} messages; {MESSAGES_MAX} are played at most"));
    }
    let octets = scenario
        .message
        .iter()
        .fold(0_u64, |sum, message| sum.saturating_add(message.size.0.saturating_mul(message.count.into())));
    if octets > OCTETS_MAX {
        let most = Size(OCTETS_MAX);
        problems.add(0..0, format!("the messages may have {most} together; make size or count smaller"));
    }
}

impl TestMessage {
    /// When the last of them is sent.
    pub fn last_at(&self) -> Span {
        let rest = self.every.0.saturating_mul(self.count.saturating_sub(1));
        Span(self.at.0.saturating_add(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Scenario::parse(Path::new("two-days.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_scenario_is_read() {
        let text = r#"
            days = 3
            domains = ["example.org"]
            [[peer]]
            domain = "big.example"
            mx = ["mx1.big.example"]
            down = "1h..2d"
            limit = "20/1m"
            refuse = "550 5.7.1 no"
            refuse_at = "content"
            [[dns]]
            answer = "silent"
            during = "1h..7h"
            [[message]]
            to = ["bob@big.example"]
            count = 3
            every = "12h"
            notify = "success,delay"
            priority = "-3"
        "#;
        let scenario = Scenario::parse(Path::new("x"), text).unwrap();
        assert_eq!((scenario.days, scenario.peer.len(), scenario.dns.len()), (3, 1, 1));
        let message = &scenario.message[0];
        assert_eq!(message.last_at(), Span::seconds(86_400));
        assert!(message.notify.as_ref().unwrap().value.0.success);
        assert_eq!(scenario.peer[0].refuse_at, RefuseAt::Content);
        assert_eq!(scenario.dns[0].answer, DnsFault::Silent);
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_nearest_key() {
        let text =
            "[[peer]]\ndomain = \"big.example\"\ndwon = \"1h..2d\"\n[[message]]\nto = [\"b@big.example\"]\n";
        assert_eq!(
            problems(text),
            "two-days.toml:3:1: unknown key \"dwon\" in [[peer]]; did you mean \"down\"?\n  3 | dwon = \"1h..2d\"\n    | ^^^^"
        );
        let text =
            "[[peer]]\ndomain = \"big.example\"\ndown = \"2d\"\n[[message]]\nto = [\"b@big.example\"]\n";
        let told = problems(text);
        assert!(told.starts_with("two-days.toml:3:8: \"down\" in [[peer]]: \"2d\" is not a time"), "{told}");
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        let message = "[[message]]\nto = [\"b@big.example\"]\n";
        for (text, expected) in [
            (String::new(), "there is no [[message]]"),
            ("[[message]]\nto = []\n".to_owned(), "to needs one recipient"),
            (format!("days = 31\n{message}"), "days is a number from 1 to 30"),
            (format!("{message}at = \"8d\"\n"), "the run is over after 7 days"),
            (format!("{message}count = 10001\n"), "10001 messages"),
            (format!("{message}count = 10000\nsize = \"1 MiB\"\n"), "256 MiB together"),
            (format!("{message}[[peer]]\n"), "either domain"),
            (format!("{message}[[peer]]\ndomain = \"a.example\"\nhost = \"b\"\n"), "either domain"),
            (format!("{message}[[peer]]\nhost = \"b\"\nmx = [\"c.example\"]\n"), "mx is for domains"),
            (format!("{message}[[peer]]\nhost = \"b\"\n[[peer]]\nhost = \"B\"\n"), "already"),
            (format!("{message}[[peer]]\nhost = \"b\"\nrefuse_at = \"content\"\n"), "needs refuse"),
            (format!("{message}[[peer]]\nhost = \"b\"\nlimit_reply = \"450 no\"\n"), "needs limit"),
        ] {
            let told = problems(&text);
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
