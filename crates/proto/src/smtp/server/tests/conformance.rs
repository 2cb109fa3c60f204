//! Cases of docs/conformance.md that no other dialog shows; the numbers are that table's.

use super::*;

/// `everything()` with AUTH done and nothing else.
fn logged_in() -> Session {
    let mut session = greeted(everything());
    assert!(session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n").starts_with("235"));
    session
}

/// Keywords of IANA's registry "SMTP Service Extensions".
const REGISTERED: &[&str] = &[
    "EXPN",
    "HELP",
    "SIZE",
    "8BITMIME",
    "PIPELINING",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "ETRN",
    "ATRN",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "AUTH",
    "SMTPUTF8",
    "DELIVERBY",
    "MT-PRIORITY",
    "FUTURERELEASE",
    "REQUIRETLS",
    "LIMITS",
    "RRVS",
    "BURL",
    "NO-SOLICITING",
    "MTRK",
    "SEND",
    "SOML",
    "SAML",
    "TURN",
];

fn announced(said: &str) -> Vec<(String, String)> {
    let lines = said.lines().skip(1).map(|line| &line[4..]);
    lines
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(keyword, parameters)| (keyword.to_owned(), parameters.to_owned()))
        .collect()
}

/// C006, C015, C268
#[test]
fn keywords_are_registered_and_well_formed() {
    for config in [config(), everything()] {
        let mut session = greeted(config);
        let said = session.say(b"EHLO c.example\r\n");
        let keywords = announced(&said);
        for (keyword, _) in &keywords {
            assert!(REGISTERED.contains(&keyword.as_str()) || keyword.starts_with('X'), "{keyword}");
            assert!(keyword.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-'));
        }
        let parameters = |name| keywords.iter().find(|(keyword, _)| keyword == name).map(|(_, p)| p.as_str());
        assert_eq!((parameters("SMTPUTF8"), parameters("8BITMIME")), (Some(""), Some("")));
        assert_eq!(keywords.len(), keywords.iter().collect::<std::collections::BTreeSet<_>>().len());
    }
}

/// C014
#[test]
fn what_is_announced_is_served() {
    let mut session = greeted(everything());
    let keywords = announced(&session.say(b"EHLO c.example\r\n"));
    assert!(keywords.len() >= 15);
    for (keyword, command, code) in [
        ("HELP", "HELP", "214"),
        ("EXPN", "EXPN list", "250"),
        ("SIZE", "MAIL FROM:<> SIZE=1", "250"),
        ("8BITMIME", "MAIL FROM:<> BODY=8BITMIME", "250"),
        ("SMTPUTF8", "MAIL FROM:<> SMTPUTF8", "250"),
        ("BINARYMIME", "MAIL FROM:<> BODY=BINARYMIME", "250"),
        ("DSN", "MAIL FROM:<> RET=FULL ENVID=x", "250"),
        ("DELIVERBY", "MAIL FROM:<> BY=120;R", "250"),
        ("MT-PRIORITY", "MAIL FROM:<> MT-PRIORITY=3", "250"),
        ("FUTURERELEASE", "MAIL FROM:<> HOLDFOR=3600", "250"),
        ("NO-SOLICITING", "MAIL FROM:<> SOLICIT=com.example:ADV", "250"),
        ("MTRK", "MAIL FROM:<> ENVID=x MTRK=QUJD", "250"),
        ("RRVS", "RCPT TO:<bob@ours.example> RRVS=2014-04-03T23:01:00Z", "503"),
        ("CHUNKING", "BDAT 0 LAST", "503"),
        ("AUTH", "AUTH PLAIN", "334"),
        ("STARTTLS", "STARTTLS", "220"),
    ] {
        assert!(keywords.iter().any(|(name, _)| name == keyword), "{keyword} is not announced");
        let mut session = greeted(everything());
        let said = session.say(format!("{command}\r\n").as_bytes());
        assert!(said.starts_with(code), "{command}: {said}");
    }
}

/// C016
#[test]
fn tls_changes_what_is_announced() {
    let mut config = everything();
    config.plaintext_auth = false;
    let mut session = greeted(config);
    let before = session.say(b"EHLO c.example\r\n");
    assert!(before.contains("STARTTLS") && !before.contains("PLAIN"));
    session.say(b"STARTTLS\r\n");
    let after = session.say(b"EHLO c.example\r\n");
    assert!(!after.contains("STARTTLS") && after.contains("PLAIN"));
}

/// C008, C009, C011, C013
#[test]
fn hello_in_all_its_forms() {
    after_ehlo(
        &config(),
        "C: HELO
         S: 501 5.5.4 syntax error in the arguments
         C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         C: EHLO [192.0.2.7]
         S: 250-mx.ours.example
         S: 250-PIPELINING
         S: 250-8BITMIME
         S: 250-ENHANCEDSTATUSCODES
         S: 250-HELP
         S: 250-SIZE 52428800
         S: 250-LIMITS RCPTMAX=1000
         S: 250-CHUNKING
         S: 250 SMTPUTF8
         C: RCPT TO:<bob@ours.example>
         S: 503 5.5.1 RCPT comes after MAIL
         C: HELO [192.0.2.7]
         S: 250 mx.ours.example
         C: MAIL FROM:<a@b.example> BODY=8BITMIME
         S: 555 5.5.4 unknown parameter
         C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK",
    );
}

/// C023, C024, C026, C270, C323
#[test]
fn a_mail_command_that_is_wrong_opens_nothing() {
    for (bad, code) in [
        ("MAIL FROM:<a@b.example> FOO=bar", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> FOO", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> SIZE=abc", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<a@b.example", "501 5.1.7"),
        ("MAIL FROM:<a@b.example>>x", "501 5.5.4"),
        ("MAIL FROM:", "501 5.1.7"),
        ("MAIL", "501 5.5.4"),
        ("MAIL TO:<a@b.example>", "501 5.5.4"),
        ("MAIL FROM:<bob>", "501 5.1.7"),
    ] {
        let mut session = greeted(everything());
        let said = session.say(format!("{bad}\r\nRCPT TO:<bob@ours.example>\r\n").as_bytes());
        assert!(said.starts_with(code) && said.contains("\r\n503 5.5.1"), "{bad}: {said}");
    }
}

/// C022, C270
#[test]
fn a_space_behind_the_colon_is_forgiven_and_smtputf8_is_no_parameter_of_rcpt() {
    after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: RCPT TO:<bob@ours.example> SMTPUTF8
         S: 555 5.5.4 unknown parameter
         C: RCPT TO: <bob@ours.example>
         S: 250 2.1.5 recipient OK",
    );
}

/// C025, C044
#[test]
fn a_second_mail_changes_nothing_and_an_accepted_message_clears_all() {
    let seen = after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: MAIL FROM:<c@d.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 503 5.5.1 a transaction is open already
         S: 354 end data with <CR><LF>.<CR><LF>
         C: .
         C: RCPT TO:<bob@ours.example>
         S: 250 2.0.0 queued as 1
         S: 503 5.5.1 RCPT comes after MAIL
         C: MAIL FROM:<e@f.example>
         S: 250 2.1.0 sender OK",
    );
    assert_eq!(seen.messages[0].0.reverse_path.to_string(), "a@b.example");
    assert_eq!(seen.messages[0].0.recipients.len(), 1);
}

