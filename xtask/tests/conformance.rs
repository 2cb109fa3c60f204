//! `docs/conformance.md` and `docs/attacks.md` are true to the tree: the tests they name exist, and each case has a test
//! or a reason.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that reads our own tree")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

struct Case {
    name: String,
    status: String,
    /// `path::name`, the path under `crates`.
    tests: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cases() -> Vec<Case> {
    let page = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| C"));
    let cases: Vec<Case> = rows.map(case).collect();
    assert!(cases.len() > 200, "the table was not found");
    cases
}

fn case(row: &str) -> Case {
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [name, _rfc, _behaviour, status, tests] = cells.as_slice() else {
        panic!("a row has five cells: {row}");
    };
    Case { name: (*name).to_owned(), status: (*status).to_owned(), tests: tests_named(tests) }
}

fn tests_named(cell: &str) -> Vec<String> {
    cell.split('`').filter(|word| word.contains("::")).map(str::to_owned).collect()
}

/// The rows of `docs/attacks.md`; each says what is done in place of a status.
fn attacks() -> Vec<Case> {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let attack = |row: &str| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, _attacked, done, tests] = cells.as_slice() else {
            panic!("a row has four cells: {row}");
        };
        Case { name: (*name).to_owned(), status: (*done).to_owned(), tests: tests_named(tests) }
    };
    page.lines().filter(|line| line.starts_with("| A")).map(attack).collect()
}

/// The names of the tests in a file.
fn tests_in(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim_start) {
        if let Some((before, rest)) = line.split_once("fn ").filter(|_| marked) {
            if before.is_empty() || before == "async " {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                names.insert(name.to_owned());
                marked = false;
            }
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        }
    }
    names
}

/// False for a file that no `mod` line leads to: its tests do not run.
fn is_compiled(path: &str) -> bool {
    let path = root().join("crates").join(path);
    let (folder, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_string_lossy().into_owned());
    // Those in `tests` of a crate, and what a `mod.rs` or `main.rs` holds.
    if folder.join("../Cargo.toml").is_file() && folder.ends_with("tests") || stem == "mod" || stem == "main"
    {
        return true;
    }
    let parents = [folder.join("mod.rs"), folder.with_extension("rs"), folder.join("lib.rs")];
    let line = format!("mod {stem};");
    let declares = |text: String| text.lines().any(|found| found.trim_start_matches("pub ").ends_with(&line));
    parents.iter().any(|parent| fs::read_to_string(parent).is_ok_and(declares))
}

#[test]
fn every_test_that_the_tables_name_exists() {
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut complaints = Vec::new();
    for case in cases().into_iter().chain(attacks()) {
        for test in &case.tests {
            let (path, name) = test.rsplit_once("::").unwrap();
            let file = || tests_in(&root().join("crates").join(path));
            if !files.contains_key(path) && !is_compiled(path) {
                complaints.push(format!("{path} is part of no crate"));
            }
            if !files.entry(path.to_owned()).or_insert_with(file).contains(name) {
                complaints.push(format!("{}: there is no {test}", case.name));
            }
        }
    }
    assert!(complaints.is_empty(), "docs/conformance.md, docs/attacks.md\n  {}", complaints.join("\n  "));
}

#[test]
fn every_attack_has_an_answer_and_a_test_that_shows_it() {
    let attacks = attacks();
    assert!(!attacks.is_empty(), "the table was not found");
    let mut names = BTreeSet::new();
    for Case { name, status, tests } in attacks {
        assert!(!status.is_empty() && !tests.is_empty(), "{name}: an answer and a test");
        assert!(names.insert(name.clone()), "{name} stands twice");
    }
}

#[test]
fn every_case_has_a_test_or_a_reason() {
    let mut complaints = Vec::new();
    let mut last = String::new();
    for Case { name, status, tests } in cases() {
        let (word, reason) = status.split_once(": ").unwrap_or((&status, ""));
        let said = match word {
            "shown" => !tests.is_empty(),
            "missing" | "later" => !reason.is_empty(),
            _ => false,
        };
        if !said {
            complaints.push(format!("{name}: {status:?} with {} tests", tests.len()));
        }
        if name <= last {
            complaints.push(format!("{name} comes after {last}"));
        }
        last = name;
    }
    assert!(complaints.is_empty(), "docs/conformance.md\n  {}", complaints.join("\n  "));
}
