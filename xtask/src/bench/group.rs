//! The processes of one peer: started together, measured together, ended together.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Context, Result};

const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// Linux reports process times in this unit on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Joins the control group (if there is one), raises the limit on open files, and becomes the program.
const ENTER: &str = r#"[ -z "$1" ] || echo $$ > "$1/cgroup.procs"; shift; ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@""#;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Memory {
    pub rss_kib: u64,
    pub pss_kib: u64,
    /// The highest resident size of each process so far, added up.
    pub peak_rss_kib: u64,
    pub processes: u64,
}

/// Which processes belong to a group: a control group knows exactly, and still counts the time of those that ended.
#[derive(Debug, Clone)]
enum Members {
    ControlGroup { dir: PathBuf },
    TreesOf { roots: Vec<u32> },
}

/// What a thread needs to look at a group while the group's owner is busy.
#[derive(Debug, Clone)]
pub struct View(Members);

#[derive(Debug)]
pub struct Group {
    members: Members,
    children: Vec<Child>,
}

impl Group {
    /// Ends what an earlier run may have left in a group of this name.
    pub fn open(name: &str) -> Self {
        let members = control_group(name)
            .map_or(Members::TreesOf { roots: Vec::new() }, |dir| Members::ControlGroup { dir });
        let mut group = Self { members, children: Vec::new() };
        group.stop();
        group
    }

    /// Starts a program whose output goes to `log`. It is told to end when this thread does, however it ends.
    pub fn spawn<S: AsRef<OsStr>>(&mut self, command: &[S], log: &Path) -> Result<&mut Child> {
        let output = File::options().create(true).append(true).open(log).context(log.display())?;
        let errors = output.try_clone().context(log.display())?;
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "TERM", "sh", "-c", ENTER, "sh"]);
        match &self.members {
            Members::ControlGroup { dir } => wrapped.arg(dir),
            Members::TreesOf { .. } => wrapped.arg(""),
        };
        let child = wrapped.args(command).stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.context("cannot start a process")?;
        if let Members::TreesOf { roots } = &mut self.members {
            roots.push(child.id());
        }
        self.children.push(child);
        self.children.last_mut().context("the process just started is gone")
    }

    pub fn view(&self) -> View {
        View(self.members.clone())
    }

    /// True while every program started here still runs.
    pub fn alive(&mut self) -> bool {
        self.children.iter_mut().all(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Asks first, then insists; by process id, and only those of this group.
    pub fn stop(&mut self) {
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let asked: Vec<u32> = self.children.iter().map(Child::id).collect();
        signal("TERM", &if asked.is_empty() { self.view().pids() } else { asked });
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        while self.running() && Instant::now() < deadline + STOP_PATIENCE {
            signal("KILL", &self.view().pids());
            std::thread::sleep(Duration::from_millis(50));
        }
        for mut child in self.children.drain(..) {
            // Ended above; this only collects it.
            let _ = child.wait();
        }
        if let Members::TreesOf { roots } = &mut self.members {
            roots.clear();
        }
    }

    fn running(&mut self) -> bool {
        !self.children.is_empty() && self.alive() || !self.view().pids().is_empty()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
        if let Members::ControlGroup { dir } = &self.members {
            // An empty directory that stays behind does no harm.
            let _ = fs::remove_dir(dir);
        }
    }
}

impl View {
    pub fn pids(&self) -> Vec<u32> {
        match &self.0 {
            Members::ControlGroup { dir } => {
                let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
                text.lines().filter_map(|line| line.parse().ok()).collect()
            }
            Members::TreesOf { roots } => descendants(roots),
        }
    }

    /// User and system time so far, ended children included.
    pub fn cpu_seconds(&self) -> f64 {
        match &self.0 {
            Members::ControlGroup { dir } => control_group_seconds(dir),
            Members::TreesOf { roots } => descendants(roots).into_iter().map(process_seconds).sum(),
        }
    }

    pub fn memory(&self) -> Memory {
        self.pids().into_iter().filter_map(process_memory).fold(Memory::default(), |sum, one| Memory {
            rss_kib: sum.rss_kib + one.rss_kib,
            pss_kib: sum.pss_kib + one.pss_kib,
            peak_rss_kib: sum.peak_rss_kib + one.peak_rss_kib,
            processes: sum.processes + 1,
        })
    }
}

/// Version 1 keeps CPU accounting in a hierarchy of its own, version 2 in the only one.
fn control_group(name: &str) -> Option<PathBuf> {
    ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"].into_iter().find_map(|base| {
        let dir = Path::new(base).join(format!("postrider-bench-{name}"));
        fs::create_dir_all(&dir).ok()?;
        let accounts = dir.join("cpuacct.usage").exists() || dir.join("cpu.stat").exists();
        (accounts && dir.join("cgroup.procs").exists()).then_some(dir)
    })
}

fn control_group_seconds(dir: &Path) -> f64 {
    if let Ok(nanoseconds) = fs::read_to_string(dir.join("cpuacct.usage")) {
        return nanoseconds.trim().parse::<f64>().unwrap_or(0.0) / 1e9;
    }
    let text = fs::read_to_string(dir.join("cpu.stat")).unwrap_or_default();
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    microseconds.and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = stat_field(pid, 3) {
            children.entry(u32::try_from(parent).unwrap_or(0)).or_default().push(pid);
        }
    }
    let mut found: Vec<u32> = Vec::new();
    let mut next: Vec<u32> = roots.iter().copied().filter(|pid| stat_field(*pid, 3).is_some()).collect();
    while let Some(pid) = next.pop() {
        found.push(pid);
        next.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

fn process_seconds(pid: u32) -> f64 {
    [13, 14, 15, 16]
        .into_iter()
        .filter_map(|index| stat_field(pid, index))
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .sum()
}

/// A numeric field of /proc/PID/stat, counted from 0; the program's name may hold blanks, so count from its end.
fn stat_field(pid: u32, index: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    after_name.split_whitespace().nth(index.checked_sub(2)?)?.parse().ok()
}

fn process_memory(pid: u32) -> Option<Memory> {
    let sums = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let (rss_kib, pss_kib, peak_rss_kib) = (kib(&sums, "Rss:"), kib(&sums, "Pss:"), kib(&status, "VmHWM:"));
    Some(Memory { rss_kib, pss_kib, peak_rss_kib, processes: 1 })
}

fn kib(text: &str, key: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(key));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let pids = pids.iter().map(u32::to_string);
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill -s "$@""#, "sh", name]).args(pids).stderr(Stdio::null());
    // A process that ended in the meantime is what we wanted.
    let _ = kill.status();
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{descendants, process_memory, process_seconds};

    #[test]
    fn a_tree_of_processes_is_found_and_measured() {
        let mut child = Command::new("sleep").arg("20").spawn().unwrap();
        let own = std::process::id();
        assert!(descendants(&[own]).contains(&child.id()));
        assert!(process_memory(own).is_some_and(|memory| memory.rss_kib > 0 && memory.peak_rss_kib > 0));
        assert!(process_seconds(own) >= 0.0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(&[own]).contains(&child.id()));
    }
}
