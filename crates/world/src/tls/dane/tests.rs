use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use x509_parser::parse_x509_certificate;

use super::*;
use crate::{
    BoxStream,
    tls::{
        Authentication, Certificate, ClientTls, ClientTrust, Identity, Judgement, Keyring, Keys, ListenerTls,
        ServerTls, Verify, provider,
    },
};

const HOST: &str = "mx.far.example";

/// A root, an authority below it, and a host's certificate below that.
struct Chain {
    root: CertificateDer<'static>,
    between: CertificateDer<'static>,
    host: CertificateDer<'static>,
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

impl Chain {
    fn new(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let [root_key, between_key, key] = [(); 3].map(|()| KeyPair::generate().unwrap());
        let (root, between) = (authority("root"), authority("between"));
        let root_certificate = root.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root, root_key);
        let between_certificate = between.signed_by(&between_key, &root_issuer).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut host = CertificateParams::new(names).unwrap();
        change(&mut host);
        let host = host.signed_by(&key, &Issuer::new(between, between_key)).unwrap();
        Self {
            root: root_certificate.der().clone(),
            between: between_certificate.der().clone(),
            host: host.der().clone(),
        }
    }

    /// With what is sent along beside the host's own.
    fn check(&self, others: &[&CertificateDer<'static>], records: &[Tlsa]) -> Result<Tlsa, Flaw> {
        self.check_for(others, records, &[])
    }

    fn check_for(
        &self,
        others: &[&CertificateDer<'static>],
        records: &[Tlsa],
        domains: &[&str],
    ) -> Result<Tlsa, Flaw> {
        let dane = Dane {
            records: usable(records),
            base: HOST.to_owned(),
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        };
        let others: Vec<_> = others.iter().map(|other| (*other).clone()).collect();
        let algorithms = provider().signature_verification_algorithms;
        find_match(&dane, &self.host, &others, UnixTime::now(), &algorithms)
    }
}

fn record(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
    let (_, parsed) = parse_x509_certificate(certificate).unwrap();
    let selected = if selector == 0 { certificate.as_ref() } else { parsed.public_key().raw };
    let data = match matching {
        0 => selected.to_vec(),
        1 => digest(&SHA256, selected).as_ref().to_vec(),
        _ => digest(&SHA512, selected).as_ref().to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn odd(usage: u8, selector: u8, matching: u8, bytes: usize) -> Tlsa {
    Tlsa { usage, selector, matching, data: vec![0x30; bytes] }
}

/// RFC 7672 §3.1.1
#[test]
fn the_hosts_own_key_is_enough_whatever_name_and_date_stand_by_it() {
    let chain = Chain::new(&["other.example"], |host| host.not_after = rcgen::date_time_ymd(2020, 1, 1));
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let record = record(3, selector, matching, &chain.host);
            assert_eq!(chain.check(&[], std::slice::from_ref(&record)), Ok(record));
        }
    }
    let foreign = record(3, 1, 1, &chain.between);
    assert_eq!(chain.check(&[&chain.between], std::slice::from_ref(&foreign)), Err(Flaw::NoMatch));
    let own = record(3, 1, 1, &chain.host);
    assert_eq!(chain.check(&[], &[foreign, own.clone()]), Ok(own), "one of several is enough");
}

/// RFC 7672 §3.1.2: an authority of any rank, which comes with the chain or with the record.
#[test]
fn an_authority_vouches_for_what_is_below_it_and_names_the_host() {
    let chain = Chain::new(&[HOST], |_| {});
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            for (authority, others) in
                [(&chain.root, vec![&chain.between, &chain.root]), (&chain.between, vec![&chain.between])]
            {
                let record = record(2, selector, matching, authority);
                assert_eq!(chain.check(&others, std::slice::from_ref(&record)), Ok(record));
            }
        }
        let left_out = record(2, selector, 1, &chain.root);
        assert_eq!(chain.check(&[&chain.between], &[left_out]), Err(Flaw::NoMatch), "a digest alone");
        let whole = record(2, selector, 0, &chain.root);
        assert_eq!(chain.check(&[&chain.between], std::slice::from_ref(&whole)), Ok(whole));
    }
    let own = record(2, 1, 1, &chain.host);
    assert_eq!(chain.check(&[&chain.between], &[own]), Err(Flaw::NoMatch), "the host is no authority");
}

