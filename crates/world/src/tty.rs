//! The terminals of this machine's logins, as write(1) finds and uses them.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::OFlags,
    termios::{self, InputModes, LocalModes, OptionalActions},
};

/// utmp(5)
const UTMP: &str = "/var/run/utmp";
/// More of it is not read; octets.
const UTMP_BYTES_MAX: u64 = 4 << 20;
/// Terminals of one user that are written to.
const TERMINALS_MAX: usize = 64;
/// What `mesg y` sets: the group `tty`, as which write(1) runs, may write.
const MODE_GROUP_MAY_WRITE: u32 = 0o020;
/// An answer is no longer.
const SECRET_BYTES_MAX: u64 = 4096;
/// How often a terminal that takes nothing is tried again.
const WRITE_POLL: Duration = Duration::from_millis(50);

/// Terminals where people are logged in.
#[async_trait::async_trait]
pub trait Ttys: Send + Sync {
    /// Those where this user is logged in and takes messages.
    fn of_login(&self, login: &str) -> io::Result<Vec<PathBuf>>;

    /// Writes lines, which end with LF in `text` and CRLF on the terminal. Gives up at `deadline` if the terminal is
    /// stopped (XOFF); a part may be there then. On a terminal that is not set to UTF-8 what is not ASCII becomes `?`.
    async fn write(&self, tty: &Path, text: &str, deadline: Instant) -> io::Result<()> {
        write(tty, text, deadline).await
    }
}

/// Asks on the terminal that this process is controlled from, which shows nothing of the answer.
pub fn ask_secret(prompt: &str) -> io::Result<String> {
    let mut tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    ask_on(&mut tty, prompt)
}

fn ask_on(tty: &mut File, prompt: &str) -> io::Result<String> {
    let before = termios::tcgetattr(&*tty)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    // Whoever sees the question may answer.
    termios::tcsetattr(&*tty, OptionalActions::Flush, &silent)?;
    write!(tty, "{prompt}")?;
    let mut line = String::new();
    let read = BufReader::new(&*tty).take(SECRET_BYTES_MAX).read_line(&mut line);
    termios::tcsetattr(&*tty, OptionalActions::Flush, &before)?;
    writeln!(tty)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The logins that the system keeps in utmp.
#[derive(Debug)]
pub struct SystemTtys;

impl Ttys for SystemTtys {
    fn of_login(&self, login: &str) -> io::Result<Vec<PathBuf>> {
        let mut octets = Vec::new();
        match File::open(UTMP) {
            Ok(file) => file.take(UTMP_BYTES_MAX).read_to_end(&mut octets)?,
            // Nobody is logged in, or the system keeps no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let of_user = logins(&octets).filter(|found| found.user == login && is_alive(found.process));
        let ttys = of_user.map(|found| Path::new("/dev").join(found.line)).filter(|tty| takes_messages(tty));
        Ok(ttys.take(TERMINALS_MAX).collect())
    }
}

/// A record of utmp that says that somebody is logged in.
#[derive(Debug, PartialEq, Eq)]
struct Login<'a> {
    user: &'a str,
    line: &'a str,
    process: i32,
}

/// `USER_PROCESS` of utmp(5).
const KIND_USER: [u8; 2] = 7_i16.to_ne_bytes();
/// Octets of a record: glibc keeps times of 32 bits where 32-bit programs read the file too.
const RECORD_BYTES: usize = if cfg!(target_arch = "aarch64") { 400 } else { 384 };

fn logins(utmp: &[u8]) -> impl Iterator<Item = Login<'_>> {
    utmp.chunks_exact(RECORD_BYTES).filter_map(|record| {
        let (kind, rest) = record.split_first_chunk::<2>()?;
        let process = i32::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        let (line, user) = (text(record.get(8..40)?)?, text(record.get(44..76)?)?);
        (*kind == KIND_USER && is_line(line)).then_some(Login { user, line, process })
    })
}

/// Up to the first NUL.
fn text(octets: &[u8]) -> Option<&str> {
    let octets = octets.split(|octet| *octet == 0).next()?;
    std::str::from_utf8(octets).ok().filter(|text| !text.is_empty())
}

/// The name of a device below `/dev`, and not a way out of there.
fn is_line(line: &str) -> bool {
    line.split('/').all(|part| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_alphanumeric()))
}

/// A login that ended without a word leaves its record, and its terminal is another's by now.
fn is_alive(process: i32) -> bool {
    process > 0 && Path::new("/proc").join(process.to_string()).exists()
}

fn takes_messages(tty: &Path) -> bool {
    std::fs::symlink_metadata(tty)
        .is_ok_and(|found| found.file_type().is_char_device() && found.mode() & MODE_GROUP_MAY_WRITE != 0)
}

async fn write(tty: &Path, text: &str, deadline: Instant) -> io::Result<()> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().write(true).custom_flags(flags).open(tty)?;
    let modes = termios::tcgetattr(&file)?;
    let utf8 = modes.input_modes.contains(InputModes::IUTF8);
    let octets = octets(text, utf8);
    let mut rest = octets.as_slice();
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => {}
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        tokio::time::sleep(WRITE_POLL).await;
    }
    Ok(())
}

