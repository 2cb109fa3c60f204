//! Mailbox names in modified UTF-7 (RFC 3501 §5.1.3), for sessions that have not asked for UTF-8.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::RequireNone);
/// `,` stands in the place of `/`.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::IMAP_MUTF7, CONFIG);

/// Never fails; what is printable ASCII stays as it is, but for `&`.
pub fn encode(name: &str) -> String {
    let (mut out, mut shifted) = (String::with_capacity(name.len()), Vec::new());
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            unshift(&mut shifted, &mut out);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(character.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    unshift(&mut shifted, &mut out);
    out
}

fn unshift(shifted: &mut Vec<u8>, out: &mut String) {
    if !shifted.is_empty() {
        out.push('&');
        out.push_str(&BASE64.encode(&*shifted));
        out.push('-');
        shifted.clear();
    }
}

/// `None` unless the name is as [`encode`] would write it: two spellings of one name would be two mailboxes to a
/// client, and an overlong spelling could hide a separator.
pub fn decode(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        let (shifted, after) = after.split_once('-')?;
        if shifted.is_empty() {
            out.push('&');
        } else {
            out.push_str(&unshifted(shifted)?);
        }
        rest = after;
    }
    out.push_str(rest);
    (encode(&out) == text).then_some(out)
}

fn unshifted(shifted: &str) -> Option<String> {
    let octets = BASE64.decode(shifted).ok()?;
    let (pairs, odd) = octets.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| odd.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_clients_write_them() {
        for (name, wire) in [
            ("Entwürfe", "Entw&APw-rfe"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            ("&&ü", "&-&-&APw-"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
            ("", ""),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(name), "{wire}");
        }
    }

    #[test]
    fn what_is_no_modified_utf_7_is_refused() {
        for wire in [
            "&",
            "&A",
            "&APw",
            "&AP-",
            "&APw/-",
            "&APw=-",
            "&2D0-",
            "&3gA-",
            "&AGE-",
            "&APw-&APw-",
            "Entwürfe",
            "&APx-",
            "&A-",
            "a\tb",
        ] {
            assert_eq!(decode(wire.as_bytes()), None, "{wire}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,20}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }

        #[test]
        fn what_is_read_is_written_the_same(wire in "[&a-zA-Z0-9+,/-]{0,12}") {
            if let Some(name) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&name), wire);
            }
        }
    }
}