#[test]
fn below_an_authority_names_and_dates_count() {
    let other = Chain::new(&["other.example"], |_| {});
    let record_of = |chain: &Chain| [record(2, 0, 1, &chain.between)];
    assert_eq!(other.check(&[&other.between], &record_of(&other)), Err(Flaw::WrongName));
    let expired = Chain::new(&[HOST], |host| host.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(expired.check(&[&expired.between], &record_of(&expired)), Err(Flaw::Expired));
    // RFC 7672 §3.2.2: the domain itself will do too, if it is the only one.
    let of_domains = Chain::new(&["a.example", "b.example"], |_| {});
    let check = |domains: &[&str]| {
        of_domains.check_for(&[&of_domains.between], &record_of(&of_domains), domains).is_ok()
    };
    assert!(check(&["a.example"]) && check(&["a.example", "b.example"]));
    assert!(!check(&["c.example"]) && !check(&["a.example", "c.example"]) && !check(&[]));
}

#[test]
fn an_authority_with_the_right_name_and_the_wrong_key_vouches_for_nobody() {
    let [ours, theirs] = [(); 2].map(|()| Chain::new(&[HOST], |_| {}));
    let record = record(2, 1, 0, &theirs.between);
    ours.check(&[&ours.between], std::slice::from_ref(&record)).unwrap_err();
    ours.check(&[&ours.between, &theirs.between], &[record]).unwrap_err();
}

/// RFC 7672 §3.1.3, RFC 7671 §9
#[test]
fn records_that_mean_nothing_are_ignored() {
    let chain = Chain::new(&[HOST], |_| {});
    for usage in [0, 1, 4, 255] {
        assert!(usable(&[record(usage, 1, 1, &chain.host)]).is_empty(), "usage {usage}");
    }
    for (selector, matching) in [(2, 1), (255, 0), (1, 3), (0, 255)] {
        let data = vec![0; 32];
        assert!(usable(&[Tlsa { usage: 3, selector, matching, data }]).is_empty(), "{selector} {matching}");
    }
    for bytes in [0, 1, 2, 3, 20, 31, 33, 63, 65, 65_532] {
        for usage in [2, 3] {
            let records: Vec<Tlsa> =
                [0, 1].iter().flat_map(|s| [0, 1, 2].map(|m| odd(usage, *s, m, bytes))).collect();
            assert!(usable(&records).is_empty(), "{bytes} octets");
        }
    }
    let trailing = {
        let mut record = record(3, 0, 0, &chain.host);
        record.data.push(0);
        record
    };
    assert!(usable(&[trailing]).is_empty());
    let [short, long] = [1, 2].map(|matching| record(3, 1, matching, &chain.host));
    assert_eq!(usable(&[short.clone(), long.clone()]), [long], "the strongest digest counts");
    assert_eq!(usable(std::slice::from_ref(&short)), [short]);
}

proptest! {
    #[test]
    fn no_record_brings_us_down(
        usage in 0u8..5, selector in 0u8..3, matching in 0u8..4, data in prop::collection::vec(any::<u8>(), 0..600)
    ) {
        let record = Tlsa { usage, selector, matching, data };
        let own = CertificateDer::from(record.data.clone());
        let algorithms = provider().signature_verification_algorithms;
        let dane = |records| Dane { records, base: HOST.to_owned(), domains: Vec::new() };
        for records in [usable(std::slice::from_ref(&record)), vec![record]] {
            // Neither has the certificate to be one.
            let _ = find_match(&dane(records), &own, std::slice::from_ref(&own), UnixTime::now(), &algorithms);
        }
    }
}

/// A handshake with a host whose certificate nobody vouches for.
async fn shake(
    roots: &str,
    expected: impl FnOnce(&CertificateDer<'static>) -> Authentication,
) -> (std::io::Result<()>, Judgement) {
    let identity = Identity::self_signed(vec![HOST.to_owned()]).unwrap();
    let certificate = Certificate::new(&identity, &[]).unwrap();
    let own = certificate.key.cert[0].clone();
    let keyring = Keyring::new(Keys::new(&certificate, &[], ClientTrust::default()));
    let listener = ListenerTls { protocols: &["smtp"], asks_certificate: false };
    let server = ServerTls::new(&keyring, listener).unwrap();
    let roots = roots.replace("OWN", &identity.certificate_pem);
    let client = ClientTls::new(Verify::RootsAndName, &roots).unwrap().expecting(expected(&own));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let theirs: BoxStream = Box::new(theirs);
    let (_, connected) = tokio::join!(server.accept(theirs), client.connect(HOST, Box::new(ours)));
    let judgement = client.judgement().unwrap().clone();
    assert_eq!(client.judge_again(&Authentication::Nothing).unwrap().pkix, judgement.pkix);
    (connected.map(drop), judgement)
}

#[tokio::test]
async fn a_host_is_let_pass_for_what_is_expected_and_judged_by_all_there_is() {
    let dane = |records| Authentication::Dane(Dane { records, base: HOST.to_owned(), domains: Vec::new() });
    let (result, judged) = shake("", |_| Authentication::Nothing).await;
    assert!(result.is_ok());
    assert_eq!(judged, Judgement { pkix: Err(Flaw::Untrusted), dane: None });
    let (result, judged) = shake("OWN", |_| Authentication::Nothing).await;
    assert!(result.is_ok() && judged.pkix.is_ok());
    let (result, _) = shake("", |_| Authentication::RootsAndName).await;
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    let (result, judged) = shake("", |own| dane(vec![record(3, 1, 1, own)])).await;
    assert!(result.is_ok() && judged.dane.unwrap().is_ok());
    let (result, judged) = shake("OWN", |_| dane(vec![odd(3, 1, 1, 32)])).await;
    assert!(result.is_err(), "a root does not stand in for a record");
    assert_eq!(judged.dane, Some(Err(Flaw::NoMatch)));
}
