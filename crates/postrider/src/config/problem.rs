//! What is wrong with a configuration, shown the way a person wants to read it.

use std::{fmt, ops::Range, path::PathBuf};

/// One mistake, by octet range in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub span: Range<usize>,
    pub message: String,
}

/// Where an option stands, for messages: its key and the heading of its section.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub heading: &'a str,
    pub key: &'a str,
}

/// The mistakes found so far; all of them are told at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

/// A configuration that cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    Unreadable {
        path: PathBuf,
        reason: std::io::Error,
    },
    /// At least one problem with the text of the file.
    Invalid {
        path: PathBuf,
        text: String,
        problems: Vec<Problem>,
    },
}

impl Problems {
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.0.push(Problem { span, message: message.into() });
    }

    /// A mistake in the value of an option.
    pub fn add_at(&mut self, span: Range<usize>, place: Place<'_>, message: impl fmt::Display) {
        self.add(span, format!("{place}: {message}"));
    }

    pub fn into_result<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        self.0.sort_by_key(|problem| problem.span.start);
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// `"port" in [[route]]`, or only the key at the top level.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.heading.is_empty() {
            write!(f, "{:?}", self.key)
        } else {
            write!(f, "{:?} in {}", self.key, self.heading)
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(f, "{} cannot be read: {reason}", path.display())
            }
            Self::Invalid { path, text, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    show(f, &path.display(), text, problem)?;
                }
                Ok(())
            }
        }
    }
}

/// `file:7:1: message`, the line itself, and a mark below what is meant.
fn show(f: &mut fmt::Formatter<'_>, path: &dyn fmt::Display, text: &str, problem: &Problem) -> fmt::Result {
    let spot = Spot::find(text, &problem.span);
    write!(f, "{path}:{}:{}: {}", spot.line, spot.column, problem.message)?;
    if spot.source.trim().is_empty() {
        return Ok(());
    }
    let margin = spot.line.to_string().len();
    let indent = " ".repeat(spot.column.saturating_sub(1));
    write!(f, "\n  {} | {}\n", spot.line, spot.source)?;
    write!(f, "  {:margin$} | {indent}{}", "", "^".repeat(spot.width))
}

/// An octet range as a person counts: line and column from 1.
#[derive(Debug, PartialEq, Eq)]
struct Spot<'a> {
    line: usize,
    column: usize,
    source: &'a str,
    width: usize,
}

impl<'a> Spot<'a> {
    fn find(text: &'a str, span: &Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let (_, in_line) = before.split_at_checked(line_start).unwrap_or(("", before));
        let rest = after.split('\n').next().unwrap_or_default();
        let source = text.get(line_start..start + rest.len()).unwrap_or_default().trim_end_matches('\r');
        let marked =
            rest.trim_end_matches('\r').char_indices().take_while(|(at, _)| *at < span.len()).count();
        let width = marked.max(1);
        Self { line: before.matches('\n').count() + 1, column: in_line.chars().count() + 1, source, width }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_a_mark() {
        let text = "hostname = \"a\"\n\n[[listener]]\nadress = \"x\"\n";
        let start = text.find("adress").unwrap();
        let error = ConfigError::Invalid {
            path: "postrider.toml".into(),
            text: text.to_owned(),
            problems: vec![Problem { span: start..start + 6, message: "unknown key".to_owned() }],
        };
        assert_eq!(error.to_string(), "postrider.toml:4:1: unknown key\n  4 | adress = \"x\"\n    | ^^^^^^");
    }

    #[test]
    fn columns_count_characters_and_ends_do_no_harm() {
        let text = "ä = 1\r\nö = é";
        assert_eq!(Spot::find(text, &(4..5)), Spot { line: 1, column: 4, source: "ä = 1", width: 1 });
        assert_eq!(Spot::find(text, &(1000..1001)).line, 2);
        assert_eq!(Spot::find("", &(0..0)), Spot { line: 1, column: 1, source: "", width: 1 });
    }
}
