//! Address fields as they are out there, for showing: whatever there is gives something. For deciding who wrote a
//! message see [`address_list`](crate::address_list), which refuses what is not plain.

use super::{ADDRESSES_MAX, EnvelopeAddress, fields::text};

/// Linear in the field, without recursion.
pub(super) fn parse(value: &[u8]) -> Vec<EnvelopeAddress> {
    let mut reading = Reading::default();
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => reading.quoted(&mut octets),
            b'(' => reading.comment(&mut octets),
            b'<' => reading.start_angle(),
            b'>' => reading.in_angle = false,
            b'[' => reading.domain_literal(&mut octets),
            b',' if reading.is_in_route() => reading.word(octet),
            b',' => reading.end_address(),
            b':' if reading.in_angle => reading.end_route(),
            b':' => reading.start_group(),
            b';' => reading.end_group(),
            b' ' | b'\t' | b'\r' | b'\n' => reading.spaced = true,
            b'@' => reading.at_sign(),
            octet => reading.word(octet),
        }
    }
    if reading.in_group {
        reading.end_group();
    } else {
        reading.end_address();
    }
    reading.found
}

#[derive(Default)]
struct Reading {
    found: Vec<EnvelopeAddress>,
    /// Words before an angle bracket, with single spaces.
    display: Vec<u8>,
    /// The same without spaces: an address, unless an angle bracket follows.
    bare: Vec<u8>,
    angle: Vec<u8>,
    has_angle: bool,
    in_angle: bool,
    in_group: bool,
    /// The last `@` of the address that is no part of a quoted string.
    at: Option<usize>,
    route: Option<String>,
    comment: Vec<u8>,
    spaced: bool,
}

impl Reading {
    fn address(&mut self) -> &mut Vec<u8> {
        if self.in_angle { &mut self.angle } else { &mut self.bare }
    }

    fn is_in_route(&self) -> bool {
        self.in_angle && self.angle.first() == Some(&b'@')
    }

    fn word(&mut self, octet: u8) {
        if !self.in_angle {
            if self.spaced && !self.display.is_empty() {
                self.display.push(b' ');
            }
            self.display.push(octet);
        }
        self.has_angle |= self.in_angle;
        self.spaced = false;
        self.address().push(octet);
    }

    fn at_sign(&mut self) {
        // What stands behind an angle bracket is no address.
        if self.in_angle || !self.has_angle {
            self.at = Some(self.address().len());
        }
        self.word(b'@');
    }

    fn start_angle(&mut self) {
        self.in_angle = true;
        self.at = None;
        self.angle.clear();
    }

    fn quoted(&mut self, octets: &mut impl Iterator<Item = u8>) {
        while let Some(octet) = octets.next() {
            match octet {
                b'"' => break,
                b'\\' => octets.next().into_iter().for_each(|octet| self.word(octet)),
                octet => self.word(octet),
            }
        }
    }

    /// The last one counts: it may be the name.
    fn comment(&mut self, octets: &mut impl Iterator<Item = u8>) {
        let (mut text, mut depth) = (Vec::new(), 1_usize);
        while let Some(octet) = octets.next() {
            match octet {
                b'\\' => text.extend(octets.next()),
                b'(' => depth += 1,
                b')' if depth == 1 => break,
                b')' => depth -= 1,
                octet => text.push(octet),
            }
        }
        self.spaced = true;
        self.comment = text;
    }

    fn domain_literal(&mut self, octets: &mut impl Iterator<Item = u8>) {
        self.word(b'[');
        for octet in octets {
            self.word(octet);
            if octet == b']' {
                break;
            }
        }
    }

    /// `<@a,@b:user@host>`
    fn end_route(&mut self) {
        if self.is_in_route() {
            self.route = Some(text(&std::mem::take(&mut self.angle)));
            self.at = None;
        }
    }

    fn start_group(&mut self) {
        let name = text(&std::mem::take(&mut self.display));
        self.clear();
        if !self.in_group && self.found.len() < ADDRESSES_MAX {
            self.found.push(EnvelopeAddress::GroupStart(name));
            self.in_group = true;
        }
    }

    fn end_group(&mut self) {
        self.end_address();
        if std::mem::take(&mut self.in_group) {
            self.found.push(EnvelopeAddress::GroupEnd);
        }
    }

    fn end_address(&mut self) {
        let address = std::mem::take(if self.has_angle { &mut self.angle } else { &mut self.bare });
        let at = self.at.filter(|at| *at < address.len());
        let (local_part, host) =
            at.and_then(|at| address.split_at_checked(at)).unwrap_or((address.as_slice(), b"".as_slice()));
        let name = if self.has_angle && !self.display.is_empty() { &self.display } else { &self.comment };
        let name = Some(text(name)).filter(|name| !name.is_empty());
        if !address.is_empty() && self.found.len() < ADDRESSES_MAX {
            let (local_part, host) = (text(local_part), text(host.get(1..).unwrap_or_default()));
            let route = self.route.take();
            self.found.push(EnvelopeAddress::Mailbox { name, route, local_part, host });
        }
        self.clear();
    }

    fn clear(&mut self) {
        let (found, in_group) = (std::mem::take(&mut self.found), self.in_group);
        *self = Self { found, in_group, ..Self::default() };
    }
}
