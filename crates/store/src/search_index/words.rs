//! Text as runs of letters and digits: the same for what is indexed and for what is looked for. Nothing here depends on
//! what a word is to people. If a text holds another, then the inner runs of that are runs of the text, its first is the end
//! of one, and its last the beginning of one.

/// Of one run, in octets. A text with a longer one is not indexed.
pub const WORD_BYTES_MAX: usize = 1024;

/// Between the words of a block; in no word.
pub(super) const GAP: u8 = 0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Gap,
    Word,
    /// Of scripts that leave no gaps between words. Their runs are kept as pairs of characters.
    Dense,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Word } else { Class::Gap };
    }
    match c {
        // Thai, Lao, Myanmar, Khmer; kana; ideographs.
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9d}'
        | '\u{20000}'..='\u{3ffff}' => Class::Dense,
        _ if c.is_alphanumeric() => Class::Word,
        _ => Class::Gap,
    }
}

/// Splits texts that come in pieces.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The start of a run that the last piece ended in.
    word: String,
    /// The last character of a dense run, and whether it is the first too.
    dense: Option<(char, bool)>,
    overlong: bool,
}

impl Splitter {
    /// `sink` gets each word that ends in the piece.
    pub fn push(&mut self, piece: &str, sink: &mut impl FnMut(&str)) {
        let mut start = None;
        for (at, c) in piece.char_indices() {
            let class = class(c);
            if class == Class::Word {
                if start.is_none() {
                    start = Some(at);
                    self.end_dense(sink);
                }
                continue;
            }
            self.end_word(start.take().and_then(|start| piece.get(start..at)), sink);
            if class == Class::Dense {
                self.dense_char(c, sink);
            } else {
                self.end_dense(sink);
            }
        }
        self.keep(start.and_then(|start| piece.get(start..)).unwrap_or_default());
    }

    /// The text ends; another may follow.
    pub fn end(&mut self, sink: &mut impl FnMut(&str)) {
        self.end_word(None, sink);
        self.end_dense(sink);
    }

    /// There was a run longer than [`WORD_BYTES_MAX`], which no sink got.
    pub fn is_overlong(&self) -> bool {
        self.overlong
    }

    fn keep(&mut self, part: &str) {
        if self.word.len() + part.len() > WORD_BYTES_MAX {
            self.overlong = true;
        } else {
            self.word.push_str(part);
        }
    }

    fn end_word(&mut self, part: Option<&str>, sink: &mut impl FnMut(&str)) {
        let part = part.unwrap_or_default();
        if self.word.is_empty() && part.len() <= WORD_BYTES_MAX {
            if !part.is_empty() {
                sink(part);
            }
            return;
        }
        self.keep(part);
        if !self.word.is_empty() {
            sink(&self.word);
            self.word.clear();
        }
    }

    fn dense_char(&mut self, c: char, sink: &mut impl FnMut(&str)) {
        let before = self.dense.replace((c, self.dense.is_none()));
        if let Some((before, _)) = before {
            sink(pair(before, c).as_str());
        }
    }

    fn end_dense(&mut self, sink: &mut impl FnMut(&str)) {
        if let Some((c, true)) = self.dense.take() {
            sink(c.encode_utf8(&mut [0; 4]));
        }
    }
}

fn pair(one: char, other: char) -> String {
    [one, other].into_iter().collect()
}

/// What the words of a text must hold if the text holds what is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// To be found in the words of a block with the gaps between them.
    pub(super) patterns: Vec<Vec<u8>>,
}

impl Query {
    /// `None`: it says nothing about words. `text`: in the form in which texts are indexed.
    pub fn new(text: &str) -> Option<Self> {
        let mut patterns = Vec::new();
        let (mut start, mut before) = (0, Class::Gap);
        for (at, c) in text.char_indices() {
            let class = class(c);
            if class != before {
                add_run(&mut patterns, before, text, start..at);
                (start, before) = (at, class);
            }
        }
        add_run(&mut patterns, before, text, start..text.len());
        patterns.sort_by_key(|pattern: &Vec<u8>| std::cmp::Reverse(pattern.len()));
        patterns.dedup();
        Some(Self { patterns }).filter(|query| !query.patterns.is_empty())
    }
}