/// C049, C266
#[test]
fn rset_forgets_the_transaction_and_nothing_else() {
    let mut session = logged_in();
    session.say(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@ours.example>\r\n");
    let before = session.server.session().clone();
    assert_eq!(session.say(b"RSET\r\n"), "250 2.0.0 OK\r\n");
    assert_eq!(*session.server.session(), before);
    assert!(session.say(b"RCPT TO:<bob@ours.example>\r\n").starts_with("503"));
    assert!(session.say(b"MAIL FROM:<a@b.example>\r\n").starts_with("250"));
}

/// C050, C053, C056
#[test]
fn quit_takes_nothing_and_ends_everything() {
    let seen = after_ehlo(
        &config(),
        "C: QUIT now
         S: 501 5.5.4 syntax error in the arguments
         C: VRFY
         S: 501 5.5.4 syntax error in the arguments
         C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: QUIT
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 221 2.0.0 closing the connection",
    );
    assert_eq!(seen, Seen::default());
}

/// C061
#[test]
fn turn_turns_nothing_whoever_asks() {
    let mut session = logged_in();
    let said = session.say(b"TURN\r\n220 gotcha\r\nNOOP\r\n");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("502 5.5.1") && lines[1].starts_with("500 5.5.1"));
    assert_eq!(lines[2], "250 2.0.0 OK");
    assert!(!session.say(b"EHLO c.example\r\n").contains("TURN"));
}