fn octets(text: &str, utf8: bool) -> Vec<u8> {
    let text = text.replace('\n', "\r\n");
    if utf8 { text.into_bytes() } else { text.replace(|c: char| !c.is_ascii(), "?").into_bytes() }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// The two ends of a terminal: ours, and the path of the other.
    fn pty() -> (OwnedFd, PathBuf) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        (ours, path.into())
    }

    fn set_utf8(tty: &Path, on: bool) {
        let file = OpenOptions::new().write(true).read(true).open(tty).unwrap();
        let mut modes = termios::tcgetattr(&file).unwrap();
        modes.input_modes.set(InputModes::IUTF8, on);
        termios::tcsetattr(&file, termios::OptionalActions::Now, &modes).unwrap();
    }

    fn read(ours: &OwnedFd) -> String {
        let mut space = [0; 4096];
        let count = rustix::io::read(ours, &mut space).unwrap();
        String::from_utf8(space[..count].to_vec()).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    #[tokio::test]
    async fn lines_come_out_of_a_terminal() {
        let (ours, tty) = pty();
        let _theirs = OpenOptions::new().read(true).open(&tty).unwrap();
        set_utf8(&tty, true);
        SystemTtys.write(&tty, "Grüße\nend\n", soon()).await.unwrap();
        let said = read(&ours);
        assert_eq!(said.replace('\r', ""), "Grüße\nend\n");
        set_utf8(&tty, false);
        SystemTtys.write(&tty, "Grüße\n", soon()).await.unwrap();
        assert_eq!(read(&ours).replace('\r', ""), "Gr??e\n");
    }

    #[test]
    fn a_secret_is_asked_for_and_not_shown() {
        let (ours, tty) = pty();
        let mut theirs = OpenOptions::new().read(true).write(true).open(&tty).unwrap();
        let asked = std::thread::spawn(move || ask_on(&mut theirs, "Password: "));
        let mut said = String::new();
        while !said.contains("Password: ") {
            said += &read(&ours);
        }
        rustix::io::write(&ours, b"se cret\n").unwrap();
        assert_eq!(asked.join().unwrap().unwrap(), "se cret");
        assert!(!(said + &read(&ours)).contains("cret"));
    }

    #[tokio::test]
    async fn a_stopped_terminal_holds_nobody_up() {
        let (_ours, tty) = pty();
        let theirs = OpenOptions::new().read(true).write(true).open(&tty).unwrap();
        termios::tcflow(&theirs, termios::Action::OOff).unwrap();
        let stopped = SystemTtys.write(&tty, &"x\n".repeat(50_000), soon()).await.unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::TimedOut);
        termios::tcflow(&theirs, termios::Action::OOn).unwrap();
    }

    #[tokio::test]
    async fn only_a_terminal_is_written_to() {
        let directory = std::env::temp_dir().join(format!("postrider-tty-{}", std::process::id()));
        std::fs::write(&directory, "").unwrap();
        assert!(SystemTtys.write(&directory, "x\n", soon()).await.is_err());
        assert_eq!(std::fs::read(&directory).unwrap(), b"", "nothing was written");
        std::fs::remove_file(&directory).unwrap();
    }

    #[test]
    fn mesg_says_who_takes_messages() {
        use std::os::unix::fs::PermissionsExt;
        let (_ours, tty) = pty();
        for (mode, takes) in [(0o620, true), (0o600, false)] {
            std::fs::set_permissions(&tty, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(takes_messages(&tty), takes, "{mode:o}");
        }
        assert!(!takes_messages(Path::new("/dev/no-such-terminal")));
        assert!(!takes_messages(Path::new("/etc/passwd")));
    }

    fn record(kind: i16, process: i32, line: &str, user: &str) -> Vec<u8> {
        let mut record = vec![0; RECORD_BYTES];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&process.to_ne_bytes());
        record[8..8 + line.len()].copy_from_slice(line.as_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn records_of_utmp() {
        let records = [
            record(2, 0, "~", "reboot"),
            record(7, 4711, "pts/3", "ann"),
            record(8, 4712, "pts/4", "ann"),
            record(7, 4713, "../../etc/passwd", "ann"),
            record(7, 4714, "/dev/sda", "ann"),
            record(7, 4715, "", "ann"),
            record(7, 4716, "tty1", &"u".repeat(32)),
        ];
        let mut utmp = records.concat();
        utmp.extend_from_slice(b"a record that was cut");
        let found: Vec<Login<'_>> = logins(&utmp).collect();
        let expected = [
            Login { user: "ann", line: "pts/3", process: 4711 },
            Login { user: &"u".repeat(32), line: "tty1", process: 4716 },
        ];
        assert_eq!(found, expected);
        assert_eq!(logins(b"short").count(), 0);
    }

    #[test]
    fn a_process_that_is_gone_is_nobody() {
        assert!(is_alive(i32::try_from(std::process::id()).unwrap()));
        assert!(!is_alive(0) && !is_alive(-1) && !is_alive(i32::MAX));
    }
}
