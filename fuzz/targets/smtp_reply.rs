//! Replies of servers: bounded, clean, and the same however the octets are split.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mail::Reply;
use proto::smtp::reply::ReplyReader;

fn read(octets: &[u8], piece_bytes: usize) -> (Vec<Reply>, bool) {
    let (mut reader, mut input, mut replies) = (ReplyReader::default(), BytesMut::new(), Vec::new());
    for piece in octets.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        loop {
            match reader.next(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(_) => return (replies, true),
            }
        }
    }
    (replies, false)
}

fuzz_target!(|octets: &[u8]| {
    let (replies, failed) = read(octets, octets.len().max(1));
    for line in replies.iter().flat_map(|reply| &reply.lines) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert_eq!(read(octets, 1), (replies, failed));
});
