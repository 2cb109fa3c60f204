//! The content behind DATA: the same however it is cut, only CRLF.CRLF ends it, and nothing it holds is invented.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::smtp::data::DataDecoder;

/// Content, whether something in it is forbidden, and what follows the end.
fn decode(octets: &[u8], piece_bytes: usize) -> (Vec<u8>, bool, Option<Vec<u8>>) {
    let (mut decoder, mut waiting, mut content, mut violated) =
        (DataDecoder::default(), Vec::new(), Vec::new(), false);
    let mut pieces = octets.chunks(piece_bytes);
    while let Some(piece) = pieces.next() {
        waiting.extend_from_slice(piece);
        let decoded = decoder.decode(&mut waiting);
        content.extend_from_slice(&waiting[..decoded.produced]);
        violated |= decoded.violation.is_some();
        waiting.drain(..decoded.consumed);
        if decoded.ended {
            waiting.extend(pieces.flatten());
            return (if violated { Vec::new() } else { content }, violated, Some(waiting));
        }
        assert!(waiting.len() <= 2, "{waiting:?} is kept back");
    }
    (if violated { Vec::new() } else { content }, violated, None)
}

fuzz_target!(|octets: &[u8]| {
    let whole = decode(octets, octets.len().max(1));
    let (content, violated, rest) = &whole;
    assert_eq!(decode(octets, 1), whole);
    assert_eq!(decode(octets, 3), whole);
    let framed = [b"\r\n", octets].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n");
    assert_eq!(rest.as_deref(), end.map(|at| &framed[at + 5..]));
    assert!(*violated || content.len() <= octets.len());
});
