//! `openssl s_client`, with which we talk line by line; `timeout` ends it if it hangs.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

#[derive(Debug)]
pub struct SClient {
    child: Child,
    pub input: ChildStdin,
    output: BufReader<ChildStdout>,
}

pub fn s_client(address: &str, more: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", "openssl", "s_client", "-brief", "-nocommands", "-ign_eof", "-crlf", "-connect"]);
    command.arg(address).args(more);
    command
}

impl SClient {
    pub fn start(address: &str, more: &[&str]) -> Self {
        Self::run(s_client(address, more))
    }

    pub fn run(mut command: Command) -> Self {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// `C: ` lines are said, `S: ` lines are how the next reply's last line begins.
    pub fn dialog(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(said) = line.strip_prefix("C:") {
                self.input.write_all(format!("{}\n", said.trim_start()).as_bytes()).unwrap();
                continue;
            }
            let wanted = line.strip_prefix("S: ").unwrap();
            let reply = self.reply().unwrap_or_else(|| panic!("wanted {wanted:?}, and it ended"));
            assert!(reply.starts_with(wanted), "wanted {wanted:?}, the server said {reply:?}");
        }
    }

    /// The last line of the next SMTP reply.
    pub fn reply(&mut self) -> Option<String> {
        let mut reply = String::new();
        while reply.as_bytes().get(3) != Some(&b' ') {
            reply = self.line()?;
        }
        Some(reply)
    }

    /// The next line, whatever it is; none at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.output.read_line(&mut line).unwrap() > 0).then_some(line)
    }

    /// SIGTERM, which `timeout` passes on.
    pub fn kill(mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap();
    }

    /// Waits for its end; what it told about the connection.
    pub fn end(self) -> String {
        drop(self.input);
        let ended = self.child.wait_with_output().unwrap();
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }
}
