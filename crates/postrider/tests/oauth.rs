//! OAUTHBEARER and XOAUTH2 against an issuer on this host, through Python's smtplib and poplib.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use support::{
    server::{ALICE, BOB, Server},
    tools,
};

const OAUTH: &str = include_str!("support/python/oauth.py");

/// An HTTP server that gives every request the answer that is set now, and keeps the last request.
struct Issuer {
    port: u16,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<String>>,
}

impl Issuer {
    fn start(answer: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            port: listener.local_addr().unwrap().port(),
            answer: Arc::new(Mutex::new(answer.to_string())),
            asked: Arc::default(),
        };
        let (answer, asked) = (issuer.answer.clone(), issuer.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = vec![0; 8192];
                let len = stream.read(&mut request).unwrap();
                *asked.lock().unwrap() = String::from_utf8_lossy(&request[..len]).into_owned();
                let body = answer.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        issuer
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// An ES256 key pair made now.
struct Pair {
    key: EncodingKey,
    public: Jwk,
}

impl Pair {
    fn new() -> Self {
        let der = rcgen::KeyPair::generate().unwrap().serialize_der();
        let key = EncodingKey::from_ec_der(&der);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("now".to_owned());
        Self { key, public }
    }

    fn token(&self, address: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims =
            json!({"iss": "https://issuer.test", "aud": audience, "email": address, "exp": now + 300});
        let header = Header { kid: Some("now".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// What the program says of the token.
fn show(python: &Path, server: &Server, service: &str, mechanism: &str, user: &str, token: &str) -> String {
    let (name, port) = match service {
        "smtp" => ("smtp", server.port("submission")),
        _ => ("pop3", server.port("pop3")),
    };
    let arguments = [&port.to_string(), name, mechanism, user, token];
    String::from_utf8(tools::python(python, OAUTH, &arguments, b"").ok("oauth.py")).unwrap()
}

#[test]
fn tokens_signed_by_the_issuer_open_both_doors() {
    let Some(python) = tools::find("python3", "tokens") else { return };
    let (pair, foreign) = (Pair::new(), Pair::new());
    let issuer = Issuer::start(&json!({ "keys": [pair.public] }));
    let server = Server::start(&format!(
        "[oauth]\nissuer = \"https://issuer.test\"\naudience = \"mail\"\njwks_url = \"{}\"\n",
        issuer.url()
    ));
    let none = "eyJhbGciOiJub25lIn0.e30.";
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        for (service, good, bad) in
            [("smtp", "(235", "535 5.7.8"), ("pop3", "b'+OK 0 messages", "b'-ERR [AUTH]")]
        {
            let says = |user: &str, token: &str| show(&python, &server, service, mechanism, user, token);
            let said = says(ALICE, &pair.token(ALICE, "mail"));
            assert!(said.starts_with(good), "{service} {mechanism}: {said}");
            for token in [
                pair.token(ALICE, "other"),
                foreign.token(ALICE, "mail"),
                pair.token("nobody@example.test", "mail"),
            ] {
                // Each from a name of its own, so that nobody is put off.
                let said = says(ALICE, &token);
                assert!(said.starts_with(bad), "{service} {mechanism}: {said}");
                let status = if mechanism == "XOAUTH2" {
                    "\"status\":\"401\""
                } else {
                    "\"status\":\"invalid_token\""
                };
                assert!(said.contains(status), "{said}");
                assert!(says(ALICE, &pair.token(ALICE, "mail")).starts_with(good));
            }
            assert!(says(BOB, &pair.token(ALICE, "mail")).starts_with(bad), "the token is another's");
            assert!(says(BOB, none).starts_with(bad));
            assert!(says(BOB, &pair.token(BOB, "mail")).starts_with(good));
        }
    }
    let logged = server.logged();
    assert!(!logged.contains("eyJ"), "a token is in the log: {logged}");
}

#[test]
fn the_issuer_is_asked_about_tokens_that_say_nothing() {
    let Some(python) = tools::find("python3", "introspection") else { return };
    let issuer = Issuer::start(&json!({"active": true, "sub": ALICE}));
    let mut server = Server::prepare(
        &format!(
            "[oauth]\nclaim = \"sub\"\nintrospection_url = \"{}\"\nclient_id = \"us\"\nclient_secret_file = \"secret\"\n",
            issuer.url()
        ),
        "data".as_ref(),
    );
    std::fs::write(server.path().join("secret"), "password\n").unwrap();
    server.populate();
    server.launch();
    let says = || show(&python, &server, "smtp", "XOAUTH2", ALICE, "opaque");
    assert!(says().starts_with("(235"));
    let asked = issuer.asked.lock().unwrap().clone();
    assert!(asked.ends_with("\r\n\r\ntoken=opaque&token_type_hint=access_token"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: basic dxm6cgfzc3dvcmq="), "{asked}");
    *issuer.answer.lock().unwrap() = json!({"active": false}).to_string();
    assert!(says().starts_with("535 5.7.8"));
    *issuer.answer.lock().unwrap() = "no JSON".to_owned();
    assert!(says().starts_with("454 4.7.0"));
}

#[test]
fn what_belongs_together_is_checked() {
    for (more, told) in [
        ("jwks_file = \"keys\"\n", "issuer"),
        (
            "issuer = \"x\"\naudience = \"y\"\njwks_file = \"keys\"\njwks_url = \"https://x.test/\"\n",
            "one of",
        ),
        ("introspection_url = \"https://x.test/\"\n", "client_id"),
        ("issuer = \"x\"\n", "jwks_file"),
        ("jwks_url = \"http://x.test/\"\n", "https"),
    ] {
        let server = Server::prepare(&format!("[oauth]\n{more}"), "data".as_ref());
        let done = server.cli(&["config", "check"]);
        assert!(!done.status.success() && done.said().contains(told), "{more:?}: {}", done.said());
    }
}
