//! An attempt in the words of people: whom it reached, how, what was said, and what took how long.

use std::fmt::Write;

use store::ledger::{Attempt, Timing, Unreached};

use super::append;

/// `tried mx.example at 192.0.2.1:25 over TLSv1.3 …, certificate verified, 34 ms: 250 2.0.0 taken`
pub fn text(attempt: &Attempt) -> String {
    let mut text = format!("tried {}", attempt.host.as_deref().unwrap_or(&attempt.lane));
    append(&mut text, " at ", attempt.address.as_deref());
    append(&mut text, " over ", attempt.tls.as_deref());
    match (&attempt.tls, attempt.verified) {
        (Some(_), true) => text.push_str(", certificate verified"),
        (Some(_), false) => text.push_str(", certificate not verified"),
        (None, _) if attempt.timing.envelope_ms.is_some() => text.push_str(" in clear"),
        (None, _) => {}
    }
    let _ = write!(text, ", {} ms: {}", attempt.duration_ms, attempt.outcome);
    text
}

/// Who gave no connection before that, a line each, the policy that held, and the stages.
pub fn notes(attempt: &Attempt) -> Vec<String> {
    let policy = attempt.policy.iter().map(|policy| format!("policy: {policy}"));
    attempt.unreached.iter().map(unreached).chain(policy).chain(timing(&attempt.timing)).collect()
}

fn unreached(unreached: &Unreached) -> String {
    let Unreached { address, reason, duration_ms, .. } = unreached;
    let address = address.as_deref().filter(|address| !reason.contains(*address));
    let address = address.map(|address| format!(" at {address}")).unwrap_or_default();
    format!("before that{address}, {duration_ms} ms: {reason}")
}

fn timing(timing: &Timing) -> Option<String> {
    let stages = [
        ("names", timing.dns_ms),
        ("connecting", timing.connect_ms),
        ("greeting", timing.greeting_ms),
        ("TLS", timing.tls_ms),
        ("envelope", timing.envelope_ms),
        ("content", timing.content_ms),
        ("reply", timing.reply_ms),
    ];
    let spent = stages.iter().filter_map(|(name, ms)| Some(format!("{name} {} ms", (*ms)?)));
    let spent: Vec<String> = spent.collect();
    let was_open = timing.connect_ms.is_none() && timing.envelope_ms.is_some();
    let reused = if was_open { "; the connection was open already" } else { "" };
    (!spent.is_empty()).then(|| format!("took: {}{reused}", spent.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_reads_well() {
        let refused = Unreached {
            host: "a.example".to_owned(),
            address: Some("192.0.2.1:25".to_owned()),
            reason: "a.example at 192.0.2.1:25 cannot be reached: connection refused".to_owned(),
            duration_ms: 2,
        };
        let busy = Unreached {
            host: "b.example".to_owned(),
            address: Some("192.0.2.2:25".to_owned()),
            reason: "b.example: the server said 421 4.3.2 not now".to_owned(),
            duration_ms: 5,
        };
        let mut attempt = Attempt {
            lane: "mx:a.example".to_owned(),
            host: Some("c.example".to_owned()),
            address: Some("192.0.2.3:25".to_owned()),
            tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384".to_owned()),
            duration_ms: 34,
            outcome: "451 4.7.1 greylisted".to_owned(),
            verified: true,
            policy: Some("required by the route; its certificate verifies".to_owned()),
            timing: Timing { dns_ms: Some(1), envelope_ms: Some(3), ..Timing::default() },
            unreached: vec![refused, busy],
        };
        let expected = "tried c.example at 192.0.2.3:25 over TLSv1.3 TLS13_AES_256_GCM_SHA384, certificate verified, \
                        34 ms: 451 4.7.1 greylisted";
        assert_eq!(text(&attempt), expected);
        let expected = [
            "before that, 2 ms: a.example at 192.0.2.1:25 cannot be reached: connection refused",
            "before that at 192.0.2.2:25, 5 ms: b.example: the server said 421 4.3.2 not now",
            "policy: required by the route; its certificate verifies",
            "took: names 1 ms, envelope 3 ms; the connection was open already",
        ];
        assert_eq!(notes(&attempt), expected);
        attempt.tls = None;
        assert_eq!(text(&attempt), "tried c.example at 192.0.2.3:25 in clear, 34 ms: 451 4.7.1 greylisted");
    }

    #[test]
    fn an_attempt_that_met_nobody_has_little_to_tell() {
        let attempt = Attempt {
            lane: "pipe:ticket".to_owned(),
            outcome: "ended with status 75".to_owned(),
            ..Attempt::default()
        };
        assert_eq!(text(&attempt), "tried pipe:ticket, 0 ms: ended with status 75");
        assert!(notes(&attempt).is_empty());
    }
}
