//! Counting test results from the lines that libtest prints.

use std::fmt;

/// `skipped` counts what libtest calls ignored, and `skips` names what could not run on this machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub skips: Vec<String>,
}

impl Tally {
    pub fn one_failure() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    pub fn skip(&mut self, what: impl Into<String>) {
        self.skipped += 1;
        self.skips.push(what.into());
    }

    /// Understands `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; …` and passes over the rest.
    pub fn read_line(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.skipped += count,
                _ => (),
            }
        }
    }

    /// A test that lacks its tool returns early and libtest calls that passed; each wrote a line saying so.
    pub fn move_to_skipped(&mut self, lines: &str) {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            self.passed = self.passed.saturating_sub(1);
            self.skip(line.trim());
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn adds_up_the_closing_lines_of_several_test_programs() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.10s",
            "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.read_line(line);
        }
        assert_eq!(tally.to_string(), "12 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_without_its_tool_counts_as_skipped() {
        let mut tally = Tally { passed: 4, ..Tally::default() };
        tally.move_to_skipped("fetchmail reads mail: no fetchmail here\n\n");
        assert_eq!(tally.to_string(), "3 passed, 0 failed, 1 skipped");
        assert_eq!(tally.skips, ["fetchmail reads mail: no fetchmail here"]);
    }

    #[test]
    fn other_lines_do_not_count() {
        let mut tally = Tally::default();
        tally.read_line("test result: who knows");
        tally.read_line("5 passed; 0 failed");
        assert_eq!(tally, Tally::default());
    }
}
