//! Finding out where we are and running other programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Result, fail};

pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from)
}

/// A cargo call from the top of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    command
}

pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

pub fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

pub fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs with inherited output; an exit code other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().context(describe(command))?;
    if !status.success() {
        fail!("{} ended with {status}", describe(command));
    }
    Ok(())
}

/// Runs and returns standard output; on failure the error carries standard error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context(describe(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        fail!("{} ended with {}: {}", describe(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs, passes every line of both outputs on as it comes, and shows it to `on_line` as well.
/// Returns whether the program succeeded.
pub fn run_watched(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let what = describe(command);
    let (reader, writer) = std::io::pipe().context("cannot open a pipe")?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer);
    let mut child = command.spawn().context(&what)?;
    // The command keeps its ends of the pipe; while they are open the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context(&what)? > 0 {
        std::io::stdout().write_all(&line).context("cannot write to standard output")?;
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait().context(&what)?.success())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
