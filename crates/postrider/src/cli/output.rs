use std::{
    fmt::Display,
    io::{Stdout, Write},
};

use serde::Serialize;

use crate::Failure;

/// Standard output, for people or for programs.
#[derive(Debug)]
pub struct Output {
    json: bool,
    out: Stdout,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json, out: std::io::stdout() }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// A value as one line of JSON.
    pub fn value(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(Failure::new)?;
        self.line(text)
    }

    /// An element of an array that is written as its elements come, one a line; the end is a line of its own.
    pub fn element(&mut self, index: u64, value: &impl Serialize) -> Result<(), Failure> {
        write!(self.out, "{}", if index == 0 { '[' } else { ',' })?;
        self.value(value)
    }

    /// The outcome of a change.
    pub fn done(&mut self, message: &str) -> Result<(), Failure> {
        if self.json { self.value(&serde_json::json!({ "message": message })) } else { self.line(message) }
    }

    /// Rows below a heading, each column as wide as its widest cell; `nothing` if there are none.
    pub fn table(&mut self, heading: &[&str], rows: &[Vec<String>], nothing: &str) -> Result<(), Failure> {
        if rows.is_empty() {
            return self.line(nothing);
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(heading.get(column).map(|cell| cell.len())).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        self.line(aligned(heading, &widths))?;
        rows.iter().try_for_each(|row| self.line(aligned(row, &widths)))
    }

    /// A listing: an array for programs, a table for people.
    pub fn listing<T: Serialize>(
        &mut self,
        items: &[T],
        heading: &[&str],
        row: impl Fn(&T) -> Vec<String>,
        nothing: &str,
    ) -> Result<(), Failure> {
        if self.json {
            return self.value(&items);
        }
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        self.table(heading, &rows, nothing)
    }
}

fn aligned(cells: &[impl AsRef<str>], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{:width$}", cell.as_ref()));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Octets for people: `12 B`, `3.4 MiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub fn octets(count: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_well() {
        assert_eq!(octets(0), "0 B");
        assert_eq!(octets(1536), "1.5 KiB");
        assert_eq!(octets(26_214_400), "25.0 MiB");
    }

    #[test]
    fn columns_align() {
        assert_eq!(aligned(&["ä", "b", ""], &[3, 1, 5]), "ä    b");
    }
}
