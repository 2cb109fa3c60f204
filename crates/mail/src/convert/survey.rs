//! The first walk: what becomes of each part.

use std::sync::Arc;

use super::{
    Encoding, LINE_BYTES_MAX, PARTS_MAX, Scan, Target, Unconvertible,
    part::{Kind, Part},
    rewrite::fold,
    walk::{Place, Visitor, Walk},
};
use crate::header;

/// What becomes of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The label it gets; none: it stays as it is.
    pub(super) label: Option<Encoding>,
    /// It has octets beyond ASCII.
    pub(super) eight_bit: bool,
}

/// What becomes of a message; made by [`Survey::finish`]. Two octets a part; cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) target: Target,
    pub(super) steps: Arc<[Step]>,
}

impl Plan {
    /// How many parts are encoded.
    pub fn encoded_parts(&self) -> usize {
        let encoded = |step: &&Step| matches!(step.label, Some(Encoding::QuotedPrintable | Encoding::Base64));
        self.steps.iter().filter(encoded).count()
    }
}

/// Walks a message to plan its conversion. Time is linear; memory is one header section, and two octets a part.
#[derive(Debug)]
pub struct Survey {
    walk: Walk,
    findings: Findings,
}

impl Survey {
    pub fn new(target: Target) -> Self {
        Self { walk: Walk::new(), findings: Findings { target, steps: Vec::new(), leaf: None } }
    }

    /// After an error the survey is of no use.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), Unconvertible> {
        self.walk.push(octets, &mut self.findings)
    }

    pub fn finish(mut self) -> Result<Plan, Unconvertible> {
        self.walk.finish(&mut self.findings)?;
        Ok(Plan { target: self.findings.target, steps: self.findings.steps.into() })
    }
}

#[derive(Debug)]
struct Findings {
    target: Target,
    steps: Vec<Step>,
    leaf: Option<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    part: Part,
    signed: bool,
    scan: Scan,
    octets: u64,
    /// Octets that quoted-printable writes as three.
    escaped: u64,
}

impl Visitor for Findings {
    fn header(&mut self, section: &[u8], part: &Part, signed: bool) -> Result<(), Unconvertible> {
        if self.steps.len() >= PARTS_MAX {
            return Err(Unconvertible::TooComplex);
        }
        // RFC 6376 §5.3: whoever signs a message ought to have brought it to 7 bits.
        if self.steps.is_empty() && header::count(section, "DKIM-Signature") > 0 {
            return Err(Unconvertible::Signed);
        }
        self.check_header(section, signed)?;
        if part.is_leaf() {
            let part = Part { kind: part.kind.clone(), ..*part };
            self.leaf = Some(Leaf { part, signed, scan: Scan::new(), octets: 0, escaped: 0 });
        } else {
            let label = self.lesser_label(part, signed);
            self.steps.push(Step { label, eight_bit: false });
        }
        Ok(())
    }

    fn text(&mut self, place: Place, octets: &[u8]) {
        if let (Place::Leaf, Some(leaf)) = (place, &mut self.leaf) {
            leaf.scan.push(octets);
            leaf.octets += octets.len() as u64;
            leaf.escaped += escaped(octets);
        }
    }

    fn line_end(&mut self, place: Place) {
        if let (Place::Leaf, Some(leaf)) = (place, &mut self.leaf) {
            leaf.scan.push(b"\r\n");
            leaf.octets += 2;
        }
    }

    fn end_leaf(&mut self, last: bool) -> Result<(), Unconvertible> {
        let Some(mut leaf) = self.leaf.take() else { return Ok(()) };
        leaf.scan = leaf.scan.finish();
        // Whatever carries text ends its last line; content that is not to have a line end there is no text.
        let unended = last && !leaf.scan.ended && leaf.part.encoding == Some(Encoding::Binary);
        let label = if leaf.scan.exceeds(self.target) || unended {
            Some(leaf.encoding()?)
        } else {
            self.lesser_label(&leaf.part, leaf.signed)
        };
        self.steps.push(Step { label, eight_bit: leaf.scan.eight_bit });
        Ok(())
    }

    fn delimiter(&mut self, _octets: &[u8]) {}
}

impl Findings {
    fn check_header(&self, section: &[u8], signed: bool) -> Result<(), Unconvertible> {
        let mut scan = Scan::new();
        scan.push(section);
        let scan = scan.finish();
        if scan.eight_bit && self.target == Target::SevenBit {
            return Err(Unconvertible::Header);
        }
        if scan.binary {
            return Err(Unconvertible::Malformed);
        }
        if scan.long_line {
            if signed {
                return Err(Unconvertible::Signed);
            }
            let mut folded = Vec::new();
            fold(section, &mut folded);
            let too_long = |line: &[u8]| line.len() > LINE_BYTES_MAX + 1;
            if folded.split(|octet| *octet == b'\n').any(too_long) {
                return Err(Unconvertible::Malformed);
            }
        }
        Ok(())
    }

    /// RFC 2045 §6.2: a label that promises more than the target takes is replaced, although the content has less.
    fn lesser_label(&self, part: &Part, signed: bool) -> Option<Encoding> {
        let label = match (part.encoding?, self.target) {
            (Encoding::EightBit | Encoding::Binary, Target::SevenBit) => Encoding::SevenBit,
            (Encoding::Binary, Target::EightBit) => Encoding::EightBit,
            _ => return None,
        };
        (part.editable && !signed).then_some(label)
    }
}

impl Leaf {
    fn encoding(&self) -> Result<Encoding, Unconvertible> {
        let plain =
            matches!(self.part.encoding, Some(Encoding::SevenBit | Encoding::EightBit | Encoding::Binary));
        if self.signed {
            return Err(Unconvertible::Signed);
        }
        if !plain || !self.part.editable || self.part.kind == Kind::Rigid {
            return Err(Unconvertible::Malformed);
        }
        // Escapes add two octets each, base64 adds about three to each eight.
        let is_text = self.part.kind == Kind::Text && !self.scan.binary && self.escaped * 6 <= self.octets;
        Ok(if is_text { Encoding::QuotedPrintable } else { Encoding::Base64 })
    }
}

fn escaped(octets: &[u8]) -> u64 {
    let escaped = octets.iter().filter(|octet| !matches!(octet, b'\t' | b' '..=b'<' | b'>'..=b'~'));
    escaped.count() as u64
}