/// C064, C316, C317
#[test]
fn verbs_of_the_past_are_known_and_change_nothing() {
    let mut session = greeted(config());
    for verb in ["SEND FROM:<a@b.example>", "SOML FROM:<a@b.example>", "SAML FROM:<a@b.example>"] {
        assert!(session.say(format!("{verb}\r\n").as_bytes()).starts_with("502 5.5.1"), "{verb}");
        assert!(session.say(b"RCPT TO:<bob@ours.example>\r\n").starts_with("503 5.5.1"));
    }
    for verb in ["VERB ON", "VERB", "ONEX"] {
        assert!(session.say(format!("{verb}\r\n").as_bytes()).starts_with("502 5.5.1"), "{verb}");
        assert_eq!(session.say(b"NOOP\r\n"), "250 2.0.0 OK\r\n");
    }
    assert_eq!(session.say(b"MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 sender OK\r\n");
    let said = session.say(b"EHLO c.example\r\n");
    assert!(["SEND", "SOML", "SAML", "VERB", "ONEX"].iter().all(|verb| !said.contains(verb)), "{said}");
}

/// C064, C065: RFC 821 §3.4
#[test]
fn send_soml_and_saml_begin_a_transaction_like_mail() {
    let mut config = config();
    config.extensions.send = true;
    let mut session = Session::new(config.clone());
    session.say(b"");
    assert_eq!(
        session.say(b"SEND FROM:<a@b.example>\r\n"),
        "503 5.5.1 say EHLO first\r\n",
        "not before EHLO or HELO"
    );
    let said = session.say(b"EHLO c.example\r\n");
    assert!(["SEND\r\n", "SOML\r\n", "SAML\r\n"].iter().all(|verb| said.contains(verb)), "{said}");
    for verb in ["SEND", "soml", "SaMl"] {
        let begin = format!("{verb} FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\n");
        assert_eq!(session.say(begin.as_bytes()), "250 2.1.0 sender OK\r\n", "{verb}");
        for nested in ["MAIL", "SEND", "SOML", "SAML"] {
            let said = session.say(format!("{nested} FROM:<a@b.example>\r\n").as_bytes());
            assert!(said.starts_with("503 5.5.1"), "{nested} in {verb}: {said}");
        }
        assert!(session.say(b"RCPT TO:<bob@ours.example>\r\n").starts_with("250"));
        assert!(session.say(b"DATA\r\n").starts_with("354"));
        assert!(session.say(b"Subject: x\r\n\r\nx\r\n.\r\n").starts_with("250"));
    }
    assert_eq!(session.seen.messages.len(), 3);
    for wrong in ["SEND", "SOML TO:<a@b.example>", "SAML FROM:a b", "SEND FROM:<a@b.example> XYZZY=1"] {
        let said = session.say(format!("{wrong}\r\n").as_bytes());
        assert!(said.starts_with("501") || said.starts_with("555"), "{wrong}: {said}");
    }
    for verb in ["SEND", "SOML", "SAML"] {
        assert!(
            session
                .say(format!("HELP {verb}\r\n").as_bytes())
                .starts_with(&format!("214 2.0.0 {verb} FROM:"))
        );
    }
}

/// C055: RFC 5321 §4.1.1.8
#[test]
fn help_knows_each_command_that_is_served_and_no_other() {
    let mut session = greeted(config());
    let listed = session.say(b"HELP\r\n");
    let verbs: Vec<&str> = listed.lines().nth(1).unwrap().split(' ').skip(1).collect();
    assert!(verbs.len() > 10 && !listed.contains("SOML") && !listed.contains("LHLO"), "{listed}");
    for verb in verbs {
        let said = session.say(format!("help {verb}\r\n").as_bytes());
        assert!(said.starts_with(&format!("214 2.0.0 {verb}")), "{said}");
    }
    for verb in ["SEND", "EXPN", "AUTH", "STARTTLS", "LHLO"] {
        assert!(session.say(format!("HELP {verb}\r\n").as_bytes()).starts_with("504 5.5.4"), "{verb}");
    }
}

/// C073
#[test]
fn verbs_of_burglars_count_as_errors() {
    let mut session = greeted(config());
    let verbs = ["WIZ", "DEBUG", "KILL", "SHOWQ", "XEXCH50 1 2"];
    for verb in verbs {
        assert!(session.say(format!("{verb}\r\n").as_bytes()).starts_with("500 5.5.1"), "{verb}");
    }
    let said = session.say("WIZ\r\nNOOP\r\n".repeat(20).as_bytes());
    assert!(said.ends_with("421 4.7.0 too many errors\r\n") && session.closed, "they count");
}

/// C305, C306, C308, C310, C312, C314, C318
#[test]
fn parameters_of_what_is_not_offered_are_refused_with_and_without_ehlo() {
    let parameters = [
        "SOLICIT=net.example:ADV",
        "MTRK=Ab12Cd34Ef56",
        "TRANSID=<x@y.example>",
        "SUBMITTER=x@y.example",
        "CONPERM",
        "ALT-ADDRESS=a@b.example",
    ];
    // All but what is off unless it is switched on.
    let mut usual = everything();
    usual.extensions.tracking = false;
    usual.no_soliciting = mail::Solicitation::default();
    for parameter in parameters {
        let line = format!("MAIL FROM:<a@b.example> {parameter}\r\n");
        let mut early = Session::new(config());
        early.say(b"");
        let said = early.say(line.as_bytes());
        assert_eq!(said, "555 5.5.4 unknown parameter\r\n", "{parameter}");
        assert_eq!(greeted(usual.clone()).say(line.as_bytes()), said);
    }
    for parameter in ["CONNEG", "ALT-ADDRESS=a@b.example", "SOLICIT=x"] {
        let mut session = greeted(everything());
        session.say(b"MAIL FROM:<a@b.example>\r\n");
        let line = format!("RCPT TO:<bob@ours.example> {parameter}\r\n");
        assert_eq!(session.say(line.as_bytes()), "555 5.5.4 unknown parameter\r\n");
    }
    let said = greeted(usual).say(b"EHLO c.example\r\n");
    for keyword in ["NO-SOLICITING", "MTRK", "CHECKPOINT", "SUBMITTER", "CONPERM", "CONNEG", "UTF8SMTP"] {
        assert!(announced(&said).iter().all(|(announced, _)| announced != keyword), "{keyword}");
    }
}

/// C076: every reply has its enhanced code, of its own class; greeting, hello, 334 and 354 have none.
#[test]
fn replies_have_enhanced_codes() {
    let mut session = greeted(everything());
    for line in [
        "NOOP",
        "RSET",
        "HELP",
        "HELP MAIL",
        "HELP XYZZY",
        "VRFY bob",
        "VRFY",
        "EXPN list",
        "XYZZY",
        "TURN",
        "RCPT TO:<bob@ours.example>",
        "DATA",
        "MAIL FROM:a@b",
        "MAIL FROM:<a@b> SIZE=x",
        "MAIL FROM:<a@b> FOO",
        "MAIL FROM:<a@b.example>",
        "MAIL FROM:<a@b.example>",
        "RCPT TO:<>",
        "RCPT TO:<x@ours.example>",
        "RCPT TO:<bob@ours.example>",
        "BDAT 2\r\nab",
        "BDAT 1 LAST\r\nc",
        "AUTH CRAM-MD5",
        "AUTH PLAIN !!",
        "AUTH PLAIN AGJvYgB3cm9uZw==",
        "AUTH PLAIN AGJvYgBzZWNyZXQ=",
        "STARTTLS x",
        "QUIT",
    ] {
        let said = session.say(format!("{line}\r\n").as_bytes());
        assert!(!said.is_empty(), "{line}");
        for reply in said.lines() {
            let enhanced = reply[4..].split(' ').next().unwrap();
            let numbers: Vec<&str> = enhanced.split('.').collect();
            assert_eq!((numbers.len(), numbers[0]), (3, &reply[..1]), "{line}: {reply}");
            assert!(numbers.iter().all(|number| number.parse::<u16>().is_ok()), "{line}: {reply}");
        }
    }
    assert!(session.closed);
}

/// C097: the dot that transparency adds does not count.
#[test]
fn a_text_line_of_a_thousand_octets_passes_as_it_is() {
    let line = format!(".{}\r\n", "x".repeat(997));
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    assert!(session.say(format!(".{line}.\r\n").as_bytes()).starts_with("250"));
    assert_eq!((line.len(), &session.seen.messages[0].1[..]), (1000, line.as_bytes()));
}

/// C207, C209
#[test]
fn a_declared_size_is_a_hint_and_zero_is_no_limit() {
    let mut free = config();
    free.limits.message_bytes_max = 0;
    let mut session = greeted(free);
    assert!(session.say(b"EHLO c.example\r\n").contains("250-SIZE 0\r\n"));
    session.say(b"MAIL FROM:<> SIZE=18446744073709551615\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    assert!(session.say(b"any length\r\n.\r\n").starts_with("250 "));

    let mut small = config();
    small.limits.message_bytes_max = 10;
    let mut session = greeted(small);
    session.say(b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    assert!(session.say(b"more than ten\r\n.\r\n").starts_with("552 5.3.4"));
    session.say(b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    assert!(session.say(b"five\r\n.\r\n").starts_with("250 "), "what is declared does not end the content");
    assert_eq!(session.seen.messages[0].1, b"five\r\n");
}

/// C116, C119, C125, C126 on the wire: one bad path, one reply, and the session goes on.
#[test]
fn bad_addresses_on_the_wire() {
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<a@b.example>\r\n");
    for path in [
        "a..b@ours.example",
        ".a@ours.example",
        "a.@ours.example",
        "a b@ours.example",
        "u@[256.0.0.1]",
        "u@[]",
        "just\"not\"right@ours.example",
        "u@[IPv6:1::2::3]",
        "u@[1.2.3]",
        "u@192.0.2.1",
        "u@example.com.",
        "u@-a.example",
        "u@a..b",
        "u@",
        "@b",
    ] {
        let said = session.say(format!("RCPT TO:<{path}>\r\n").as_bytes());
        assert!(said.starts_with("501 5.1.3 ") && said.lines().count() == 1, "{path}: {said}");
    }
    assert!(session.say(b"RCPT TO:<bob@ours.example>\r\n").starts_with("250"));
}
