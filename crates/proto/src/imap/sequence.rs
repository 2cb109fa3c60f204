//! Sets of message numbers and UIDs: `1:3,7,10:*` and `$` (RFC 9051 §9, RFC 5182).

use std::{fmt, num::NonZeroU32, ops::RangeInclusive};

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Number(NonZeroU32),
    /// `*`: the largest there is.
    Largest,
}

/// Which messages a client means; whether by number or by UID the command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// As written: in any order, with overlaps and reversed ranges.
    Ranges(Vec<(Bound, Bound)>),
    /// `$`: what the last search found (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// `None`: it breaks the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "$" {
            return Some(Self::Saved);
        }
        text.split(',').map(parse_range).collect::<Option<_>>().map(Self::Ranges)
    }

    /// Ascending, without overlaps or neighbours that touch. `largest`: what `*` stands for; zero means that there is
    /// nothing. `None` for `$`, which the session knows.
    ///
    /// RFC 9051 §9: `*:n` means the largest as well when `n` is greater; so a UID above all others names the last.
    pub fn resolve(&self, largest: u32) -> Option<NumberSet> {
        let Self::Ranges(ranges) = self else { return None };
        let value = |bound: Bound| match bound {
            Bound::Number(number) => Some(number.get()),
            Bound::Largest => Some(largest).filter(|largest| *largest > 0),
        };
        let ordered = ranges.iter().filter_map(|(one, other)| {
            let (one, other) = (value(*one)?, value(*other)?);
            Some(one.min(other)..=one.max(other))
        });
        Some(NumberSet::of_ranges(ordered.collect()))
    }
}

fn parse_range(text: &str) -> Option<(Bound, Bound)> {
    match text.split_once(':') {
        Some((one, other)) => Some((parse_bound(one)?, parse_bound(other)?)),
        None => parse_bound(text).map(|bound| (bound, bound)),
    }
}

fn parse_bound(text: &str) -> Option<Bound> {
    if text == "*" {
        return Some(Bound::Largest);
    }
    // RFC 9051 §9: `nz-number` begins with a digit that is not zero.
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_number).map(Bound::Number)
}

/// Numbers in ascending ranges that neither overlap nor touch; never zero. Written in the shortest form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet(Vec<RangeInclusive<u32>>);

impl NumberSet {
    fn of_ranges(mut ranges: Vec<RangeInclusive<u32>>) -> Self {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut set = Self::default();
        for range in ranges {
            set.add(*range.start(), *range.end());
        }
        set
    }

    /// Adds a number that is greater than those before; others are ignored.
    pub fn push(&mut self, number: u32) {
        if self.0.last().map_or(number > 0, |last| number > *last.end()) {
            self.add(number, number);
        }
    }

    /// Not before the start of the last range.
    fn add(&mut self, start: u32, end: u32) {
        match self.0.last_mut() {
            Some(last) if start <= last.end().saturating_add(1) => {
                *last = *last.start()..=end.max(*last.end());
            }
            _ => self.0.push(start..=end),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.0
    }

    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|range| *range.start() <= number);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|range| range.contains(&number))
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| u64::from(range.end() - range.start()) + 1).sum()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        let mut set = Self::default();
        for number in numbers {
            set.push(number);
        }
        set
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "," })?;
            if range.start() == range.end() {
                write!(f, "{}", range.start())?;
            } else {
                write!(f, "{}:{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolved(text: &str, largest: u32) -> String {
        SequenceSet::parse(text).unwrap().resolve(largest).unwrap().to_string()
    }

    #[test]
    fn sets_as_clients_write_them() {
        assert_eq!(resolved("1", 9), "1");
        assert_eq!(resolved("5:1", 9), "1:5");
        assert_eq!(resolved("1:*", 9), "1:9");
        assert_eq!(resolved("*", 9), "9");
        assert_eq!(resolved("*:12", 9), "9:12");
        assert_eq!(resolved("7,1:3,4,3:2,9", 9), "1:4,7,9");
        assert_eq!(resolved("4294967295,4294967290:*", 3), "3:4294967290,4294967295");
        assert_eq!(SequenceSet::parse("$"), Some(SequenceSet::Saved));
        assert_eq!(SequenceSet::Saved.resolve(9), None);
    }

    #[test]
    fn an_empty_mailbox_has_no_largest() {
        assert_eq!(resolved("*", 0), "");
        assert_eq!(resolved("1:*", 0), "");
        assert_eq!(resolved("3", 0), "3");
        assert!(NumberSet::default().is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in
            ["", "0", "1:", ":1", "1,,2", "1:2:3", "a", "4294967296", "+1", "-1", "01", "$,1", "1:0", "1 "]
        {
            assert_eq!(SequenceSet::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(numbers in prop::collection::btree_set(1_u32..60, 0..40)) {
            let set: NumberSet = numbers.iter().rev().copied().collect();
            prop_assert_eq!(set.count(), numbers.len() as u64);
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), numbers.contains(&number));
            }
            prop_assert!(set.numbers().eq(numbers.iter().copied()));
            if !set.is_empty() {
                prop_assert_eq!(SequenceSet::parse(&set.to_string()).unwrap().resolve(1), Some(set));
            }
        }
    }
}
