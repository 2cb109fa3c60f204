//! Conformance §3, §4, §7 and §13 on transactions, from the client's side.

use super::*;

const PIPELINING: &str = "S: 220 mx.example
    C: EHLO c.example
    S: 250-mx.example
    S: 250 PIPELINING
    ";
const PLAIN: &str = "S: 220 mx.example
    C: EHLO c.example
    S: 250 mx.example
    ";

fn sending(transactions: &[Transaction]) -> impl Fn() -> Session {
    let transactions = transactions.to_vec();
    move || Session::new(config(), transactions.clone())
}

#[test]
fn one_command_at_a_time_without_pipelining() {
    dialog(
        sending(&[transaction(&["b@d.example", "e@d.example"])]),
        &format!(
            "{PLAIN}C: MAIL FROM:<a@c.example>
             S: 299 go on
             C: RCPT TO:<b@d.example>
             S: 251 will forward
             C: RCPT TO:<e@d.example>
             S: 599 5.1.1 unknown
             E: 1 refused for good: 599 5.1.1 unknown
             C: DATA
             S: 354 go
             C: x
             C: ..y
             C: .
             S: 250 2.0.0 queued
             E: done: 250 2.0.0 queued
             C: QUIT"
        ),
    );
}

#[test]
fn all_at_once_with_pipelining_and_the_connection_used_again() {
    let one = transaction(&["b@d.example"]);
    dialog(
        sending(&[one.clone(), one]),
        &format!(
            "{PIPELINING}C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 250 ok
             S: 250 ok
             S: 354 go
             C: x
             C: ..y
             C: .
             S: 250 queued
             E: done: 250 queued
             C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 250 ok
             S: 250 ok
             S: 354 go
             C: x
             C: ..y
             C: .
             S: 450 not now
             E: done: 450 not now
             C: QUIT"
        ),
    );
}

#[test]
fn mail_refused() {
    let one = transaction(&["b@d.example"]);
    dialog(
        sending(&[one.clone(), one]),
        &format!(
            "{PIPELINING}C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 552 5.3.4 too large
             S: 503 what?
             S: 503 what?
             E: done: Mail refused for good: 552 5.3.4 too large
             C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 450 later
             S: 503 what?
             S: 354 oh
             C: .
             S: 503 what?
             E: done: Mail refused for now: 450 later
             C: QUIT"
        ),
    );
}

#[test]
fn no_recipient_is_left() {
    let one = transaction(&["b@d.example"]);
    dialog(
        sending(&[one.clone(), one.clone(), one]),
        &format!(
            "{PIPELINING}C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 250 ok
             S: 499 later
             S: 554 no valid recipients
             E: 0 refused for now: 499 later
             E: done: NoRecipients
             C: RSET
             C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA
             S: 250 ok
             S: 250 ok
             S: 550 5.1.1 unknown
             S: 354 go
             E: 0 refused for good: 550 5.1.1 unknown
             C: .
             S: 554 no valid recipients
             E: done: NoRecipients
             C: RSET
             C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: DATA"
        ),
    );
    dialog(
        sending(&[transaction(&["b@d.example"])]),
        &format!(
            "{PLAIN}C: MAIL FROM:<a@c.example>
             S: 250 ok
             C: RCPT TO:<b@d.example>
             S: 552 full
             E: 0 refused for now: 552 full
             E: done: NoRecipients
             C: QUIT"
        ),
    );
}

#[test]
fn too_many_recipients_go_in_the_next_transaction() {
    let many = transaction(&["b@d.example", "c@d.example", "d@d.example"]);
    dialog(
        sending(std::slice::from_ref(&many)),
        &format!(
            "{PIPELINING}C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: RCPT TO:<c@d.example>
             C: RCPT TO:<d@d.example>
             C: DATA
             S: 250 ok
             S: 250 ok
             S: 452 4.2.2 mailbox full
             S: 552 5.5.3 too many
             S: 354 go
             E: 1 refused for now: 452 4.2.2 mailbox full
             E: 2 too many: 552 5.5.3 too many
             C: x
             C: ..y
             C: .
             S: 250 queued
             E: done: 250 queued
             C: QUIT"
        ),
    );
    dialog(
        sending(&[many]),
        &format!(
            "{PLAIN}C: MAIL FROM:<a@c.example>
             S: 250 ok
             C: RCPT TO:<b@d.example>
             S: 250 ok
             C: RCPT TO:<c@d.example>
             S: 452 too many
             E: 1 too many: 452 too many
             E: 2 too many
             C: DATA"
        ),
    );
}

