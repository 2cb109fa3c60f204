//! The examples of the RFCs, and what must not work.

use mail::scram::ScramVerifier;

use super::*;
use crate::sasl::{Credentials, Mechanism, SaslClient, SaslServer, SaslStep, scram::message::base64};

const NONCE: Nonce = *b"eighteen octets!!!";
const SHA_256: Mechanism = Mechanism::Scram { hash: ScramHash::Sha256, plus: false };
const SHA_256_PLUS: Mechanism = Mechanism::Scram { hash: ScramHash::Sha256, plus: true };

fn bound() -> ChannelBinding {
    ChannelBinding { tls_exporter: Some([7; 32].into()) }
}

fn verifier() -> ScramVerifier {
    ScramVerifier::derive(ScramHash::Sha256, "pencil", b"some salt", 4096)
}

fn credentials(password: &str) -> Credentials {
    Credentials::new("user", password).unwrap()
}

fn start(mechanism: Mechanism, first: &str, binding: &ChannelBinding) -> (SaslServer, SaslStep) {
    SaslServer::start(mechanism, Some(first.as_bytes()), binding)
}

fn text(step: SaslStep) -> String {
    match step {
        SaslStep::Challenge(challenge) => String::from_utf8(challenge).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn proven(step: &SaslStep) -> bool {
    matches!(step, SaslStep::ScramDone(outcome) if outcome.proven)
}

fn refused(step: &SaslStep) -> bool {
    matches!(step, SaslStep::ScramDone(outcome) if !outcome.proven)
}

/// The client's last message by hand, for any header and binding data.
fn answer(bare: &str, server_first: &str, binding: &[u8], password: &str) -> String {
    let nonce = server_first.split(',').next().unwrap();
    let without_proof = format!("c={},{nonce}", base64(binding));
    let message = format!("{bare},{server_first},{without_proof}");
    let keys = mail::scram::ScramKeys::derive(ScramHash::Sha256, password, b"some salt", 4096);
    format!("{without_proof},p={}", base64(&keys.client_proof(message.as_bytes())))
}

/// RFC 5802 §5 and RFC 7677 §3: the server's nonces there are no base64 of ours, so the computation is what is held
/// against the examples.
#[test]
fn the_examples_of_the_rfcs() {
    let sha1 = (
        ScramHash::Sha1,
        "QSXCR+Q6sek8bf92",
        "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
         s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
        "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    );
    let sha256 = (
        ScramHash::Sha256,
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    );
    for (hash, salt, message, proof, signature) in [sha1, sha256] {
        let salt = crate::sasl::decode_line(salt.as_bytes()).unwrap().unwrap();
        let keys = mail::scram::ScramKeys::derive(hash, "pencil", &salt, 4096);
        assert_eq!(base64(&keys.client_proof(message.as_bytes())), proof);
        let verifier = ScramVerifier::derive(hash, "pencil", &salt, 4096);
        assert_eq!(base64(&verifier.server_signature(hash, message.as_bytes())), signature);
        let proof = crate::sasl::decode_line(proof.as_bytes()).unwrap().unwrap();
        assert!(verifier.is_proven_by(hash, message.as_bytes(), &proof));
    }
}

#[test]
fn client_and_server_understand_each_other() {
    for (password, right) in [("pencil", true), ("Pencil", false)] {
        let mut client = SaslClient::scram(credentials(password), NONCE);
        let first = client.initial_response().unwrap();
        let (mut server, step) = SaslServer::start(SHA_256, Some(&first), &ChannelBinding::default());
        let SaslStep::ScramUser(user) = step else { panic!("{step:?}") };
        assert_eq!((user.authentication_id.as_str(), user.authorization_id.as_str()), ("user", ""));
        let challenge = text(server.verifier(verifier(), &[1; NONCE_BYTES]));
        let step = server.response(&client.respond(challenge.as_bytes()).unwrap());
        assert!(!client.may_succeed(), "nothing is proven by the server yet");
        if right {
            let last = client.respond(text(step).as_bytes()).unwrap();
            assert!(client.may_succeed());
            let step = server.response(&last);
            assert!(proven(&step), "{step:?}");
            assert_eq!(server.response(&last), SaslStep::Malformed);
        } else {
            assert!(refused(&step), "{step:?}");
        }
        assert!(!format!("{client:?} {server:?}").contains("encil"));
    }
}

#[test]
fn names_are_unescaped_and_the_authorization_identity_is_told() {
    let none = ChannelBinding::default();
    let (_, step) = start(SHA_256, "n,a=b=3Dc,n=x=2Cy=3Dz,r=abc,z=extension", &none);
    let SaslStep::ScramUser(user) = step else { panic!("{step:?}") };
    assert_eq!((user.authorization_id.as_str(), user.authentication_id.as_str()), ("b=c", "x,y=z"));
    assert!(user.acts_as_other());
}

#[test]
fn first_messages_that_break_the_grammar() {
    let long_name = format!("n,,n={},r=abc", "x".repeat(256));
    let long_nonce = format!("n,,n=user,r={}", "x".repeat(257));
    let bad = [
        "",
        ",",
        ",,",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,n=user,",
        "n,,n=user,r=",
        "n,,n=,r=abc",
        "x,,n=user,r=abc",
        "p=,,n=user,r=abc",
        "p=a b,,n=user,r=abc",
        "n,b=x,n=user,r=abc",
        "n,a=,n=user,r=abc",
        "n,,m=x,n=user,r=abc",
        "n,,n=user,r=abc,m=x",
        "n,,n=us=er,r=abc",
        "n,,n=us=,r=abc",
        "n,,n=us=2,r=abc",
        "n,,n=us\0er,r=abc",
        "n,,n=user,r=a c",
        "n,,n=user,r=ä",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,xy",
        "n,,n=user,r=abc,x=",
        "n,,r=abc,n=user",
        "N,,n=user,r=abc",
        "n,,n=us=\u{e9},r=abc",
        &long_name,
        &long_nonce,
    ];
    for first in bad {
        let (mut server, step) = start(SHA_256, first, &ChannelBinding::default());
        assert_eq!(step, SaslStep::Malformed, "{first:?}");
        assert_eq!(server.verifier(verifier(), &NONCE), SaslStep::Malformed);
    }
    let (_, step) = SaslServer::start(SHA_256, Some(b"n,,n=\xff,r=abc"), &ChannelBinding::default());
    assert_eq!(step, SaslStep::Malformed);
}

fn opened(mechanism: Mechanism, first: &str, binding: &ChannelBinding) -> (SaslServer, String) {
    let (mut server, step) = start(mechanism, first, binding);
    assert!(matches!(step, SaslStep::ScramUser(_)), "{step:?}");
    let challenge = text(server.verifier(verifier(), &NONCE));
    (server, challenge)
}

#[test]
fn last_messages_that_break_the_grammar_end_the_exchange() {
    let none = ChannelBinding::default();
    let (_, challenge) = opened(SHA_256, "n,,n=user,r=abc", &none);
    let good = answer("n=user,r=abc", &challenge, b"n,,", "pencil");
    let no_proof = good.rsplit_once(",p=").unwrap().0;
    let swapped = good.replacen("c=biws,", "", 1);
    let bad = [
        "",
        "c=biws",
        no_proof,
        &swapped,
        "e=other-error",
        &good[2..],
        &format!("{good}!"),
        &format!(" {good}"),
    ];
    for last in bad {
        let (mut server, _) = opened(SHA_256, "n,,n=user,r=abc", &none);
        assert_eq!(server.response(last.as_bytes()), SaslStep::Malformed, "{last:?}");
        assert_eq!(server.response(good.as_bytes()), SaslStep::Malformed);
    }
    let (mut server, _) = opened(SHA_256, "n,,n=user,r=abc", &none);
    text(server.response(good.as_bytes()));
    assert_eq!(server.response(b"not empty"), SaslStep::Malformed);
}

#[test]
fn a_client_without_an_initial_response_is_asked_for_it() {
    let (mut server, step) = SaslServer::start(SHA_256, None, &ChannelBinding::default());
    assert_eq!(step, SaslStep::Challenge(Vec::new()));
    assert!(matches!(server.response(b"n,,n=user,r=abc"), SaslStep::ScramUser(_)));
    assert_eq!(server.response(b"n,,n=user,r=abc"), SaslStep::Malformed, "before the verifier is there");
}

// RFC 5802 §5.1: the nonce is the server's too, so an answer fits its own exchange only.
#[test]
fn a_replay_is_refused() {
    let none = ChannelBinding::default();
    let (mut server, challenge) = opened(SHA_256, "n,,n=user,r=abc", &none);
    let good = answer("n=user,r=abc", &challenge, b"n,,", "pencil");
    text(server.response(good.as_bytes()));
    let (mut server, step) = start(SHA_256, "n,,n=user,r=abc", &none);
    assert!(matches!(step, SaslStep::ScramUser(_)));
    text(server.verifier(verifier(), &[2; NONCE_BYTES]));
    assert!(refused(&server.response(good.as_bytes())));
    // The client's nonce alone, or more than the whole, is not enough either.
    for wrong in ["r=abc", &format!("{}x", challenge.split(',').next().unwrap())] {
        let (mut server, challenge) = opened(SHA_256, "n,,n=user,r=abc", &none);
        let without_proof = format!("c=biws,{wrong}");
        let message = format!("n=user,r=abc,{challenge},{without_proof}");
        let keys = mail::scram::ScramKeys::derive(ScramHash::Sha256, "pencil", b"some salt", 4096);
        let last = format!("{without_proof},p={}", base64(&keys.client_proof(message.as_bytes())));
        assert!(refused(&server.response(last.as_bytes())));
    }
}

// RFC 5802 §6, RFC 9266
#[test]
fn channel_binding_is_held_against_the_connection() {
    let first = "p=tls-exporter,,n=user,r=abc";
    let finish = |binding: &[u8]| {
        let (mut server, challenge) = opened(SHA_256_PLUS, first, &bound());
        let last = answer("n=user,r=abc", &challenge, binding, "pencil");
        server.response(last.as_bytes())
    };
    text(finish(&[b"p=tls-exporter,,".as_slice(), &[7; 32]].concat()));
    // Somebody in the middle has another connection to us, or leaves the binding out, or says there was none.
    assert!(refused(&finish(&[b"p=tls-exporter,,".as_slice(), &[8; 32]].concat())));
    assert!(refused(&finish(b"p=tls-exporter,,")));
    assert!(refused(&finish(b"n,,")));
    assert!(refused(&finish(&[b"p=tls-unique,,".as_slice(), &[7; 32]].concat())));
}

// RFC 5802 §6
#[test]
fn a_downgrade_of_channel_binding_is_detected() {
    let none = ChannelBinding::default();
    let rest = ",,n=user,r=abc";
    let begin = |mechanism, flag: &str, binding: &ChannelBinding| {
        start(mechanism, &format!("{flag}{rest}"), binding).1
    };
    let goes_on = |step| matches!(step, SaslStep::ScramUser(_));
    assert!(goes_on(begin(SHA_256, "n", &none)) && goes_on(begin(SHA_256, "n", &bound())));
    assert!(goes_on(begin(SHA_256, "y", &none)), "nothing was on offer");
    assert!(refused(&begin(SHA_256, "y", &bound())), "somebody hid what was on offer");
    assert!(refused(&begin(SHA_256, "p=tls-exporter", &bound())), "the mechanism has no binding");
    assert!(goes_on(begin(SHA_256_PLUS, "p=tls-exporter", &bound())));
    for flag in ["n", "y", "p=tls-unique", "p=tls-server-end-point", "p=TLS-EXPORTER"] {
        assert!(refused(&begin(SHA_256_PLUS, flag, &bound())), "{flag}");
    }
    // The header is signed: what was changed on the way shows at the end.
    let (mut server, challenge) = opened(SHA_256, "n,,n=user,r=abc", &bound());
    let last = answer("n=user,r=abc", &challenge, b"y,,", "pencil");
    assert!(refused(&server.response(last.as_bytes())));
}

#[test]
fn the_client_does_not_believe_any_server() {
    let client = || {
        let mut client = SaslClient::scram(credentials("pencil"), NONCE);
        let first = String::from_utf8(client.initial_response().unwrap()).unwrap();
        assert_eq!(first, format!("n,,n=user,r={}", base64(&NONCE)));
        client
    };
    let ours = base64(&NONCE);
    let long = base64(&[1; 257]);
    let bad = [
        String::new(),
        "r=another,s=c2FsdA==,i=4096".to_owned(),
        format!("r={ours},s=c2FsdA==,i=4096"),
        format!("r={ours}x,s=,i=4096"),
        format!("r={ours}x,s={long},i=4096"),
        format!("r={ours}x,s=c2FsdA==,i=4095"),
        format!("r={ours}x,s=c2FsdA==,i=+4096"),
        format!("r={ours}x,s=c2FsdA==,i=04096"),
        format!("r={ours}x,s=c2FsdA==,i=2147483648"),
        format!("r={ours}x,s=c2FsdA==,i=99999999999"),
        format!("m=x,r={ours}x,s=c2FsdA==,i=4096"),
        format!("r={ours}x,s=c2FsdA==,i=4096,m=x"),
    ];
    for challenge in bad {
        let mut client = client();
        assert_eq!(client.respond(challenge.as_bytes()), None, "{challenge:?}");
        assert!(!client.may_succeed());
    }
    for last in ["", "v=", "v=AAAA", "e=invalid-proof", "v=!"] {
        let mut client = client();
        client.respond(format!("r={ours}x,s=c2FsdA==,i=4096").as_bytes()).unwrap();
        assert_eq!(client.respond(last.as_bytes()), None, "{last:?}");
        assert!(!client.may_succeed());
    }
}
