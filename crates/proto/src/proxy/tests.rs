//! Conformance C303: headers as proxies send them, in every way of splitting them, and what is none.

use proptest::prelude::*;

use super::*;

/// Feeds pieces of at most these sizes, as a driver does. Returns what came out and how many octets were taken.
fn read(wire: &[u8], sizes: &[usize]) -> (Result<Option<Header>, ProxyError>, usize) {
    let (mut reader, mut taken) = (HeaderReader::default(), 0);
    let mut sizes = sizes.iter().cycle();
    loop {
        let wanted = reader.wants().min(*sizes.next().unwrap()).min(wire.len() - taken);
        if wanted == 0 {
            return (Ok(None), taken);
        }
        taken += wanted;
        match reader.push(&wire[taken - wanted..taken]) {
            Ok(None) => {}
            done => {
                assert!(done.is_err() || reader.wants() == 0);
                return (done, taken);
            }
        }
    }
}

fn whole(wire: &[u8]) -> Result<Option<Header>, ProxyError> {
    read(wire, &[usize::MAX]).0
}

fn client(source: &str, destination: &str) -> Header {
    Header::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family][..], &length, body].concat()
}

const V4_BODY: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 25];

fn v6_body() -> Vec<u8> {
    let [a, b]: [Ipv6Addr; 2] = ["2001:db8::7", "2001:db8::25"].map(|ip| ip.parse().unwrap());
    [&a.octets()[..], &b.octets(), &[0x30, 0x39, 0, 25]].concat()
}

fn good() -> Vec<(Vec<u8>, Header)> {
    let v4 = client("192.0.2.7:12345", "198.51.100.1:25");
    let v6 = client("[2001:db8::7]:12345", "[2001:db8::25]:25");
    let tlvs = [&V4_BODY[..], &vec![0x04; 60_000]].concat();
    let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 91], b"\r\n"].concat();
    assert_eq!(longest.len(), V1_LINE_BYTES_MAX);
    vec![
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\n".to_vec(), v4),
        (b"PROXY TCP6 2001:db8::7 2001:db8::25 12345 25\r\n".to_vec(), v6),
        (
            b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n".to_vec(),
            client("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Own),
        (b"PROXY UNKNOWN \xff x\r\n".to_vec(), Header::Own),
        (longest, Header::Own),
        (v2(0x21, 0x11, &V4_BODY), v4),
        (v2(0x21, 0x21, &v6_body()), v6),
        (v2(0x21, 0x11, &tlvs), v4),
        (v2(0x20, 0x00, &[]), Header::Own),
        (v2(0x20, 0x11, &V4_BODY), Header::Own),
        (v2(0x21, 0x00, &[7; 300]), Header::Own),
    ]
}

#[test]
fn headers_as_proxies_send_them() {
    for (wire, header) in good() {
        assert_eq!(whole(&wire), Ok(Some(header)), "{:?}", String::from_utf8_lossy(&wire));
    }
}

#[test]
fn what_is_no_header() {
    let missing: [&[u8]; 5] =
        [b"EHLO c.example\r\n", b"\x16\x03\x01", b"proxy TCP4", b"\r\n\r\n\0\r\nQUIT\r", b"PROXYTCP"];
    for wire in missing {
        assert_eq!(whole(wire), Err(ProxyError::Missing), "{wire:?}");
    }
    for line in [
        "TCP4 192.0.2.7 198.51.100.1 12345",
        "TCP4 192.0.2.7 198.51.100.1 12345 25 x",
        "TCP4  192.0.2.7 198.51.100.1 12345 25",
        "TCP4 192.0.2.7 198.51.100.1 12345 25 ",
        "TCP4 192.0.2.7 198.51.100.1 12345 65536",
        "TCP4 192.0.2.7 198.51.100.1 012345 25",
        "TCP4 192.0.2.7 198.51.100.1 +1234 25",
        "TCP4 192.0.2.256 198.51.100.1 1234 25",
        "TCP4 192.0.2 198.51.100.1 12345 25 ",
        "TCP4 2001:db8::7 2001:db8::25 1234 25",
        "TCP6 192.0.2.7 198.51.100.1 12345 25",
        "TCP5 192.0.2.7 198.51.100.1 12345 25",
        "UNKNOWNX",
        "TCP4 192.0.2.7\n198.51.100.1 12345 25",
        "X\r\nEHLO client.example",
    ] {
        let wire = format!("PROXY {line}\r\n");
        assert_eq!(whole(wire.as_bytes()), Err(ProxyError::Malformed), "{line}");
    }
    let endless = [V1_START, &[b'9'; 200]].concat();
    assert_eq!(read(&endless, &[usize::MAX]), (Err(ProxyError::TooLong), V1_LINE_BYTES_MAX));
}

#[test]
fn version_2_that_we_do_not_know() {
    for (command, family) in
        [(0x11, 0x11), (0x22, 0x11), (0x21, 0x12), (0x21, 0x31), (0x21, 0x41), (0x31, 0x11)]
    {
        assert_eq!(
            whole(&v2(command, family, &[0; 300])),
            Err(ProxyError::Unsupported),
            "{command:x} {family:x}"
        );
    }
    assert_eq!(whole(&v2(0x21, 0x11, &V4_BODY[..11])), Err(ProxyError::Malformed));
    assert_eq!(whole(&v2(0x21, 0x21, &V4_BODY)), Err(ProxyError::Malformed));
}

#[test]
fn a_flood_of_tlvs_costs_no_memory() {
    let mut reader = HeaderReader::default();
    let wire = v2(0x21, 0x11, &[&V4_BODY[..], &vec![0xea; 65_000]].concat());
    let mut rest = &wire[..];
    while reader.wants() > 0 {
        let (piece, behind) = rest.split_at(reader.wants().min(1000));
        reader.push(piece).unwrap();
        assert!(reader.kept.len() <= V1_LINE_BYTES_MAX);
        rest = behind;
    }
    assert!(rest.is_empty());
}

proptest! {
    #[test]
    fn any_split_reads_the_same_and_takes_nothing_that_follows(
        sizes in prop::collection::vec(1_usize..40, 1..20),
        behind: Vec<u8>,
    ) {
        for (wire, header) in good() {
            let followed = [&wire[..], &behind].concat();
            prop_assert_eq!(read(&followed, &sizes), (Ok(Some(header)), wire.len()));
        }
    }

    #[test]
    fn anything_else_never_panics_and_reads_the_same_however_split(
        start in prop::sample::select(vec![&b""[..], V1_START, b"PROXY TCP4 1.2.3.4 ", V2_SIGNATURE]),
        rest: Vec<u8>,
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let wire = [start, &rest].concat();
        prop_assert_eq!(read(&wire, &sizes).0.is_ok(), whole(&wire).is_ok());
    }
}
