//! A small Debian system under the target directory, so that Postfix and Dovecot need no place on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result, fail};
use crate::shell;

const PACKAGES: &str = "postfix,passwd,dovecot-imapd,dovecot-pop3d";

/// Owner of the mailboxes Postfix and Dovecot write.
pub const MAIL_UID: &str = "5000";

/// Makes the system once; later calls find it finished, with what it is to have.
pub fn prepare(dir: &Path) -> Result<PathBuf> {
    if !shell::is_root() {
        fail!("the benchmark runs Postfix in a root of its own, which needs root");
    }
    let root = dir.join("debian");
    let finished = dir.join("debian.finished");
    if fs::read_to_string(&finished).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(root);
    }
    println!("making a Debian root with Postfix and Dovecot under {} (once)", root.display());
    if root.exists() {
        fs::remove_dir_all(&root).context("cannot remove a half-made Debian root")?;
    }
    install_debootstrap()?;
    bootstrap(&root)?;
    fs::write(&finished, PACKAGES).context("cannot note that the Debian root is finished")?;
    Ok(root)
}

fn install_debootstrap() -> Result<()> {
    if shell::on_path("debootstrap") {
        return Ok(());
    }
    shell::run(Command::new("apt-get").args(["update", "-q"]))?;
    shell::run(Command::new("apt-get").args([
        "install",
        "-q",
        "-y",
        "--no-install-recommends",
        "debootstrap",
    ]))
}

fn bootstrap(root: &Path) -> Result<()> {
    let codename = codename()?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), &codename]);
    debootstrap.arg(root).arg(mirror(&codename)?).env("DEBIAN_FRONTEND", "noninteractive");
    let said = shell::capture(&mut debootstrap);
    said.context("debootstrap")?;
    let mut add_user = inside(root, "useradd");
    add_user.args(["-u", MAIL_UID, "-d", "/home/vmail", "-s", "/bin/sh", "vmail"]);
    shell::run(&mut add_user)
}

/// A program of the system, in it.
pub fn inside(root: &Path, program: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root).arg(program);
    command
}

fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned()).context("this system names no Debian codename")
}

/// The mirror that this machine is set up to use.
fn mirror(codename: &str) -> Result<String> {
    let sites = Command::new("apt-get")
        .args(["indextargets", "--format", "$(SITE)", &format!("Codename: {codename}")])
        .output()
        .context("apt-get indextargets")?;
    let sites = String::from_utf8_lossy(&sites.stdout).into_owned();
    sites.lines().next().map(String::from).context("apt knows no mirror; run apt-get update first")
}