fn add_run(patterns: &mut Vec<Vec<u8>>, class: Class, text: &str, range: std::ops::Range<usize>) {
    let Some(run) = text.get(range.clone()) else { return };
    let gap = |is_there: bool| is_there.then_some(GAP);
    match class {
        Class::Gap => {}
        // A run at an end of what is looked for may go on in the text.
        Class::Word => {
            let (begins, ends) = (gap(range.start > 0), gap(range.end < text.len()));
            patterns.push(begins.into_iter().chain(run.bytes()).chain(ends).collect());
        }
        Class::Dense => {
            let pairs = run.chars().zip(run.chars().skip(1));
            let before = patterns.len();
            patterns.extend(pairs.map(|(one, other)| {
                [GAP].into_iter().chain(pair(one, other).into_bytes()).chain([GAP]).collect()
            }));
            if patterns.len() == before {
                patterns.push(run.as_bytes().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str]) -> Vec<String> {
        let (mut splitter, mut words) = (Splitter::default(), Vec::new());
        let mut sink = |word: &str| words.push(word.to_owned());
        for piece in pieces {
            splitter.push(piece, &mut sink);
        }
        splitter.end(&mut sink);
        words
    }

    fn patterns(text: &str) -> Vec<String> {
        let query = Query::new(text).map(|query| query.patterns).unwrap_or_default();
        query.into_iter().map(|pattern| String::from_utf8(pattern).unwrap().replace('\0', "|")).collect()
    }

    #[test]
    fn texts_are_split_wherever_their_pieces_end() {
        assert_eq!(split(&["the gre", "en, straße", "", " 42"]), ["the", "green", "straße", "42"]);
        assert_eq!(split(&["日", "本語 x", "日本y"]), ["日本", "本語", "x", "日本", "y"]);
        assert_eq!(split(&["私 a"]), ["私", "a"]);
        assert_eq!(split(&[" ", "=", ""]), Vec::<String>::new());
    }

    #[test]
    fn a_run_that_is_too_long_is_told() {
        let long = "x".repeat(WORD_BYTES_MAX);
        assert_eq!(split(&[&long]).concat(), long);
        for pieces in [vec![format!("{long}x y")], vec![long.clone(), "xx y".to_owned()]] {
            let mut splitter = Splitter::default();
            for piece in &pieces {
                splitter.push(piece, &mut |_| {});
            }
            assert!(splitter.is_overlong());
        }
    }

    #[test]
    fn what_is_looked_for_becomes_patterns() {
        assert_eq!(patterns("green"), ["green"]);
        assert_eq!(patterns("the gre-en day"), ["|gre|", "the|", "|en|", "|day"]);
        assert_eq!(patterns(" a."), ["|a|"]);
        assert_eq!(patterns("日本語"), ["|日本|", "|本語|"]);
        assert_eq!(patterns("日"), ["日"]);
        assert_eq!(patterns("a日"), ["日", "a|"]);
        assert_eq!(patterns(" .-\0"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn whoever_holds_a_text_matches_its_patterns(
            chars in prop::collection::vec("[abßıσςé1 .\0日本語のกา가]", 0..40), from in 0_usize..40, length in 0_usize..12
        ) {
            let text = chars.concat();
            let held: String = chars.iter().skip(from).take(length).map(String::as_str).collect();
            let words = format!("\0{}\0", split(&[&text]).join("\0"));
            if let Some(query) = Query::new(&held) {
                for pattern in query.patterns {
                    let found = words.as_bytes().windows(pattern.len()).any(|window| window == pattern);
                    prop_assert!(found, "{held:?} in {text:?}: {pattern:?}");
                }
            }
        }
    }
}
