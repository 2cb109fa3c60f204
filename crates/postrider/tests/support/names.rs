//! A name server of the test's own: it is the root, and everything below it is what the test says.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use hickory_server::{
    Server,
    net::runtime::TokioRuntimeProvider,
    proto::{
        dnssec::{Algorithm, DnssecSigner, PublicKey, SigningKey, crypto::EcdsaSigningKey, rdata::DNSKEY},
        rr::{LowerName, Name, RecordSet, RrKey},
        serialize::txt::Parser,
    },
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use tokio::runtime::Runtime;

use crate::support::ports::Ports;

/// Ends with the test.
pub struct NameServer {
    address: SocketAddr,
    /// The DNSKEY that proves its answers, if they are signed.
    anchor: Option<String>,
    zone: Arc<Zone>,
    runtime: Runtime,
    _ports: Ports,
}

impl std::fmt::Debug for NameServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NameServer({})", self.address)
    }
}

impl NameServer {
    /// Records in zone file form; names without a dot at the end get one.
    pub fn start(records: &str) -> Self {
        Self::serve(records, false)
    }

    pub fn signed(records: &str) -> Self {
        Self::serve(records, true)
    }

    fn serve(records: &str, signed: bool) -> Self {
        let ports = Ports::take();
        let address = SocketAddr::from(([127, 0, 0, 1], ports.nth(0)));
        let mut zone = zone(records);
        let anchor = signed.then(|| sign(&mut zone));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut catalog = Catalog::new();
        let zone = Arc::new(zone);
        catalog.upsert(LowerName::from(Name::root()), vec![zone.clone()]);
        runtime.block_on(async {
            let mut server = Server::new(catalog);
            server.register_socket(tokio::net::UdpSocket::bind(address).await.unwrap());
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            server.register_listener(listener, Duration::from_secs(5), 16);
            tokio::spawn(async move { server.block_until_done().await });
        });
        Self { address, anchor, zone, runtime, _ports: ports }
    }

    /// The `[dns]` section that asks it. `more` stands in it.
    pub fn section(&self, more: &str) -> String {
        format!("[dns]\nservers = [\"{}\"]\n{more}\n", self.address)
    }

    /// Puts records in the place of those of the same name and type.
    pub fn change(&self, records: &str) {
        let (_, sets) = Parser::new(records, None, Some(Name::root())).parse().unwrap();
        self.runtime.block_on(async {
            let mut present = self.zone.records_mut().await;
            present.extend(sets.into_iter().map(|(key, set)| (key, Arc::new(set))));
        });
    }

    pub fn anchor(&self) -> &str {
        self.anchor.as_deref().expect("it is signed")
    }
}

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

fn zone(records: &str) -> Zone {
    let text =
        format!("@ 60 IN SOA ns.test. root.test. 1 3600 600 86400 60\n@ 60 IN NS ns.test.\n{records}\n");
    let (_, sets) = Parser::new(text, None, Some(Name::root())).parse().unwrap();
    let sets: BTreeMap<RrKey, RecordSet> = sets;
    let proof = Some(hickory_server::dnssec::NxProofKind::Nsec);
    InMemoryZoneHandler::new(Name::root(), sets, ZoneType::Primary, AxfrPolicy::Deny, proof).unwrap()
}

/// Returns the key that proves it.
fn sign(zone: &mut Zone) -> String {
    let algorithm = Algorithm::ECDSAP256SHA256;
    let pkcs8 = EcdsaSigningKey::generate_pkcs8(algorithm).unwrap();
    let key = EcdsaSigningKey::from_pkcs8(&pkcs8, algorithm).unwrap();
    let public = key.to_public_key().unwrap();
    let dnskey = DNSKEY::from_key(&public);
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, public.public_bytes());
    let signer = DnssecSigner::new(dnskey, Box::new(key), Name::root(), Duration::from_hours(24));
    zone.add_zone_signing_key_mut(signer).unwrap();
    zone.secure_zone_mut().unwrap();
    format!(". 60 IN DNSKEY 257 3 13 {encoded}\n")
}
