//! Programs of this machine, run one at a time to their end.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, Uid, User},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, Command},
};

/// Octets kept of what a program writes to standard error; the rest is read and thrown away.
pub const ERROR_BYTES_MAX: usize = 4 * 1024;
/// What a program left behind may still hold its standard error open; that is waited for no longer.
const ERROR_PATIENCE: Duration = Duration::from_millis(200);

/// What comes on standard input. After an error the program is stopped before it sees the end.
pub type Input = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A program to run. There is no shell, and of our environment nothing is handed down.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Where it runs; `/` if there is none.
    pub directory: Option<PathBuf>,
    pub user: Option<RunAs>,
    /// Then its whole process group is killed.
    pub timeout: Duration,
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub how: End,
    /// The beginning of what it wrote to standard error, as it stands.
    pub error: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    /// Killed by this signal.
    Signal(i32),
    TimedOut,
}

/// Runs programs, or stands in for that.
#[async_trait::async_trait]
pub trait Processes: Send + Sync {
    /// Runs a program to its end. Dropping the future kills it. An error: it could not be started, or the input failed.
    async fn run(&self, program: Program, input: Input) -> io::Result<Ended>;
    /// The user of that name; none if there is none.
    fn user(&self, name: &str) -> io::Result<Option<RunAs>>;
    /// Who we are; none if the system does not know the name.
    fn own_user(&self) -> io::Result<Option<RunAs>>;
}

/// The operating system's processes.
#[derive(Debug)]
pub struct SystemProcesses;

#[async_trait::async_trait]
impl Processes for SystemProcesses {
    async fn run(&self, program: Program, input: Input) -> io::Result<Ended> {
        let mut child = command(&program).spawn()?;
        let mut group = Group::of(&child);
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut error = Vec::new();
        let work = async {
            let attending = attend(&mut child, stderr, &mut error);
            tokio::pin!(attending);
            tokio::select! {
                fed = feed(stdin, input, &group) => fed?,
                status = &mut attending => return status,
            }
            attending.await
        };
        let how = match tokio::time::timeout(program.timeout, work).await {
            Ok(status) => end(status?),
            Err(_) => End::TimedOut,
        };
        if how == End::TimedOut {
            group.kill();
            // Killed, it ends at once; waiting keeps no zombie.
            child.wait().await?;
        }
        group.disarm();
        Ok(Ended { how, error })
    }

    fn user(&self, name: &str) -> io::Result<Option<RunAs>> {
        Ok(User::from_name(name)?.map(run_as))
    }

    fn own_user(&self) -> io::Result<Option<RunAs>> {
        Ok(User::from_uid(Uid::effective())?.map(run_as))
    }
}

fn run_as(user: User) -> RunAs {
    RunAs { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }
}

fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(program.directory.as_deref().unwrap_or("/".as_ref()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0);
    // Given up together with root's supplementary groups, before the program begins.
    if let Some(user) = program.user.as_ref().filter(|user| user.uid != Uid::effective().as_raw()) {
        command.gid(user.gid).uid(user.uid);
    }
    command
}

/// Hands the input over, and closes it at its end. A program need not read it.
async fn feed(stdin: Option<ChildStdin>, mut input: Input, group: &Group) -> io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    while let Some(piece) = input.next().await {
        match piece {
            Ok(piece) if stdin.write_all(&piece).await.is_ok() => {}
            Ok(_) => return Ok(()),
            Err(error) => {
                // Half a message must not be taken for a whole one.
                group.kill();
                return Err(error);
            }
        }
    }
    // Not that it got through, only that it is all.
    let _ = stdin.shutdown().await;
    Ok(())
}

/// Waits for the program while its standard error is read.
async fn attend(
    child: &mut Child,
    stderr: Option<ChildStderr>,
    error: &mut Vec<u8>,
) -> io::Result<ExitStatus> {
    let reading = keep_beginning(stderr, error);
    tokio::pin!(reading);
    let status = tokio::select! {
        status = child.wait() => status?,
        () = &mut reading => return child.wait().await,
    };
    let _ = tokio::time::timeout(ERROR_PATIENCE, reading).await;
    Ok(status)
}

async fn keep_beginning(stderr: Option<ChildStderr>, kept: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut space = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut space).await {
        let room = ERROR_BYTES_MAX.saturating_sub(kept.len());
        kept.extend(space.iter().take(count.min(room)));
    }
}

fn end(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

/// The process group of a program that was not waited for yet, so that its number is still its own.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn kill(&self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests;
