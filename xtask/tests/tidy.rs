//! The house rules as tests: which crate may know which, calls that belong to `world` alone, and sizes that only shrink.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that reads our own tree"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Longest function, and longest file without its tests, in lines. Lower them when you can; never raise them.
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// Each crate and the workspace crates it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("mail", &[]),
    ("proto", &["mail"]),
    ("world", &["mail"]),
    ("store", &["mail", "world"]),
    ("store-embedded", &["store"]),
    ("backup", &["mail", "store"]),
    ("login", &["mail", "proto", "world", "store"]),
    ("mta", &["mail", "proto", "world", "store", "login"]),
    ("access", &["mail", "proto", "world", "store", "login"]),
    ("sim", &["mail", "proto", "world", "store", "login", "mta", "access"]),
    ("web", &["mail", "world", "store"]),
    (
        "postrider",
        &[
            "mail",
            "proto",
            "world",
            "store",
            "store-embedded",
            "backup",
            "login",
            "mta",
            "access",
            "web",
            "sim",
        ],
    ),
];

/// What only `world` may name, and what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("SystemTime::now", "world.clock.wall()"),
    ("Instant::now", "world.clock.now()"),
    ("tokio::net", "world.net"),
    ("TcpStream", "world.net"),
    ("TcpListener", "world.net"),
    ("getrandom", "world.entropy"),
    ("tokio::time::sleep", "world.clock.sleep_until()"),
    ("ToSocketAddrs", "world.dns"),
];

/// Where these calls are made, or stood in for.
const WORLDS: &[&str] = &["crates/world/", "crates/sim/", "xtask/"];

/// Threads of the engine on real disk keep their own pace; it has no place in a simulated world.
const TIME_OF_ITS_OWN: &[&str] = &["crates/store-embedded/"];

struct Source {
    path: PathBuf,
    /// Without the test module at the end.
    lines: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        collect(&entry.unwrap().path().join("src"), &mut found);
    }
    collect(&root().join("xtask/src"), &mut found);
    assert!(found.len() > 30, "the tree was not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" && name != "testing" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !name.ends_with("tests.rs")
            && name != "testing.rs"
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
            let path = path.strip_prefix(root()).unwrap().to_owned();
            found.push(Source { path, lines: code.lines().map(str::to_owned).collect() });
        }
    }
}

fn report(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}\n  {}", complaints.join("\n  "));
}

#[test]
fn crates_depend_only_on_what_stands_above_them() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut complaints = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let Some(may) = allowed.get(name.as_str()) else {
            complaints.push(format!("{name} is not in the table of arrows"));
            continue;
        };
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let wanted = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
        for dependency in wanted.lines().filter_map(|line| line.split(['.', ' ', '=']).next()) {
            if allowed.contains_key(dependency) && !may.contains(&dependency) {
                complaints.push(format!("{name} must not know {dependency}"));
            }
        }
    }
    report("an arrow points the wrong way", &complaints);
}

#[test]
fn only_world_names_sockets_time_and_randomness() {
    let mut complaints = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        if WORLDS.iter().any(|world| path.starts_with(world)) {
            continue;
        }
        for (number, line) in source.lines.iter().enumerate() {
            for (banned, instead) in BANNED {
                let excused =
                    banned.contains("Instant") && TIME_OF_ITS_OWN.iter().any(|own| path.starts_with(own));
                if line.contains(banned) && !excused && !line.trim_start().starts_with("//") {
                    complaints.push(format!("{path}:{}: {banned}; use {instead}", number + 1));
                }
            }
        }
    }
    report("a call that belongs to `world`", &complaints);
}

/// What `select!` looks at first is written down: chance would make runs of the simulated internet differ.
#[test]
fn races_are_decided_in_order() {
    let mut complaints = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        // Commands and real programs are not simulated.
        let is_real = ["xtask/", "crates/postrider/", "crates/world/src/process.rs"];
        if is_real.iter().any(|real| path.starts_with(real)) {
            continue;
        }
        for (number, pair) in source.lines.windows(2).enumerate() {
            if pair[0].contains("select! {") && pair[1].trim() != "biased;" {
                complaints.push(format!("{path}:{}", number + 1));
            }
        }
    }
    report("a `select!` that is not `biased`", &complaints);
}

#[test]
fn functions_stay_short() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (start, lines) in functions(&source.lines) {
            if lines > FUNCTION_LINES_MAX {
                complaints.push(format!("{}:{}: {lines} lines", source.path.display(), start + 1));
            }
        }
    }
    report("a function too long to read at a glance", &complaints);
}

/// Where each function starts and how many lines it has; relies on rustfmt's indentation.
fn functions(lines: &[String]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function = code.split_whitespace().take(5).any(|word| word == "fn") && !code.starts_with("//");
        if !is_function || code.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == closing) {
            found.push((start, length + 1));
        }
    }
    found
}

#[test]
fn files_stay_readable() {
    let complaints: Vec<_> = sources()
        .iter()
        .filter(|source| source.lines.len() > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path.display(), source.lines.len()))
        .collect();
    report("a file that wants to be two", &complaints);
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            if ["todo!(", "unimplemented!(", "FIXME", "XXX", "TODO"].iter().any(|mark| line.contains(mark)) {
                complaints.push(format!("{}:{}", source.path.display(), number + 1));
            }
        }
    }
    report("unfinished code", &complaints);
}
