//! Variable envelope return paths: `list-bounces+user=domain=tag@here` says whose bounce it is, and the tag that we say so.

use crate::{Address, Domain, seal::Seal};

const PURPOSE: &str = "list return address";
/// Letters of a tag: 30 bits, guessed online only, and all that is won is one bounce counted.
const TAG_CHARS: usize = 6;

/// What a return address says of its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verp {
    /// The beginning of the member's lookup form, `=` in place of its last `@`.
    text: String,
    tag: String,
}

/// The return address of what list number `list` sends to the member of this lookup form. `bounces` is `list-bounces@here`,
/// with room behind it. Where the whole member does not fit (RFC 5321 §4.5.3.1.1) its end is left out.
pub fn return_address(seal: &Seal, list: u64, bounces: &Address, member: &str) -> Option<Address> {
    let tag = seal.tag(PURPOSE, &[&list.to_string(), member], TAG_CHARS);
    let domain = bounces.domain()?;
    let mut text = written(member);
    while !text.is_empty() {
        if let Ok(made) = make(bounces.local_part(), &text, &tag, domain) {
            return Some(made);
        }
        text.pop();
    }
    None
}

fn make(bounces: &str, text: &str, tag: &str, domain: &Domain) -> Result<Address, crate::AddressError> {
    Address::new(&format!("{bounces}+{text}={tag}"), domain.clone())
}

impl Verp {
    /// What stands behind the `+`, in whatever case it came back.
    pub fn read(local_part: &str) -> Option<Self> {
        let (_, behind) = local_part.split_once('+')?;
        let (text, tag) = behind.rsplit_once('=')?;
        let is_tag = tag.len() == TAG_CHARS && !text.is_empty();
        is_tag.then(|| Self { text: text.to_lowercase(), tag: tag.to_owned() })
    }

    /// What the member's lookup form begins with: one of these.
    pub fn prefixes(&self) -> [String; 2] {
        let whole = match self.text.rsplit_once('=') {
            Some((user, domain)) => format!("{user}@{domain}"),
            None => self.text.clone(),
        };
        [whole, self.text.clone()]
    }

    /// Whether the address was made for this member.
    pub fn is_of(&self, seal: &Seal, list: u64, member: &str) -> bool {
        written(member).starts_with(&self.text) && seal.fits(PURPOSE, &[&list.to_string(), member], &self.tag)
    }
}

fn written(member: &str) -> String {
    match member.rsplit_once('@') {
        Some((user, domain)) => format!("{user}={domain}"),
        None => member.to_owned(),
    }
}