#[test]
fn data_refused_sends_no_content() {
    let one = transaction(&["b@d.example"]);
    for (reply, time) in [("250 ok", "now"), ("355 0", "now"), ("554 no", "good"), ("451 later", "now")] {
        dialog(
            sending(&[one.clone(), one.clone()]),
            &format!(
                "{PIPELINING}C: MAIL FROM:<a@c.example>
                 C: RCPT TO:<b@d.example>
                 C: DATA
                 S: 250 ok
                 S: 250 ok
                 S: {reply}
                 E: done: Data refused for {time}: {reply}
                 C: RSET
                 C: MAIL FROM:<a@c.example>
                 C: RCPT TO:<b@d.example>
                 C: DATA"
            ),
        );
    }
}

#[test]
fn a_server_that_goes_down() {
    let left = dialog(
        sending(&[transaction(&["b@d.example", "c@d.example"])]),
        &format!(
            "{PIPELINING}C: MAIL FROM:<a@c.example>
             C: RCPT TO:<b@d.example>
             C: RCPT TO:<c@d.example>
             C: DATA
             S: 250 ok
             S: 550 no
             S: 421 4.3.2 going down
             E: 0 refused for good: 550 no
             E: failed at Rcpt for now: the server said: 421 4.3.2 going down"
        ),
    );
    assert!(left);
    let one = transaction(&["b@d.example"]);
    let mut session = Session::new(config(), [one.clone(), one]);
    session.run();
    for reply in ["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"] {
        session.hear(reply.as_bytes());
    }
    assert_eq!(
        session.hear(b"250 queued\r\n421 bye\r\n"),
        "E: done: 250 queued\nE: failed at Ready for now: the server said: 421 bye\n"
    );
}

#[test]
fn a_connection_that_breaks() {
    let mut session = Session::new(config(), [transaction(&["b@d.example"])]);
    session.run();
    for reply in ["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"] {
        session.hear(reply.as_bytes());
    }
    assert_eq!(session.client.deadline(), Some(session.now + Duration::from_mins(10)));
    session.client.push_end();
    assert_eq!(session.run(), "E: failed at Content for now: the server closed the connection\n");
    assert!(session.closed);
}

#[test]
fn parameters_as_announced() {
    let mut message = transaction(&["bücher@d.example"]);
    message.mail = MailParameters {
        body: Body::EightBitMime,
        ret: Some(mail::Return::Headers),
        envid: Some("a+b".to_owned()),
        ..MailParameters::default()
    };
    message.recipients[0].rcpt = RcptParameters {
        notify: Some(mail::Notify { success: true, failure: false, delay: true }),
        orcpt: Some("rfc822;x+2By@d.example".parse().unwrap()),
        ..RcptParameters::default()
    };
    dialog(
        sending(&[message]),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-SIZE 100
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250 DSN
         C: MAIL FROM:<a@c.example> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb
         S: 250 ok
         C: RCPT TO:<bücher@d.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@d.example",
    );
}

#[test]
fn what_the_server_lacks_is_told_before_anything_is_sent() {
    let plain = transaction(&["b@d.example"]);
    let foreign = transaction(&["bücher@d.example"]);
    let mut large = plain.clone();
    large.body_bytes = 101;
    let mut eight_bit = plain.clone();
    eight_bit.mail.body = Body::EightBitMime;
    let mut binary = plain;
    binary.mail.body = Body::BinaryMime;
    dialog(
        sending(&[foreign, large, eight_bit, binary]),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-BINARYMIME
         S: 250 SIZE 100
         E: done: Unsupported(SmtpUtf8)
         E: done: Unsupported(Size { bytes_max: 100 })
         E: done: Unsupported(EightBitMime)
         E: done: Unsupported(BinaryMime)
         C: QUIT",
    );
}

