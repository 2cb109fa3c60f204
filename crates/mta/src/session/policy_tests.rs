//! Policy as a client meets it.

use std::time::Duration;

use proto::smtp::server::Flavour;
use store::ledger::Event;

use crate::{
    Config,
    config::Forwarding,
    policy::limits::Rate,
    testing::{Site, config},
};

const MESSAGE: &str = "C: MAIL FROM:<alice@there.example>
    S: 250
    C: RCPT TO:<bob@here.example>
    S: 250
    C: DATA
    S: 354
    C: x
    C: .
    S: 250";

fn few(count: u32) -> Rate {
    Rate::new(count, Duration::from_hours(1))
}

fn limited(limit: impl FnOnce(&mut Config)) -> Config {
    let mut config = config(vec![]);
    limit(&mut config);
    config
}

#[tokio::test]
async fn the_history_keeps_what_policy_said() {
    let site = Site::new(limited(|config| config.clients.network.messages = Some(few(10)))).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.say("MAIL FROM:<alice@there.example>").await;
    wire.expect("250").await;
    wire.dialog(
        "C: RCPT TO:<carol@elsewhere.example>
         S: 550 5.7.1
         C: RCPT TO:<bob@here.example>
         S: 250
         C: DATA
         S: 354
         C: x
         C: .",
    )
    .await;
    let reply = wire.expect("250 2.0.0 accepted as").await;
    let id = reply.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    let events = site.stores.ledger.events(id).await.unwrap();
    let verdicts = events.into_iter().find_map(|(_, event)| match event {
        Event::Verdicts { verdicts } => Some(verdicts),
        _ => None,
    });
    let told: Vec<String> = verdicts
        .unwrap()
        .into_iter()
        .map(|verdict| format!("{} {:?} {}", verdict.rule, verdict.inputs, verdict.outcome))
        .collect();
    assert_eq!(
        told,
        [
            r#"rate [("counted", "messages"), ("from", "192.0.2.1")] within limits"#,
            r#"relay [("client", "192.0.2.1"), ("recipient", "bob@here.example")] the domain is hosted here"#,
            r#"recipient [("recipient", "bob@here.example"), ("lane", "local")] there is a way"#,
        ]
    );
}

#[tokio::test]
async fn a_network_may_send_so_many_messages_and_is_told_when_to_come_back() {
    let site = Site::new(limited(|config| config.clients.network.messages = Some(few(2)))).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(MESSAGE).await;
    wire.dialog(MESSAGE).await;
    wire.say("MAIL FROM:<alice@there.example>").await;
    let reply = wire.expect("450 4.7.1 too many messages from your network; try again in").await;
    assert!(reply.contains("30 minutes"), "{reply}");
    // Its neighbours are not held up, and who is trusted is not counted.
    site.connect("192.0.2.2").await.dialog(MESSAGE).await;
    let mut trusted = site.connect("127.0.0.1").await;
    for _ in 0..5 {
        trusted.dialog(MESSAGE).await;
    }
}

#[tokio::test]
async fn recipients_count_by_network_and_the_whole_of_it_too() {
    let site = Site::new(limited(|config| {
        config.clients.network.recipients = Some(few(1));
        config.clients.aggregate_factor = 2;
    }))
    .await;
    site.connect("192.0.2.1").await.dialog(MESSAGE).await;
    site.connect("192.0.2.2").await.dialog(MESSAGE).await;
    site.connect("192.0.2.3")
        .await
        .dialog(
            "C: MAIL FROM:<alice@there.example>
             S: 250
             C: RCPT TO:<bob@here.example>
             S: 450 4.7.1 too many recipients from your network",
        )
        .await;
    site.connect("198.51.100.1").await.dialog(MESSAGE).await;
}

