//! Programs we did not write. `cargo xtask test` installs them and says where some are.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{PATIENCE, say};

/// The program, or none after saying that `test` is skipped. With `POSTRIDER_TESTS_MAY_SKIP=0` its absence is a
/// failure.
pub fn find(program: &str, test: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.or_else(|| skip(test, &format!("there is no {program}")))
}

/// Postfix's `smtp-source` and `smtp-sink`, which are unpacked beside the build.
pub fn find_postfix(program: &str, test: &str) -> Option<PathBuf> {
    let unpacked = beside_the_build().join("postfix").join(program);
    if unpacked.is_file() { Some(unpacked) } else { find(program, test) }
}

/// Node, and a module of npm that `cargo xtask test` puts beside the build.
pub fn find_node(module: &str, test: &str) -> Option<(PathBuf, PathBuf)> {
    let node = find("node", test)?;
    match beside_the_build().join("node/node_modules").join(module).canonicalize() {
        Ok(path) => Some((node, path)),
        Err(_) => skip(test, &format!("{module} is not installed")),
    }
}

/// Python, and the folder of the modules that `cargo xtask test` puts beside the build, if this one is among them.
pub fn find_python(module: &str, test: &str) -> Option<(PathBuf, PathBuf)> {
    let python = find("python3", test)?;
    let modules = beside_the_build().join("python");
    if modules.join(module).is_dir() {
        return Some((python, modules));
    }
    skip(test, &format!("{module} is not installed"))
}

fn beside_the_build() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools");
    env::var_os("POSTRIDER_TEST_TOOLS").map_or(beside, PathBuf::from)
}

/// Says so where it is seen: in the test's output, and in the list that `cargo xtask test` counts.
pub fn skip<T>(test: &str, reason: &str) -> Option<T> {
    assert!(
        env::var("POSTRIDER_TESTS_MAY_SKIP").as_deref() != Ok("0"),
        "{test}: {reason}, and nothing may be skipped"
    );
    say(&format!("SKIPPED: {test}: {reason}"));
    if let Some(list) = env::var_os("POSTRIDER_TEST_SKIPS") {
        let mut list = OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "{test}: {reason}").unwrap();
    }
    None
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Done {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Done {
    /// Standard output of a program that succeeded.
    pub fn ok(self, what: &str) -> Vec<u8> {
        assert!(self.status.success(), "{what} failed: {}\n{}", self.status, self.said());
        self.stdout
    }

    pub fn said(&self) -> String {
        let [out, err] = [&self.stdout, &self.stderr].map(|octets| {
            let text = String::from_utf8_lossy(octets);
            text.chars().take(8_000).collect::<String>()
        });
        format!("{out}{err}")
    }
}

/// Runs to the end, or for as long as a test has patience.
pub fn run(command: &mut Command, input: &[u8]) -> Done {
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let shared = |file: &File| Stdio::from(file.try_clone().unwrap());
    // Its own process group, so that a script and its children can be ended together.
    let spawned =
        command.stdin(stdin).stdout(shared(&stdout)).stderr(shared(&stderr)).process_group(0).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Done { status, stdout: whole(&mut stdout), stderr: whole(&mut stderr) }
}

fn whole(file: &mut File) -> Vec<u8> {
    let mut octets = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut octets).unwrap();
    octets
}

/// Runs one of the scripts beside this file.
pub fn python(python: &Path, script: &str, arguments: &[&str], input: &[u8]) -> Done {
    run(Command::new(python).args(["-c", script]).args(arguments), input)
}
