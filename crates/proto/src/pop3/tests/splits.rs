use proptest::prelude::*;

use super::*;

/// Everything that can be told about a session from outside.
fn outcome(pieces: &[&[u8]]) -> (Vec<u8>, Option<Vec<u32>>, Option<Ended>) {
    let mut driver = Driver::new(config());
    driver.run();
    for piece in pieces {
        driver.push(piece);
    }
    if driver.ended.is_none() {
        driver.server.push_end();
        driver.run();
    }
    (driver.output, driver.committed, driver.ended)
}

const TRANSCRIPT: &[u8] =
    b"CAPA\r\nAUTH LOGIN\r\nYWxpY2U=\r\nd3Jvbmc=\r\nUSER alice\r\nPASS open sesame\r\nSTAT\r\n\
    UIDL\r\nTOP 1 1\r\n\xff\r\nLIST 2\r\nRETR 1\r\nDELE 2\r\nBOGUS\r\nRETR 2\nQUIT\r\nSTAT\r\n";

#[test]
fn a_transcript_gives_the_same_at_every_split() {
    let whole = outcome(&[TRANSCRIPT]);
    assert_eq!(whole.1, Some(vec![7]));
    for at in 0..=TRANSCRIPT.len() {
        let (before, after) = TRANSCRIPT.split_at(at);
        assert_eq!(outcome(&[before, after]), whole, "split at {at}");
    }
    let octets: Vec<&[u8]> = TRANSCRIPT.chunks(1).collect();
    assert_eq!(outcome(&octets), whole);
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let command = prop::sample::select(vec![
        "USER alice\r\n",
        "PASS open sesame\r\n",
        "AUTH PLAIN AGFsaWNlAG9wZW4gc2VzYW1l\r\n",
        "AUTH PLAIN\r\n",
        "*\r\n",
        "STAT\r\n",
        "LIST\r\n",
        "UIDL 2\r\n",
        "RETR 1\r\n",
        "TOP 2 1\r\n",
        "DELE 2\r\n",
        "RSET\r\n",
        "CAPA\n",
        "UTF8\r\n",
        "QUIT\r\n",
    ]);
    prop_oneof![
        12 => command.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (500_usize..14_000).prop_map(|length| [&vec![b'x'; length], b"\r\n".as_slice()].concat()),
        1 => (11_000_usize..14_000).prop_map(|length| [b"AUTH PLAIN ", vec![b'A'; length].as_slice(), b"\r\n"].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_session_gives_the_same_at_any_splits(
        lines in prop::collection::vec(line(), 1..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let octets = lines.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([octets.len()]) {
            pieces.push(&octets[start..cut]);
            start = cut;
        }
        prop_assert_eq!(outcome(&pieces), outcome(&[&octets]));
    }
}
