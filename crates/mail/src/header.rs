//! Reading and editing a header section without touching any octet that is not meant.

use std::ops::Range;

/// Where a field stands in the message: name, value (folded, without the final CRLF), whole field with CRLF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Range<usize>,
    pub value: Range<usize>,
    pub whole: Range<usize>,
}

/// The fields of the header section at the start of `message`; ends at the empty line or at the first line that is no
/// field. Costs time linear in what it reads; never fails.
pub fn fields(_message: &[u8]) -> impl Iterator<Item = Field> {
    std::iter::empty()
}

/// Where the body starts (after the empty line); the length of `message` if there is no empty line.
pub fn body_start(_message: &[u8]) -> usize {
    todo!()
}

/// The unfolded value of the first field of that name, any case.
pub fn value(_message: &[u8], _name: &str) -> Option<Vec<u8>> {
    todo!()
}

/// How many fields of that name there are.
pub fn count(_message: &[u8], _name: &str) -> usize {
    todo!()
}

/// A message without the fields of these names (Bcc on submission), every other octet as it was.
pub fn without_fields(_message: &[u8], _names: &[&str]) -> Vec<u8> {
    todo!()
}