fn chunking(transactions: &[Transaction]) -> impl Fn() -> Session {
    let transactions = transactions.to_vec();
    move || Session::new(Config { chunking: true, ..config() }, transactions.clone())
}

#[test]
fn chunks_where_they_are_announced() {
    dialog(
        chunking(&[transaction(&["b@d.example"])]),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250 CHUNKING
         C: MAIL FROM:<a@c.example>
         C: RCPT TO:<b@d.example>
         S: 250 ok
         S: 250 ok
         C: BDAT 4
         C: x
         C: .BDAT 1 LAST
         C: y
         S: 250 ok
         S: 250 queued
         E: done: 250 queued
         C: QUIT",
    );
    dialog(
        chunking(&[transaction(&["b@d.example"])]),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250 CHUNKING
         C: MAIL FROM:<a@c.example>
         S: 250 ok
         C: RCPT TO:<b@d.example>
         S: 250 ok
         C: BDAT 4
         C: x
         C: .
         S: 452 full
         E: done: Content refused for now: 452 full
         C: QUIT",
    );
}

#[test]
fn the_first_refused_chunk_counts() {
    dialog(
        chunking(&[transaction(&["b@d.example"])]),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250 CHUNKING
         C: MAIL FROM:<a@c.example>
         C: RCPT TO:<b@d.example>
         S: 250 ok
         S: 250 ok
         C: BDAT 4
         C: x
         C: .BDAT 1 LAST
         C: y
         S: 552 5.3.4 too large
         S: 503 what?
         E: done: Content refused for good: 552 5.3.4 too large
         C: QUIT",
    );
}

#[test]
fn a_server_that_does_not_know_bdat_after_all_is_left() {
    for refusal in ["500 unknown command", "502 5.5.1 not implemented"] {
        dialog(
            chunking(&[transaction(&["b@d.example"])]),
            &format!(
                "S: 220 mx.example
                 C: EHLO c.example
                 S: 250-mx.example
                 S: 250-PIPELINING
                 S: 250 CHUNKING
                 C: MAIL FROM:<a@c.example>
                 C: RCPT TO:<b@d.example>
                 S: 250 ok
                 S: 250 ok
                 C: BDAT 4
                 C: x
                 C: .BDAT 1 LAST
                 C: y
                 S: {refusal}
                 S: 500 unknown command
                 E: failed at Content for now: the server announces BDAT and does not know it: {refusal}"
            ),
        );
    }
}

#[test]
fn lmtp_has_a_reply_for_each_recipient() {
    let session = || {
        let transactions = [transaction(&["b@d.example", "c@d.example", "d@d.example"])];
        Session::new(Config { lmtp: true, ..config() }, transactions)
    };
    dialog(
        session,
        "S: 220 lmtp
         C: LHLO c.example
         S: 250-lmtp
         S: 250 PIPELINING
         C: MAIL FROM:<a@c.example>
         C: RCPT TO:<b@d.example>
         C: RCPT TO:<c@d.example>
         C: RCPT TO:<d@d.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 550 no
         S: 250 ok
         S: 354 go
         E: 1 refused for good: 550 no
         C: x
         C: ..y
         C: .
         S: 250 delivered
         E: 0 final: 250 delivered
         S: 452 4.2.2 full
         E: 2 final: 452 4.2.2 full
         E: done: Each
         C: QUIT",
    );
}

#[test]
fn a_long_list_goes_out_in_groups() {
    let addresses: Vec<String> = (0..250).map(|number| format!("r{number}@d.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut session = Session::new(config(), [transaction(&addresses)]);
    session.run();
    session.hear(b"220 x\r\n");
    let mut said = session.hear(b"250-x\r\n250 PIPELINING\r\n");
    let mut groups = 0;
    while !said.contains("C: DATA") {
        let commands = said.lines().count();
        assert!((1..=100).contains(&commands));
        groups += 1;
        said = session.hear(&b"250 ok\r\n".repeat(commands));
    }
    assert_eq!(groups, 2);
    assert_eq!(said.lines().count(), 52);
}
