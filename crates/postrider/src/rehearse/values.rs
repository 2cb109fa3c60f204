//! The kinds of values that only scenarios have.

use std::{str::FromStr, time::Duration};

use mail::{MtPriority, Notify, Reply};
use sim::rehearsal::Window;

use crate::config::types::{Parsed, Span, text_setting};

/// `"1h..2d"`, or several with commas between them; an end left out is that of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows(pub Vec<Window>);

/// `"450 4.7.1 come again later"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub Reply);

/// As RCPT has it (RFC 3461 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notices(pub Notify);

/// As MAIL has it (RFC 6710 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub MtPriority);

pub type During = Parsed<Windows>;
pub type Said = Parsed<Answer>;
pub type NotifyOption = Parsed<Notices>;
pub type Priority = Parsed<Level>;

text_setting!(During, "time such as \"1h..2d\", from the start on", During::parse);
text_setting!(Said, "reply such as \"450 4.7.1 not now\"", Said::parse);
text_setting!(NotifyOption, "\"never\", or some of \"success,failure,delay\"", NotifyOption::parse);
text_setting!(Priority, "number such as \"4\", from \"-9\" to \"9\"", Priority::parse);

impl FromStr for Windows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| window(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn window(text: &str) -> Result<Window, String> {
    let wrong =
        || format!("{text:?} is not a time such as \"1h..2d\": from when until when, from the start on");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let end = |text: &str, open: Duration| match text.trim() {
        "" => Ok(open),
        text if text.bytes().all(|octet| octet == b'0') => Ok(Duration::ZERO),
        text => Span::parse(text).map(|span| span.0),
    };
    let window = Window { from: end(from, Duration::ZERO)?, to: end(to, Duration::MAX)? };
    if window.to <= window.from {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok(window)
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, words) = text.split_once(' ').unwrap_or((text, ""));
        let code = code.parse().ok().filter(|code| (400..600).contains(code));
        let is_plain = words.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        match code {
            Some(code) if is_plain && !words.trim().is_empty() => {
                Ok(Self(Reply::from_peer(code, [words.as_bytes()])))
            }
            _ => Err(format!("{text:?} is not a reply such as \"450 4.7.1 not now\" or \"550 5.7.1 never\"")),
        }
    }
}

impl FromStr for Notices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is neither \"never\" nor some of \"success,failure,delay\""))
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is not a number from -9 to 9"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_many_ways() {
        const fn hours(from: u64, to: u64) -> Window {
            Window { from: Duration::from_hours(from), to: Duration::from_hours(to) }
        }
        let until_the_end = Window { from: Duration::from_hours(1), to: Duration::MAX };
        for (text, windows) in [
            ("1h..2d", vec![hours(1, 48)]),
            ("..30h", vec![hours(0, 30)]),
            ("0..30h", vec![hours(0, 30)]),
            ("1h..", vec![until_the_end]),
            ("..", vec![Window::ALWAYS]),
            ("1h .. 2h, 1d..1d3h", vec![hours(1, 2), hours(24, 27)]),
        ] {
            assert_eq!(text.parse(), Ok(Windows(windows)), "{text}");
        }
        for text in ["", "1h", "2h..1h", "1h..1h", "1..2", "1h..2h,", "a..b"] {
            assert!(text.parse::<Windows>().is_err(), "{text}");
        }
    }

    #[test]
    fn replies_are_refusals() {
        let Answer(reply) = "450 4.7.1 not now".parse().unwrap();
        assert_eq!(reply.to_string(), "450 4.7.1 not now");
        for text in ["", "450", "450 ", "250 2.0.0 yes", "600 x", "550 a\r\nb", "550 nö"] {
            assert!(text.parse::<Answer>().is_err(), "{text}");
        }
    }
}
