//! Dialogs written as they go over the wire.

use super::wire::Smtp;

impl Smtp {
    /// `C: ` lines are sent, and each `S: ` line has to be how the next reply begins (of a reply with many lines,
    /// its code and last line). A `C: ` line after another is pipelined with it.
    pub fn dialog(&mut self, script: &str) {
        let mut out = Vec::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(command) = line.strip_prefix("C:") {
                out.extend_from_slice(command.trim_start().as_bytes());
                out.extend_from_slice(b"\r\n");
                continue;
            }
            let wanted = line.strip_prefix("S: ").unwrap_or_else(|| panic!("neither C: nor S: in {line:?}"));
            self.write(&out).unwrap();
            out.clear();
            let reply = self.reply().unwrap_or_else(|error| panic!("wanted {wanted:?}: {error}"));
            let last = reply.lines.last().map_or("", String::as_str);
            let said = format!("{} {last}", reply.code);
            assert!(said.starts_with(wanted), "wanted {wanted:?}, the server said {reply}\nin {script}");
        }
        self.write(&out).unwrap();
    }
}
