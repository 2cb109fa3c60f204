//! Handshakes over a stream in memory, with rustls as the client.

use std::{collections::HashMap, io};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{verify::*, *};
use crate::BoxStream;

const SMTP: ListenerTls<'static> = ListenerTls { protocols: &["smtp", "esmtp"], asks_certificate: false };
const ASKING: ListenerTls<'static> = ListenerTls { protocols: &["smtp"], asks_certificate: true };

fn certificate(name: &str) -> Certificate {
    Certificate::new(&Identity::self_signed(vec![name.to_owned()]).unwrap(), &[]).unwrap()
}

fn keyring(clients: ClientTrust) -> Keyring {
    Keyring::new(Keys::new(&certificate("mx.example.org"), &[certificate("mail.example.net")], clients))
}

fn server() -> ServerTls {
    ServerTls::new(&keyring(ClientTrust::default()), SMTP).unwrap()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(SignatureCheck(provider()))))
}

fn client() -> ClientConfig {
    builder().with_no_client_auth()
}

type Accepted = io::Result<(BoxStream, TlsSummary)>;

async fn shake(
    server: &ServerTls,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (Accepted, io::Result<TlsStream<tokio::io::DuplexStream>>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(client.clone());
    tokio::join!(server.accept(Box::new(theirs)), connector.connect(name, ours))
}

/// Both sides of a handshake that succeeds; the client has read what the server sent behind it.
async fn connect(
    server: &ServerTls,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (TlsSummary, HandshakeKind, Vec<u8>) {
    let (accepted, connected) = shake(server, client, name).await;
    let ((mut theirs, summary), mut ours) = (accepted.unwrap(), connected.unwrap());
    theirs.write_all(b"220 ready\r\n").await.unwrap();
    theirs.flush().await.unwrap();
    ours.read_exact(&mut [0; 11]).await.unwrap();
    let connection = ours.get_ref().1;
    let shown = connection.peer_certificates().unwrap()[0].to_vec();
    (summary, connection.handshake_kind().unwrap(), shown)
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let server = server();
    let client = Arc::new(client());
    let (_, _, default) = connect(&server, &client, "mx.example.org").await;
    let (_, _, other) = connect(&server, &client, "mail.example.net").await;
    let (_, _, unknown) = connect(&server, &client, "nobody.test").await;
    let (_, _, unnamed) = connect(&server, &client, "192.0.2.1").await;
    assert_ne!(default, other);
    assert_eq!([&default, &default], [&unknown, &unnamed]);
}

#[tokio::test]
async fn new_certificates_count_for_new_handshakes_and_connections_go_on() {
    let keyring = keyring(ClientTrust::default());
    let server = ServerTls::new(&keyring, SMTP).unwrap();
    let client = Arc::new(client());
    let (accepted, connected) = shake(&server, &client, "mx.example.org").await;
    let (mut theirs, mut ours) = (accepted.unwrap().0, connected.unwrap());
    let before = ours.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    keyring.replace(Keys::new(&certificate("mx.example.org"), &[], ClientTrust::default()));
    let fresh = Arc::new(self::client());
    let (_, _, after) = connect(&server, &fresh, "mx.example.org").await;
    assert_ne!(before, after);
    theirs.write_all(b"still here").await.unwrap();
    theirs.flush().await.unwrap();
    let mut heard = [0; 10];
    ours.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn alpn_is_not_needed_and_a_foreign_name_is_refused() {
    let server = server();
    for (offered, is_welcome) in [
        (&[][..], true),
        (&["smtp"], true),
        (&["http/1.1", "esmtp"], true),
        (&["http/1.1"], false),
        (&["imap"], false),
    ] {
        let mut config = client();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (accepted, connected) = shake(&server, &Arc::new(config), "mx.example.org").await;
        assert_eq!(accepted.is_ok(), is_welcome, "{offered:?}");
        if let Err(error) = connected {
            assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_session_is_resumed_where_it_began_and_nowhere_else() {
    let keyring = keyring(ClientTrust::default());
    let [smtp, submission] = [(); 2].map(|()| ServerTls::new(&keyring, SMTP).unwrap());
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(SignatureCheck(provider()))))
            .with_no_client_auth();
        let client = Arc::new(client);
        assert_ne!(connect(&smtp, &client, "mx.example.org").await.1, HandshakeKind::Resumed);
        assert_eq!(connect(&smtp, &client, "mx.example.org").await.1, HandshakeKind::Resumed);
        assert_ne!(connect(&submission, &client, "mx.example.org").await.1, HandshakeKind::Resumed);
    }
}

#[tokio::test]
async fn the_post_quantum_hybrid_is_agreed_on() {
    let client = Arc::new(client());
    assert_eq!(connect(&server(), &client, "mx.example.org").await.0.key_exchange, "X25519MLKEM768");
    let mut classic = (*provider()).clone();
    classic.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    let classic = ClientConfig::builder_with_provider(Arc::new(classic))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(SignatureCheck(provider()))))
        .with_no_client_auth();
    assert_eq!(connect(&server(), &Arc::new(classic), "mx.example.org").await.0.key_exchange, "X25519");
}

#[tokio::test]
async fn a_flood_of_key_updates_is_cut_off() {
    let (accepted, connected) = shake(&server(), &Arc::new(client()), "mx.example.org").await;
    let (mut theirs, mut ours) = (accepted.unwrap().0, connected.unwrap());
    for _ in 0..100 {
        ours.get_mut().1.refresh_traffic_keys().unwrap();
    }
    let (written, read) = tokio::join!(ours.flush(), async { theirs.read(&mut [0; 1]).await });
    drop(written);
    let error = read.unwrap_err().to_string();
    assert!(error.contains("TooManyKeyUpdateRequests"), "{error}");
}

#[tokio::test]
async fn a_chain_larger_than_any_real_one_is_refused() {
    let own = Identity::self_signed(vec!["mx.example.org".to_owned()]).unwrap();
    let long = Identity { certificate_pem: own.certificate_pem.repeat(200), key_pem: own.key_pem };
    let keys = Keys::new(&Certificate::new(&long, &[]).unwrap(), &[], ClientTrust::default());
    let server = ServerTls::new(&Keyring::new(keys), SMTP).unwrap();
    let (_, connected) = shake(&server, &Arc::new(client()), "mx.example.org").await;
    connected.unwrap_err();
}

/// An authority, and certificates that it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    fn sign(&self, names: Vec<SanType>, change: impl FnOnce(&mut CertificateParams)) -> Client {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.subject_alt_names = names;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Client { certificate: certificate.der().clone(), key: key.serialize_pem() }
    }
}

