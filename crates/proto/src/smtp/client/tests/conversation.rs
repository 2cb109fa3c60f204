//! Our client and our server on one wire.

use super::*;
use crate::smtp::server;

/// Runs both until the client is done; `piece` octets at most travel at once. Returns what the client was told.
fn converse(
    mut client: Session,
    mut server: server::tests::Session,
    piece: usize,
) -> (Vec<String>, server::tests::Seen) {
    let mut told = Vec::new();
    let (mut to_server, mut to_client): (Vec<u8>, Vec<u8>) = (Vec::new(), server.run().concat());
    for _ in 0..100_000 {
        client.client.push(&take(&mut to_client, piece));
        to_server.extend(client.run_raw(&mut told));
        let octets = take(&mut to_server, piece);
        to_client.extend(server.say_raw(&octets));
        if client.closed {
            return (told, server.seen);
        }
    }
    panic!("they do not come to an end");
}

fn take(octets: &mut Vec<u8>, piece: usize) -> Vec<u8> {
    let rest = octets.split_off(piece.min(octets.len()));
    std::mem::replace(octets, rest)
}

#[test]
fn messages_arrive_as_they_were_sent() {
    let to_both = transaction(&["bob@ours.example", "nobody@ours.example", "carol@ours.example"]);
    let to_nobody = transaction(&["nobody@ours.example"]);
    let transactions = [to_both.clone(), to_nobody, to_both];
    for (chunking, piece) in [(false, usize::MAX), (true, usize::MAX), (false, 1), (true, 1), (true, 7)] {
        let client = Session::new(Config { chunking, ..config() }, transactions.clone());
        let server = server::tests::Session::new(server::tests::config());
        let (told, seen) = converse(client, server, piece);
        let expected = [
            "1 refused for good: 550 5.1.1 no such user",
            "done: 250 2.0.0 queued as 1",
            "0 refused for good: 550 5.1.1 no such user",
            "done: NoRecipients",
            "1 refused for good: 550 5.1.1 no such user",
            "done: 250 2.0.0 queued as 2",
        ];
        assert_eq!(told, expected, "chunking {chunking}, {piece} octets at once");
        let content: &[u8] = if chunking { b"x\r\n.y" } else { b"x\r\n.y\r\n" };
        assert!(seen.messages.len() == 2 && seen.messages.iter().all(|(_, octets)| octets == content));
        assert_eq!(seen.messages[0].0.recipients.len(), 2);
    }
}

#[test]
fn under_tls_with_a_password() {
    let config = Config {
        tls: TlsPolicy::Required,
        credentials: crate::sasl::Credentials::new("bob", "secret"),
        ..config()
    };
    let mut offering = server::tests::config();
    offering.starttls = server::StartTls::Offered;
    offering.auth = true;
    for piece in [usize::MAX, 1] {
        let client = Session::new(config.clone(), [transaction(&["bob@ours.example"])]);
        let (told, seen) = converse(client, server::tests::Session::new(offering.clone()), piece);
        assert_eq!((told.len(), seen.messages.len()), (1, 1));
    }
}

#[test]
fn recipients_beyond_the_server_s_limit_go_again() {
    let mut few = server::tests::config();
    few.limits.recipients_max = 1;
    let client = Session::new(config(), [transaction(&["bob@ours.example", "carol@ours.example"])]);
    let (told, seen) = converse(client, server::tests::Session::new(few), usize::MAX);
    assert_eq!(told[0], "1 too many", "LIMITS says so beforehand");
    assert_eq!(seen.messages[0].0.recipients.len(), 1);
}
