use super::*;

const LOGIN: &str = "
    S: +OK mx.example.org POP3 server ready
    C: USER alice
    S: +OK now the password
    C: PASS open sesame
    S: +OK 2 messages (56 octets)
";

fn logged_in(text: &str) -> Driver {
    dialog(config(), &format!("{LOGIN}{text}"))
}

#[test]
fn a_session_of_rfc_1939() {
    let driver = logged_in(
        "C: STAT
         S: +OK 2 56
         C: LIST
         S: +OK 2 messages (56 octets)
         S: 1 31
         S: 2 25
         S: .
         C: LIST 2
         S: +OK 2 25
         C: UIDL
         S: +OK 2 messages (56 octets)
         S: 1 77.3
         S: 2 77.7
         S: .
         C: uidl 1
         S: +OK 1 77.3
         C: RETR 1
         S: +OK 31 octets
         S: Subject: one
         S: 
         S: ..hidden
         S: body
         S: .
         C: DELE 1
         S: +OK message 1 deleted
         C: RETR 1
         S: -ERR message 1 is deleted
         C: STAT
         S: +OK 1 25
         C: NOOP
         S: +OK nothing done
         C: QUIT
         S: +OK bye",
    );
    assert_eq!(driver.committed, Some(vec![3]));
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn numbers_that_lead_nowhere() {
    logged_in(
        "C: LIST 0
         S: -ERR no such message
         C: RETR 3
         S: -ERR no such message
         C: DELE 99999999999999999999
         S: -ERR no such message
         C: TOP 1
         S: -ERR an argument is missing
         C: DELE 2
         S: +OK message 2 deleted
         C: DELE 2
         S: -ERR message 2 is deleted
         C: UIDL 2
         S: -ERR message 2 is deleted
         C: LIST
         S: +OK 1 messages (31 octets)
         S: 1 31
         S: .",
    );
}

#[test]
fn rset_takes_deletions_back() {
    let driver = logged_in(
        "C: DELE 1
         S: +OK message 1 deleted
         C: DELE 2
         S: +OK message 2 deleted
         C: STAT
         S: +OK 0 0
         C: RSET
         S: +OK no message is deleted
         C: STAT
         S: +OK 2 56
         C: QUIT
         S: +OK bye",
    );
    assert_eq!(driver.committed, Some(vec![]));
}

#[test]
fn a_lost_connection_removes_nothing() {
    let mut driver = logged_in("C: DELE 1\nS: +OK message 1 deleted");
    driver.server.push_end();
    driver.run();
    assert_eq!(driver.ended, Some(Ended::Closed));
    assert_eq!(driver.committed, None);
}

#[test]
fn top_sends_the_header_and_some_lines() {
    logged_in(
        "C: TOP 2 0
         S: +OK 25 octets
         S: Subject: two
         S: 
         S: .
         C: TOP 2 2
         S: +OK 25 octets
         S: Subject: two
         S: 
         S: 1
         S: 2
         S: .
         C: TOP 2 99999
         S: +OK 25 octets
         S: Subject: two
         S: 
         S: 1
         S: 2
         S: 3
         S: .",
    );
}

#[test]
fn pipelined_commands_are_answered_in_order_and_in_one_write() {
    let mut driver = Driver::new(config());
    driver.run();
    driver.writes.clear();
    driver.push(b"USER alice\r\nPASS open sesame\r\nSTAT\r\nRETR 2\r\nQUIT\r\n");
    let lines: Vec<String> = driver.take_lines().into();
    assert_eq!(
        lines.join("\n"),
        "+OK mx.example.org POP3 server ready\n+OK now the password\n+OK 2 messages (56 octets)\n+OK 2 56\n\
         +OK 25 octets\nSubject: two\n\n1\n2\n3\n.\n+OK bye"
    );
    assert_eq!(driver.writes.len(), 1);
}

#[test]
fn commands_out_of_place() {
    dialog(
        config(),
        "S: +OK mx.example.org POP3 server ready
         C: STAT
         S: -ERR log in first
         C: NOOP
         S: -ERR log in first
         C: PASS open sesame
         S: -ERR USER comes first
         C: USER alice
         S: +OK now the password
         C: CAPA x
         S: -ERR that command takes no argument
         C: PASS open sesame
         S: +OK 2 messages (56 octets)
         C: USER alice
         S: -ERR you are logged in already
         C: STLS
         S: -ERR you are logged in already
         C: UTF8
         S: -ERR you are logged in already
         C: XTND
         S: -ERR unknown command",
    );
}

#[test]
fn auth_plain_with_and_without_initial_response() {
    dialog(
        config(),
        "S: +OK mx.example.org POP3 server ready
         C: AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l
         S: +OK 2 messages (56 octets)",
    );
    dialog(
        config(),
        "S: +OK mx.example.org POP3 server ready
         C: AUTH PLAIN
         S: + 
         C: AGFsaWNlAG9wZW4gc2VzYW1l
         S: +OK 2 messages (56 octets)",
    );
}

#[test]
fn auth_login_cancel_and_nonsense() {
    dialog(
        config(),
        "S: +OK mx.example.org POP3 server ready
         C: AUTH LOGIN
         S: + VXNlcm5hbWU6
         C: *
         S: -ERR the authentication is cancelled
         C: AUTH LOGIN
         S: + VXNlcm5hbWU6
         C: /w==
         S: -ERR that is no message of this mechanism
         C: AUTH PLAIN =
         S: -ERR that is no message of this mechanism
         C: AUTH PLAIN !!!
         S: -ERR the line is not base64
         C: AUTH CRAM-MD5
         S: -ERR there is no such mechanism
         C: AUTH
         S: -ERR an argument is missing
         C: AUTH login YWxpY2U=
         S: + UGFzc3dvcmQ6
         C: b3BlbiBzZXNhbWU=
         S: +OK 2 messages (56 octets)",
    );
}

#[test]
fn unknown_user_and_wrong_password_get_the_same_words_and_the_third_failure_closes() {
    let driver = dialog(
        config(),
        "S: +OK mx.example.org POP3 server ready
         C: USER nobody
         S: +OK now the password
         C: PASS open sesame
         S: -ERR [AUTH] the user name or the password is wrong
         C: USER alice
         S: +OK now the password
         C: PASS wrong
         S: -ERR [AUTH] the user name or the password is wrong
         C: AUTH PLAIN AGFsaWNlAHdyb25n
         S: -ERR [AUTH] the user name or the password is wrong",
    );
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn a_maildrop_in_use() {
    let mut driver = Driver::new(config());
    driver.locked = true;
    driver.converse(
        "S: +OK mx.example.org POP3 server ready
         C: USER alice
         S: +OK now the password
         C: PASS open sesame
         S: -ERR [IN-USE] another session has this maildrop open
         C: STAT
         S: -ERR log in first",
    );
}

#[test]
fn passwords_in_clear_want_tls() {
    let config = Config { tls: Tls::Available, allow_plaintext_auth: false, ..config() };
    let mut driver = dialog(
        config,
        "S: +OK mx.example.org POP3 server ready
         C: USER alice
         S: -ERR [AUTH] no passwords without TLS
         C: AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l
         S: -ERR [AUTH] no passwords without TLS
         C: CAPA
         S: +OK capabilities follow
         S: TOP
         S: UIDL
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: PIPELINING
         S: UTF8 USER
         S: LANG
         S: SASL SCRAM-SHA-256 SCRAM-SHA-1
         S: STLS
         S: EXPIRE NEVER
         S: LOGIN-DELAY 0
         S: IMPLEMENTATION Postrider
         S: .
         C: STLS
         S: +OK begin TLS",
    );
    assert_eq!(driver.ended.take(), Some(Ended::WantsTls));
    driver.server.handle_tls_started();
    driver.converse(
        "C: CAPA
         S: +OK capabilities follow
         S: TOP
         S: UIDL
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: PIPELINING
         S: UTF8 USER
         S: LANG
         S: USER
         S: SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN
         S: EXPIRE NEVER
         S: LOGIN-DELAY 0
         S: IMPLEMENTATION Postrider
         S: .
         C: STLS
         S: -ERR TLS is active already
         C: USER alice
         S: +OK now the password
         C: PASS open sesame
         S: +OK 2 messages (56 octets)",
    );
}

#[test]
fn what_was_said_before_tls_is_forgotten() {
    let mut driver = Driver::new(Config { tls: Tls::Available, ..config() });
    driver.push(b"USER alice\r\nSTLS\r\nPASS open sesame\r\nDELE 1\r\nQU");
    assert_eq!(driver.ended.take(), Some(Ended::WantsTls));
    assert!(driver.output.ends_with(b"+OK begin TLS\r\n"));
    driver.output.clear();
    driver.server.push(b"PASS open sesame\r\n");
    driver.server.handle_tls_started();
    driver.converse(
        "C: PASS open sesame
         S: -ERR USER comes first",
    );
}

#[test]
fn stls_is_refused_where_it_cannot_be() {
    dialog(config(), "S: +OK mx.example.org POP3 server ready\nC: STLS\nS: -ERR TLS is not available here");
    dialog(
        Config { tls: Tls::Available, ..config() },
        "S: +OK mx.example.org POP3 server ready
         C: UTF8
         S: +OK UTF-8 it is
         C: STLS
         S: -ERR STLS comes before UTF8",
    );
}

#[test]
fn a_message_that_is_gone_is_not_another_message() {
    let mut driver = logged_in("");
    driver.messages.remove(0);
    driver.converse(
        "C: RETR 1
         S: -ERR the message was removed meanwhile
         C: RETR 2
         S: +OK 25 octets
         S: Subject: two
         S: 
         S: 1
         S: 2
         S: 3
         S: .",
    );
}

#[test]
fn failures_of_the_store_are_temporary() {
    let mut server = Server::new(config());
    let now = Instant::now();
    let mut output = Vec::new();
    server.push(b"AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l\r\nAUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l\r\nRETR 1\r\nTOP 1 1\r\n");
    let listing = MaildropListing { uid_validity: 1, entries: vec![MaildropEntry { octets: 9, uid: 1 }] };
    let mut logins = 0;
    let mut reads = 0;
    loop {
        match server.poll(now) {
            Step::Event(Event::Authenticate(_)) if logins == 0 => {
                logins += 1;
                server.answer_unavailable();
            }
            Step::Event(Event::Authenticate(_)) => server.answer_authenticated(&listing),
            Step::Event(Event::Retrieve { uid: 1 }) if reads == 0 => {
                reads += 1;
                server.answer_content_failed();
            }
            Step::Event(Event::Retrieve { uid: 1 }) => server.answer_content(b"a: b\r\n"),
            Step::Event(Event::MoreContent) => server.answer_content_failed(),
            Step::Write(octets) => output.extend(octets),
            Step::Close => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "+OK mx.example.org POP3 server ready\r\n\
         -ERR [SYS/TEMP] the maildrop cannot be opened now\r\n\
         +OK 1 messages (9 octets)\r\n\
         -ERR [SYS/TEMP] the message cannot be read now\r\n\
         +OK 9 octets\r\na: b\r\n"
    );
}

#[test]
fn a_browser_is_sent_away_without_an_echo() {
    let mut driver = Driver::new(config());
    driver.push(b"POST / HTTP/1.1\r\nHost: <script>\r\n\r\nUSER alice\r\n");
    assert_eq!(driver.ended, Some(Ended::Closed));
    let lines = driver.take_lines();
    assert_eq!(lines.back().unwrap(), "-ERR this is POP3, not HTTP");
    assert_eq!(lines.len(), 2);
}

#[test]
fn languages_are_told_in_every_state() {
    let dialog = "C: LANG
         S: +OK languages follow
         S: en English
         S: i-default English, in plain words
         S: .
         C: lang en-GB
         S: +OK en it is
         C: LANG *
         S: +OK en it is
         C: LANG tlh
         S: -ERR that is not spoken here; nothing changes
         C: LANG en de
         S: -ERR too many arguments";
    super::dialog(config(), &format!("S: +OK mx.example.org POP3 server ready\n{dialog}"));
    logged_in(dialog);
}
