//! The second walk: the message anew.

use super::{
    Encoding, LINE_BYTES_MAX, Plan, Target, Unconvertible,
    encode::{Base64, QuotedPrintable},
    part::Part,
    survey::Step,
    walk::{Place, Visitor, Walk},
};
use crate::header;

/// Writes a message as planned, piece by piece.
#[derive(Debug)]
pub struct Converter {
    walk: Walk,
    writer: Writer,
}

impl Converter {
    pub fn new(plan: &Plan) -> Self {
        let writer = Writer { plan: plan.clone(), next: 0, body: Body::Plain, column: 0, out: Vec::new() };
        Self { walk: Walk::new(), writer }
    }

    /// Appends to `out` what is ready, at most three times and a bit what was pushed. Fails only if this is not the
    /// message that was planned for.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Unconvertible> {
        self.writer.out = std::mem::take(out);
        let walked = self.walk.push(octets, &mut self.writer);
        *out = std::mem::take(&mut self.writer.out);
        walked
    }

    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
        self.writer.out = std::mem::take(out);
        let walked = self.walk.finish(&mut self.writer);
        *out = self.writer.out;
        walked
    }
}

#[derive(Debug)]
struct Writer {
    plan: Plan,
    /// Index of the next part's step.
    next: usize,
    body: Body,
    /// In a preamble or epilogue.
    column: usize,
    out: Vec<u8>,
}

#[derive(Debug)]
enum Body {
    Plain,
    QuotedPrintable(QuotedPrintable),
    Base64(Base64),
}

impl Visitor for Writer {
    fn header(&mut self, section: &[u8], part: &Part, _signed: bool) -> Result<(), Unconvertible> {
        let step = *self.plan.steps.get(self.next).ok_or(Unconvertible::Malformed)?;
        self.next += 1;
        self.body = match step.label {
            Some(Encoding::QuotedPrintable) => Body::QuotedPrintable(QuotedPrintable::default()),
            Some(Encoding::Base64) => Body::Base64(Base64::default()),
            _ => Body::Plain,
        };
        match step.label {
            Some(label) => relabel(section, part.is_message, step, label, &mut self.out),
            None => fold(section, &mut self.out),
        }
        Ok(())
    }

    fn text(&mut self, place: Place, octets: &[u8]) {
        let out = &mut self.out;
        match (place, &mut self.body) {
            (Place::Outside, _) => self.outside(octets),
            (Place::Leaf, Body::Plain) => out.extend_from_slice(octets),
            (Place::Leaf, Body::QuotedPrintable(encoder)) => encoder.text(octets, out),
            (Place::Leaf, Body::Base64(encoder)) => encoder.text(octets, out),
        }
    }

    fn line_end(&mut self, place: Place) {
        self.column = 0;
        let out = &mut self.out;
        match (place, &mut self.body) {
            (Place::Leaf, Body::QuotedPrintable(encoder)) => encoder.line_end(out),
            (Place::Leaf, Body::Base64(encoder)) => encoder.text(b"\r\n", out),
            _ => out.extend_from_slice(b"\r\n"),
        }
    }

    fn end_leaf(&mut self, last: bool) -> Result<(), Unconvertible> {
        match std::mem::replace(&mut self.body, Body::Plain) {
            Body::Plain => {}
            Body::QuotedPrintable(mut encoder) => encoder.finish(last, &mut self.out),
            Body::Base64(mut encoder) => encoder.finish(last, &mut self.out),
        }
        Ok(())
    }

    fn delimiter(&mut self, octets: &[u8]) {
        self.column = 0;
        self.out.extend_from_slice(octets);
    }
}

impl Writer {
    /// RFC 2046 §5.1.1: what stands there is to be ignored, and has no encoding.
    fn outside(&mut self, octets: &[u8]) {
        for &octet in octets {
            if self.column == LINE_BYTES_MAX {
                self.out.extend_from_slice(b"\r\n ");
                self.column = 1;
            }
            let fits = octet.is_ascii() || self.plan.target == Target::EightBit;
            self.out.push(if fits && !matches!(octet, 0 | b'\r' | b'\n') { octet } else { b'?' });
            self.column += 1;
        }
    }
}

/// The section with its label replaced or added.
fn relabel(section: &[u8], is_message: bool, step: Step, label: Encoding, out: &mut Vec<u8>) {
    const LABEL: &str = "Content-Transfer-Encoding";
    let line = format!("{LABEL}: {}\r\n", label.name());
    let (mut end, mut labelled) = (0, false);
    for field in header::fields(section) {
        end = field.whole.end;
        let name = section.get(field.name).unwrap_or_default();
        if name.eq_ignore_ascii_case(LABEL.as_bytes()) {
            out.extend_from_slice(line.as_bytes());
            labelled = true;
        } else {
            fold(section.get(field.whole).unwrap_or_default(), out);
        }
    }
    // RFC 2045 §4: without it the label says nothing.
    if is_message && header::count(section, "MIME-Version") == 0 {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        if header::count(section, "Content-Type") == 0 && step.eight_bit {
            // RFC 1428 §3
            out.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
        }
    }
    if !labelled {
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(section.get(end..).unwrap_or_default());
}

/// RFC 5322 §2.2.3: lines that are too long are broken before white space, where there is some.
pub(super) fn fold(section: &[u8], out: &mut Vec<u8>) {
    for line in section.split_inclusive(|octet| *octet == b'\n') {
        let mut rest = line;
        while rest.len() > LINE_BYTES_MAX + 2 {
            let Some((head, tail)) = fold_at(rest).and_then(|at| rest.split_at_checked(at)) else { break };
            out.extend_from_slice(head);
            out.extend_from_slice(b"\r\n");
            rest = tail;
        }
        out.extend_from_slice(rest);
    }
}

/// Before the last white space that leaves something else on either side.
fn fold_at(line: &[u8]) -> Option<usize> {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let first = line.iter().position(|octet| !is_space(octet))?;
    let last = line.trim_ascii_end().len();
    let head = line.get(..(LINE_BYTES_MAX + 1).min(last))?;
    head.iter().rposition(is_space).filter(|at| *at > first)
}