#[tokio::test]
async fn an_account_has_its_own_quota_wherever_it_sends_from() {
    let site = Site::new(limited(|config| config.clients.account.recipients = Some(few(2)))).await;
    for (ip, answer) in [("127.0.0.1", "250"), ("127.0.0.2", "250"), ("127.0.0.3", "450 4.7.1 too many")] {
        let mut wire = site.connect_to(ip, Flavour::Submission).await;
        wire.dialog(&format!(
            "C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
             S: 235
             C: MAIL FROM:<bob@here.example>
             S: 250
             C: RCPT TO:<bob@here.example>
             S: {answer}"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_network_that_makes_too_many_errors_is_sent_away_and_stays_away() {
    let site = Site::new(limited(|config| {
        config.clients.network.errors = Some(few(2));
        config.clients.tarpit.delay = Duration::ZERO;
    }))
    .await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: XYZZY
         S: 500
         C: XYZZY
         S: 500
         C: XYZZY
         S: 500",
    )
    .await;
    wire.expect("421 4.7.0 too many errors from your network").await;
    let mut wire = site.connect_in_silence("192.0.2.1", Flavour::Smtp);
    wire.expect("220").await;
    wire.say("EHLO client.example").await;
    wire.expect("421 4.7.0 too many errors").await;
    site.connect("192.0.2.2").await;
}

#[tokio::test]
async fn commands_are_counted_over_sessions() {
    let site = Site::new(limited(|config| config.clients.network.commands = Some(few(3)))).await;
    site.connect("192.0.2.1").await.dialog("C: NOOP\nS: 250").await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog("C: NOOP\nS: 250").await;
    wire.expect("421 4.7.0 too many commands from your network").await;
}

#[tokio::test]
async fn strangers_get_few_success_reports() {
    let site = Site::new(limited(|config| config.clients.network.success_reports = Some(few(1)))).await;
    let script = |answer: &str| {
        format!(
            "C: RSET
             S: 250
             C: MAIL FROM:<alice@there.example>
             S: 250
             C: RCPT TO:<bob@here.example> NOTIFY=SUCCESS
             S: {answer}
             C: RCPT TO:<bob@here.example> NOTIFY=FAILURE
             S: 250"
        )
    };
    let mut stranger = site.connect("192.0.2.1").await;
    stranger.dialog(&script("250")).await;
    stranger.dialog(&script("450 4.7.1 too many requests for success reports")).await;
    let mut trusted = site.connect("127.0.0.1").await;
    trusted.dialog(&script("250")).await;
    trusted.dialog(&script("250")).await;
}

/// RFC 9228 §3
#[tokio::test]
async fn what_was_delivered_for_an_address_does_not_come_back_for_it() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect("192.0.2.1").await;
    for (delivered_to, answer) in [("Bob@HERE.example", "554 5.4.6"), ("carol@here.example", "250")] {
        wire.dialog(&format!(
            "C: MAIL FROM:<alice@there.example>
             S: 250
             C: RCPT TO:<bob@here.example>
             S: 250
             C: DATA
             S: 354
             C: Delivered-To: nobody
             C: Delivered-To: {delivered_to}
             C: 
             C: x
             C: .
             S: {answer}"
        ))
        .await;
    }
    site.mail("bob@here.example", 1).await;
}

#[tokio::test]
async fn a_client_that_talks_before_the_greeting_is_refused() {
    let site = Site::new(limited(|config| config.clients.greeting_delay = Duration::from_millis(300))).await;
    let mut hasty = site.connect_in_silence("192.0.2.1", Flavour::Smtp);
    hasty.say("EHLO client.example").await;
    hasty.expect("554 5.5.0 improper pipelining").await;
    site.connect("192.0.2.1").await.dialog(MESSAGE).await;
    let events = site.stores.ledger.find("bob@here.example", 1).await.unwrap();
    let events = site.stores.ledger.events(events[0]).await.unwrap();
    assert!(format!("{events:?}").contains("waited for the greeting"), "{events:?}");
    // Who is exempt does not wait.
    let mut trusted = site.connect_in_silence("127.0.0.1", Flavour::Smtp);
    trusted.expect("220").await;
}

#[tokio::test]
async fn errors_are_answered_later_and_later_and_hold_up_nobody_else() {
    let site = Site::new(limited(|config| {
        config.clients.tarpit.errors_free = 1;
        config.clients.tarpit.delay = Duration::from_hours(1);
        config.clients.tarpit.delay_max = Duration::from_hours(1);
    }))
    .await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog("C: XYZZY\nS: 500").await;
    wire.say("XYZZY").await;
    site.connect("192.0.2.1").await.dialog(MESSAGE).await;
    let answered = tokio::time::timeout(Duration::from_millis(50), wire.expect("500")).await;
    assert!(answered.is_err(), "the second error is answered in an hour");
}

/// RFC 5321 §3.4, §7.4
#[tokio::test]
async fn where_a_user_went_is_told_to_nobody_unless_it_is_to_be() {
    let route = || crate::route::Route { recipient: "*".parse().unwrap(), via: crate::route::Via::Hold };
    for (forwarding, answer) in [
        (Forwarding::Silent, "250 2.1.5 recipient OK"),
        (Forwarding::Told, "251 2.1.5 user not local; will forward to <gone@elsewhere.example>"),
        (Forwarding::Redirected, "551 5.1.6 user not local; please try <gone@elsewhere.example>"),
    ] {
        let mut config = config(vec![route()]);
        config.disclosure.forwarding = forwarding;
        let site = Site::new(config).await;
        let target = vec!["gone@elsewhere.example".parse().unwrap()];
        let at = mail::Timestamp::from_millis(1);
        site.stores.directory.add_alias("went@here.example", target, at).await.unwrap();
        site.connect("192.0.2.1")
            .await
            .dialog(&format!(
                "C: MAIL FROM:<alice@there.example>
                 S: 250
                 C: RCPT TO:<went@here.example>
                 S: {answer}
                 C: RCPT TO:<bob@here.example>
                 S: 250 2.1.5 recipient OK"
            ))
            .await;
    }
}

/// RFC 5321 §7.6
#[tokio::test]
async fn the_submitters_address_can_be_left_out_of_received() {
    let site = Site::new(limited(|config| config.disclosure.submitter = false)).await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 235").await;
    wire.dialog(&MESSAGE.replace("alice@there.example", "bob@here.example")).await;
    let mail = site.mail("bob@here.example", 1).await;
    assert!(mail.contains("Received: from unknown by mx.here.example with ESMTPA"), "{mail}");
    assert!(!mail.contains("127.0.0.1") && !mail.contains("client.example"), "{mail}");
    site.connect("127.0.0.1").await.dialog(MESSAGE).await;
    assert!(site.mail("bob@here.example", 2).await.contains("from client.example ([127.0.0.1])"));
}

fn behind_a_proxy(limit: impl FnOnce(&mut Config)) -> Config {
    let mut config = limited(limit);
    config.proxies.xclient = vec!["192.0.2.9".parse().unwrap()];
    config.proxies.xforward = vec!["192.0.2.9".parse().unwrap()];
    config
}

#[tokio::test]
async fn policy_judges_the_client_that_xclient_names() {
    let site = Site::new(behind_a_proxy(|config| config.clients.network.messages = Some(few(1)))).await;
    for (client, answer) in [("192.0.2.1", "250"), ("192.0.2.1", "450 4.7.1"), ("198.51.100.2", "250")] {
        let mut proxy = site.connect("192.0.2.9").await;
        proxy
            .dialog(&format!(
                "C: XCLIENT ADDR={client} NAME=spike.example HELO=x.example
             S: 220 mx.here.example
             C: EHLO x.example
             S: 250
             C: MAIL FROM:<alice@there.example>
             S: {answer}"
            ))
            .await;
    }
    let mut proxy = site.connect("192.0.2.9").await;
    proxy
        .dialog(
            "C: XCLIENT ADDR=127.0.0.1 LOGIN=nobody@here.example
             S: 501 5.5.4
             C: XCLIENT ADDR=198.51.100.7 LOGIN=bob@here.example
             S: 220
             C: EHLO x.example
             S: 250
             C: MAIL FROM:<bob@here.example>
             S: 250
             C: RCPT TO:<carol@elsewhere.example>
             S: 550 5.4.4
             C: RSET
             S: 250
             C: XCLIENT ADDR=[UNAVAILABLE] LOGIN=[UNAVAILABLE]
             S: 220
             C: EHLO x.example
             S: 250
             C: MAIL FROM:<alice@there.example>
             S: 250
             C: RCPT TO:<carol@elsewhere.example>
             S: 550 5.7.1",
        )
        .await;
    let mut stranger = site.connect("192.0.2.8").await;
    stranger
        .dialog("C: XCLIENT ADDR=127.0.0.1\nS: 550 5.7.0\nC: XFORWARD ADDR=127.0.0.1\nS: 550 5.7.0")
        .await;
}

#[tokio::test]
async fn a_client_that_may_not_connect_may_not_come_by_xclient() {
    let site = Site::new(behind_a_proxy(|config| config.clients.network.connections = Some(few(1)))).await;
    for answer in ["220", "421 4.7.0 too many connections"] {
        let mut proxy = site.connect("192.0.2.9").await;
        proxy.dialog(&format!("C: XCLIENT ADDR=192.0.2.1\nS: {answer}")).await;
    }
}

#[tokio::test]
async fn xforward_is_written_down_and_decides_nothing() {
    let site = Site::new(behind_a_proxy(|_| ())).await;
    let mut proxy = site.connect("192.0.2.9").await;
    proxy
        .dialog(
            "C: XFORWARD NAME=spike.example ADDR=127.0.0.1
             S: 250
             C: XFORWARD HELO=forwarded.example IDENT=4711
             S: 250
             C: MAIL FROM:<alice@there.example>
             S: 250
             C: RCPT TO:<carol@elsewhere.example>
             S: 550 5.7.1
             C: RSET
             S: 250",
        )
        .await;
    proxy.dialog(MESSAGE).await;
    let mail = site.mail("bob@here.example", 1).await;
    assert!(mail.contains("Received: from forwarded.example (spike.example [127.0.0.1])"), "{mail}");
    let id = site.stores.ledger.find("bob@here.example", 1).await.unwrap()[0];
    let events = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    assert!(events.contains("forwarded.example") && events.contains("192.0.2.9"), "{events}");
    proxy.dialog(MESSAGE).await;
    assert!(site.mail("bob@here.example", 2).await.contains("from client.example ([192.0.2.9])"));
}

#[tokio::test]
async fn a_message_that_comes_again_and_again_is_put_off() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect("192.0.2.1").await;
    for time in 1..=102 {
        let reply = if time > 100 { "451 4.4.6" } else { "250" };
        wire.dialog("C: MAIL FROM:<a@there.example>\nS: 250\nC: RCPT TO:<bob@here.example>\nS: 250").await;
        wire.dialog(&format!(
            "C: DATA\nS: 354\nC: Message-ID: <1@there.example>\nC: \nC: x\nC: .\nS: {reply}"
        ))
        .await;
    }
    wire.dialog("C: MAIL FROM:<a@there.example>\nS: 250\nC: RCPT TO:<bob@here.example>\nS: 250").await;
    wire.dialog("C: DATA\nS: 354\nC: Message-ID: <2@there.example>\nC: \nC: x\nC: .\nS: 250").await;
}