struct Client {
    certificate: CertificateDer<'static>,
    key: String,
}

impl Client {
    async fn proves(&self, server: &ServerTls) -> Vec<String> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = builder().with_client_auth_cert(vec![self.certificate.clone()], key).unwrap();
        let client = Arc::new(config);
        let (summary, kind, _) = connect(server, &client, "mx.example.org").await;
        assert_ne!(kind, HandshakeKind::Resumed);
        summary.client_addresses
    }
}

fn mail(address: &str) -> SanType {
    SanType::Rfc822Name(address.to_owned().try_into().unwrap())
}

#[tokio::test]
async fn a_certificate_proves_the_addresses_in_it_if_somebody_we_believe_vouches_for_it() {
    let [ours, foreign] = [(); 2].map(|()| Authority::new());
    let trust = ClientTrust::new(Some(&ours.pem), HashMap::new()).unwrap();
    let server = ServerTls::new(&keyring(trust), ASKING).unwrap();
    let ann = || vec![mail("ann@example.org")];
    let dns = SanType::DnsName("example.org".to_owned().try_into().unwrap());
    assert_eq!(ours.sign(ann(), |_| {}).proves(&server).await, ["ann@example.org"]);
    let two = vec![mail("ann@example.org"), dns.clone(), mail("bob@example.org")];
    assert_eq!(ours.sign(two, |_| {}).proves(&server).await, ["ann@example.org", "bob@example.org"]);
    let nothing: [&str; 0] = [];
    assert_eq!(foreign.sign(ann(), |_| {}).proves(&server).await, nothing, "a foreign authority");
    assert_eq!(ours.sign(vec![dns], |_| {}).proves(&server).await, nothing, "no address in it");
    let expired = ours.sign(ann(), |parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(expired.proves(&server).await, nothing, "expired");
    let server_only = |parameters: &mut CertificateParams| {
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(ours.sign(ann(), server_only).proves(&server).await, nothing, "made for servers");
    assert_eq!(connect(&server, &Arc::new(client()), "mx.example.org").await.0.client_addresses, nothing);
}

#[tokio::test]
async fn sessions_with_client_certificates_are_not_resumed() {
    let ours = Authority::new();
    let trust = ClientTrust::new(Some(&ours.pem), HashMap::new()).unwrap();
    let keyring = keyring(trust);
    let server = ServerTls::new(&keyring, ASKING).unwrap();
    let ann = ours.sign(vec![mail("ann@example.org")], |_| {});
    let key = PrivateKeyDer::from_pem_slice(ann.key.as_bytes()).unwrap();
    let client = Arc::new(builder().with_client_auth_cert(vec![ann.certificate], key).unwrap());
    connect(&server, &client, "mx.example.org").await;
    let (summary, kind, _) = connect(&server, &client, "mx.example.org").await;
    assert_ne!(kind, HandshakeKind::Resumed);
    assert_eq!(summary.client_addresses, ["ann@example.org"]);
    keyring.replace(Keys::new(&certificate("mx.example.org"), &[], ClientTrust::default()));
    let (summary, _, _) = connect(&server, &client, "mx.example.org").await;
    assert!(summary.client_addresses.is_empty(), "nobody is believed any more");
}

#[tokio::test]
async fn a_fingerprint_stands_for_an_account_whoever_signed() {
    let stranger = Authority::new().sign(vec![mail("mallory@example.org")], |_| {});
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &stranger.certificate);
    let hex: Vec<String> = digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    let print: Fingerprint = hex.join(":").parse().unwrap();
    assert_eq!(hex.concat().parse(), Ok(print));
    let named = HashMap::from([(print, "ann@example.org".to_owned())]);
    let server = ServerTls::new(&keyring(ClientTrust::new(None, named).unwrap()), ASKING).unwrap();
    assert_eq!(stranger.proves(&server).await, ["ann@example.org"]);
}

#[test]
fn fingerprints_have_64_digits() {
    for wrong in ["", "ab", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}
