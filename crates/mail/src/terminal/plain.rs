//! Text without anything that a terminal obeys.

use crate::text::is_harmless;

/// Columns between tab stops.
const TAB_COLUMNS: usize = 8;

/// The text in lines ended by LF: escape sequences (ECMA-48 §5.4, §5.6), controls, invisible and direction-changing
/// characters are taken out, tabs become spaces. CRLF, LF, and CR alone end a line.
pub(super) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')) {
        push_line(line, &mut out);
        out.push('\n');
    }
    let end = out.trim_end_matches(['\n', ' ']).len();
    out.truncate(end);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn push_line(line: &str, out: &mut String) {
    let mut column = 0;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = behind_sequence(c, after);
        if c == '\t' {
            let spaces = TAB_COLUMNS - column % TAB_COLUMNS;
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else if is_harmless(c) {
            out.push(c);
            column += 1;
        }
    }
}

/// What follows the sequence that `c` begins; all of `after` if it begins none.
fn behind_sequence(c: char, after: &str) -> &str {
    match c {
        '\u{1b}' => match after.chars().next() {
            Some('[') => behind_control(after.get(1..).unwrap_or_default()),
            Some(']' | 'P' | 'X' | '^' | '_') => behind_string(after.get(1..).unwrap_or_default()),
            // Intermediate octets and a final one.
            Some(' '..='~') => {
                let rest = after.trim_start_matches(|c| matches!(c, ' '..='/'));
                rest.strip_prefix(|c| matches!(c, '0'..='~')).unwrap_or(rest)
            }
            _ => after,
        },
        '\u{9b}' => behind_control(after),
        '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => behind_string(after),
        _ => after,
    }
}

/// CSI: parameters, intermediate octets, a final one.
fn behind_control(rest: &str) -> &str {
    let rest =
        rest.trim_start_matches(|c| matches!(c, '0'..='?')).trim_start_matches(|c| matches!(c, ' '..='/'));
    rest.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(rest)
}

/// A control string goes up to ST or BEL; where none follows, the text stays and only the introducer is lost.
fn behind_string(rest: &str) -> &str {
    let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
    let first = ends.iter().filter_map(|end| rest.find(end).map(|at| at + end.len())).min();
    first.and_then(|end| rest.get(end..)).unwrap_or(rest)
}

/// Pieces of at most `columns` characters, cut at spaces where there are some; one for an empty line.
pub(super) fn wrap(line: &str, columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some((end, _)) = rest.char_indices().nth(columns) {
        let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let at_space = head.rfind(' ').filter(|at| !head.get(..*at).unwrap_or_default().trim().is_empty());
        let (piece, next) = match at_space {
            _ if tail.starts_with(' ') => (head, tail),
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (head, tail),
        };
        pieces.push(piece.trim_end());
        rest = next.trim_start();
    }
    if pieces.is_empty() || !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}
