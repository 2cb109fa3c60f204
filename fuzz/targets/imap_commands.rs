//! IMAP commands, messages of APPEND included: no panic, bounded memory, the same whatever the split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::imap::reader::{AppendItem, Item, Limits, Reader};

const MESSAGE_BYTES_MAX: u64 = 100;

fn read(octets: &[u8], piece_bytes: usize, utf8: bool) -> (Vec<Item>, Vec<u8>) {
    let limits = Limits { command_bytes: 2000, unsolicited_literal_bytes: 500, skipped_bytes: 5000, utf8 };
    let (mut reader, mut items, mut content) = (Reader::new(), Vec::new(), Vec::new());
    for piece in octets.chunks(piece_bytes) {
        reader.push(piece);
        while let Some(item) = reader.next(&limits) {
            match item {
                Item::Append(AppendItem::Octets(octets)) => {
                    content.extend_from_slice(&octets);
                    continue;
                }
                Item::Append(AppendItem::Literal { octets }) if octets > MESSAGE_BYTES_MAX => reader.refuse(),
                Item::Append(AppendItem::Literal { .. }) => {
                    reader.accept();
                }
                Item::Flood => return (items, content),
                _ => {}
            }
            items.push(item);
        }
    }
    (items, content)
}

fuzz_target!(|octets: &[u8]| {
    for utf8 in [false, true] {
        assert_eq!(read(octets, 1, utf8), read(octets, octets.len().max(1), utf8));
    }
});
