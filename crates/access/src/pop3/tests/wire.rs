use world::tls::{
    Certificate, ClientTls, ClientTrust, Identity, Keyring, Keys, ListenerTls, ServerTls, Verify,
};

use super::*;

fn tls() -> ServerTls {
    let identity = Identity::self_signed(vec!["mx.example.org".to_owned()]).unwrap();
    let certificate = Certificate::new(&identity, &[]).unwrap();
    let keyring = Keyring::new(Keys::new(&certificate, &[], ClientTrust::default()));
    ServerTls::new(&keyring, ListenerTls { protocols: &["pop3"], asks_certificate: false }).unwrap()
}

async fn secure(client: Client) -> (Client, TlsSummary) {
    let plain = client.stream.into_inner();
    let (stream, summary) =
        ClientTls::new(Verify::Nothing, "").unwrap().connect("mx.example.org", plain).await.unwrap();
    (Client { session: client.session, stream: BufReader::new(stream) }, summary)
}

async fn capabilities(client: &mut Client) -> Vec<String> {
    client.say("CAPA").await;
    client.expect("+OK capabilities follow").await;
    let mut lines = Vec::new();
    loop {
        match client.hear().await {
            line if line == "." => return lines,
            line => lines.push(line),
        }
    }
}

#[tokio::test]
async fn a_stranger_in_clear_may_not_send_a_password() {
    let house = House::new();
    let mut client = house.connect(TlsMode::None, "198.51.100.7:4711");
    client
        .converse(
            "S: +OK mx.example.org POP3 server ready
             C: USER alice@example.org
             S: -ERR [AUTH] no passwords without TLS
             C: STLS
             S: -ERR TLS is not available here
             C: QUIT
             S: +OK bye",
        )
        .await;
    client.expect_end().await;
}

#[tokio::test]
async fn stls_opens_the_way() {
    let house = House::new();
    let mut client = house.connect(TlsMode::Starttls(tls()), "198.51.100.7:4711");
    client.expect("+OK mx.example.org POP3 server ready").await;
    let before = capabilities(&mut client).await;
    assert!(before.contains(&"STLS".to_owned()) && !before.contains(&"USER".to_owned()));
    client.converse("C: STLS\nS: +OK begin TLS").await;
    let (mut client, summary) = secure(client).await;
    assert_eq!(summary.version, "TLSv1.3");
    let after = capabilities(&mut client).await;
    assert!(!after.contains(&"STLS".to_owned()) && after.contains(&"USER".to_owned()));
    client.converse("C: QUIT\nS: +OK bye").await;
    client.expect_end().await;
}

#[tokio::test]
async fn implicit_tls_comes_before_the_greeting() {
    let house = House::new();
    let (mut client, _) = secure(house.connect(TlsMode::Implicit(tls()), "198.51.100.7:4711")).await;
    client.expect("+OK mx.example.org POP3 server ready").await;
    assert!(capabilities(&mut client).await.contains(
        &"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN".to_owned()
    ));
}

#[tokio::test]
async fn a_failed_handshake_ends_the_session() {
    let house = House::new();
    let mut client = house.connect(TlsMode::Starttls(tls()), "198.51.100.7:4711");
    client.expect("+OK mx.example.org POP3 server ready").await;
    client.converse("C: STLS\nS: +OK begin TLS\nC: USER alice@example.org").await;
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("+OK"));
    client.session.await.unwrap();
}

#[tokio::test]
async fn shutdown_is_announced() {
    let house = House::new();
    let mut client = house.connect_locally().await;
    house.trigger.give();
    client.expect("-ERR [SYS/TEMP] the server is shutting down").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_waiting_session_is_small() {
    let house = House::new();
    let (_ours, theirs) = tokio::io::duplex(64);
    let theirs: BoxStream = Box::new(theirs);
    let listener = Arc::new(Pop3Listener::new("mx.example.org", TlsMode::None));
    let session = house.service.clone().serve(listener, theirs, Peer::Unix, house.shutdown.clone());
    assert!(size_of_val(&session) < 2048, "{}", size_of_val(&session));
}

#[tokio::test]
async fn a_listener_serves_until_shutdown_and_turns_away_too_many() {
    let house = House::new();
    let net = world::World::system().net;
    let listener = net.listen(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let world::ListenAddress::Tcp(address) = listener.local() else { panic!("it is a TCP listener") };
    let mut options = Pop3Listener::new("mx.example.org", TlsMode::None);
    options.offer.sessions_max = 1;
    let options = Arc::new(options);
    let listening =
        tokio::spawn(house.service.clone().listen(listener, move || options.clone(), house.shutdown.clone()));
    let mut first = BufReader::new(net.connect(address, None).await.unwrap());
    let mut line = String::new();
    first.read_line(&mut line).await.unwrap();
    assert_eq!(line, "+OK mx.example.org POP3 server ready\r\n");
    let mut second = net.connect(address, None).await.unwrap();
    assert_eq!(second.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    house.trigger.give();
    first.read_to_string(&mut line).await.unwrap();
    assert!(line.ends_with("-ERR [SYS/TEMP] the server is shutting down\r\n"));
    listening.await.unwrap();
}
