//! The messages of RFC 5802 §7. Everything that breaks the grammar is `None`.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::sasl::PART_BYTES_MAX;

/// Of one side's nonce, in characters; far beyond what anybody sends.
const NONCE_CHARACTERS_MAX: usize = 256;
/// Of a salt; a server that sends more is not believed.
const SALT_BYTES_MAX: usize = 256;

/// What a client says of channel binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag {
    /// `n`: it knows of none.
    Unsupported,
    /// `y`: it thinks that the server knows of none.
    NotOffered,
    /// `p=`: the connection is bound in the way of this name.
    Required(String),
}

/// `client-first-message`.
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag,
    pub(super) authorization_id: String,
    pub(super) authentication_id: String,
    pub(super) nonce: &'a str,
    /// `gs2-header`, with its last comma.
    pub(super) gs2_header: &'a str,
    pub(super) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (flag, rest) = text.split_once(',')?;
        let (authorization, bare) = rest.split_once(',')?;
        let gs2_header = text.strip_suffix(bare)?;
        let authorization_id = match authorization.strip_prefix("a=") {
            Some(name) => saslname(name)?,
            None if authorization.is_empty() => String::new(),
            None => return None,
        };
        // A mandatory extension (`m=`) stands where the name is expected, and none is known.
        let mut attributes = bare.split(',');
        let authentication_id = saslname(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = nonce(attributes.next()?.strip_prefix("r=")?)?;
        let flag = binding_flag(flag)?;
        attributes.all(is_extension).then_some(Self {
            flag,
            authorization_id,
            authentication_id,
            nonce,
            gs2_header,
            bare,
        })
    }
}

/// `client-final-message`.
#[derive(Debug)]
pub(super) struct ClientFinal<'a> {
    /// `gs2-header` again, and the channel binding data.
    pub(super) channel_binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) without_proof: &'a str,
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let channel_binding = octets(attributes.next()?.strip_prefix("c=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_printable(nonce))?;
        let proof = octets(proof)?;
        attributes.all(is_extension).then_some(Self { channel_binding, nonce, without_proof, proof })
    }
}

/// `server-first-message`.
#[derive(Debug)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let mut attributes = text.split(',');
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_printable(nonce))?;
        let salt = octets(attributes.next()?.strip_prefix("s=")?)?;
        let digits = attributes.next()?.strip_prefix("i=")?;
        let is_number = digits.bytes().all(|octet| octet.is_ascii_digit()) && !digits.starts_with('0');
        let iterations = digits.parse().ok().filter(|_| is_number)?;
        let fits =
            !salt.is_empty() && salt.len() <= SALT_BYTES_MAX && nonce.len() <= 2 * NONCE_CHARACTERS_MAX;
        (fits && attributes.all(is_extension)).then_some(Self { nonce, salt, iterations })
    }
}

/// The server's signature out of `server-final-message`; `None` also if it tells an error.
pub(super) fn server_signature(message: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let mut attributes = text.split(',');
    let signature = octets(attributes.next()?.strip_prefix("v=")?)?;
    attributes.all(is_extension).then_some(signature)
}

/// A name as it stands in a message: comma and equals sign escaped.
pub(super) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

pub(super) fn base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

fn octets(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn binding_flag(text: &str) -> Option<BindingFlag> {
    match text {
        "n" => Some(BindingFlag::Unsupported),
        "y" => Some(BindingFlag::NotOffered),
        _ => {
            let name = text.strip_prefix("p=")?;
            let is_name = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-".contains(&octet));
            (is_name && !name.is_empty()).then(|| BindingFlag::Required(name.to_owned()))
        }
    }
}

/// Not empty, and each equals sign begins `=2C` or `=3D`.
pub(in crate::sasl) fn saslname(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        match code {
            "2C" | "2c" => name.push(','),
            "3D" | "3d" => name.push('='),
            _ => return None,
        }
        name.push_str(rest);
    }
    (!name.is_empty() && name.len() <= PART_BYTES_MAX && !name.contains('\0')).then_some(name)
}

fn nonce(text: &str) -> Option<&str> {
    (text.len() <= NONCE_CHARACTERS_MAX && is_printable(text)).then_some(text)
}

/// `printable`; there are no commas in what was split at them.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// `attr-val`, which may be passed over where it is optional.
fn is_extension(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    // RFC 5802 §5.1: `m` must be understood.
    matches!(name.as_bytes(), [letter] if letter.is_ascii_alphabetic() && *letter != b'm')
        && !value.is_empty()
        && !value.contains('\0')
}
