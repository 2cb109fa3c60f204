//! What a server is told of deadlines, priorities and release (RFC 2852, RFC 6710, RFC 4865).

use super::*;

fn sending(parameters: MailParameters) -> impl Fn() -> Session {
    let message = Transaction { mail: parameters, ..transaction(&["b@d.example"]) };
    move || Session::new(config(), [message.clone()])
}

fn parameters(by: &str) -> MailParameters {
    MailParameters {
        deliver_by: Some(by.parse().unwrap()),
        priority: mail::MtPriority::new(-4),
        hold: Some(mail::Hold::For(3600)),
        ..MailParameters::default()
    }
}

#[test]
fn what_is_announced_is_used() {
    dialog(
        sending(parameters("120;RT")),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-DELIVERBY 120
         S: 250-FUTURERELEASE 86400 2026-12-01T10:00:00Z
         S: 250 MT-PRIORITY
         C: MAIL FROM:<a@c.example> BY=120;RT MT-PRIORITY=-4 HOLDFOR=3600
         S: 250 ok
         C: RCPT TO:<b@d.example>",
    );
}

#[test]
fn what_is_not_announced_is_left_out_if_it_may() {
    dialog(
        sending(parameters("120;N")),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250 mx.example
         C: MAIL FROM:<a@c.example>
         S: 250 ok
         C: RCPT TO:<b@d.example>",
    );
}

/// RFC 2852 §4.1
#[test]
fn what_has_to_come_back_in_time_goes_only_where_that_is_promised() {
    for (by, announced) in [("120;R", "PIPELINING"), ("120;R", "DELIVERBY 121")] {
        let script = format!(
            "S: 220 mx.example
             C: EHLO c.example
             S: 250-mx.example
             S: 250 {announced}
             E: done: Unsupported(DeliverBy)
             C: QUIT"
        );
        dialog(sending(parameters(by)), &script);
    }
}
