//! The programs of other people that the whole-system tests talk with.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::tally::Tally;
use crate::error::{Context, Result, fail};
use crate::shell;

/// Debian package, and the command that shows it is there on systems without dpkg (none: a library).
const PACKAGES: [(&str, Option<&str>); 19] = [
    ("swaks", Some("swaks")),
    ("msmtp", Some("msmtp")),
    ("fetchmail", Some("fetchmail")),
    ("isync", Some("mbsync")),
    ("offlineimap3", Some("offlineimap")),
    ("getmail6", Some("getmail")),
    ("mutt", Some("mutt")),
    ("neomutt", Some("neomutt")),
    ("curl", Some("curl")),
    ("python3", Some("python3")),
    ("python3-pip", Some("pip3")),
    ("libio-socket-ssl-perl", None),
    ("libnet-ssleay-perl", None),
    ("gcc", Some("gcc")),
    ("g++", Some("g++")),
    ("libc6-dev", None),
    ("openssl", Some("openssl")),
    ("nmap", Some("nmap")),
    ("libsasl2-modules", None),
];
const POSTFIX_PROGRAMS: [&str; 2] = ["smtp-source", "smtp-sink"];
/// They come from npm, not from the system: mail clients as JavaScript programs use them.
const NODE_MODULES: [(&str, &str); 2] = [("nodemailer", "nodemailer@10"), ("imapflow", "imapflow@1")];

/// As pip names them, for the Python of the path.
const PYTHON_MODULES: [(&str, &str); 1] = [("imapclient", "imapclient==3.*")];

/// What cannot be had is named as skipped; in CI, where it must be there, it is a failure.
pub fn install(tools_dir: &Path, required: bool) -> Tally {
    let mut tally = Tally::default();
    let mut lacking = Vec::new();
    if let Err(error) = install_packages(&mut lacking) {
        eprintln!("{error}");
    }
    lacking.extend(missing_packages().into_iter().map(|name| format!("{name} is not installed")));
    if let Err(error) = unpack_postfix_programs(tools_dir) {
        lacking.push(format!("Postfix: {error}"));
    }
    if let Err(error) = install_node_modules(tools_dir) {
        lacking.push(format!("modules for Node: {error}"));
    }
    if let Err(error) = install_python_modules(tools_dir) {
        lacking.push(format!("modules for Python: {error}"));
    }
    for what in lacking {
        println!("skipped: {what}");
        if required {
            tally.failed += 1;
        }
        tally.skip(what);
    }
    if tally.skips.is_empty() {
        println!("all test tools are there");
    }
    tally
}

fn missing_packages() -> Vec<&'static str> {
    let has_dpkg = shell::on_path("dpkg-query");
    let is_missing = |(package, program): &&(&str, Option<&str>)| {
        if has_dpkg { !package_installed(package) } else { program.is_some_and(|name| !shell::on_path(name)) }
    };
    PACKAGES.iter().filter(is_missing).map(|(package, _)| *package).collect()
}

fn package_installed(package: &str) -> bool {
    let query = shell::capture(Command::new("dpkg-query").args(["-W", "-f=${Status}", package]));
    query.is_ok_and(|status| status.ends_with(" installed"))
}

fn install_packages(lacking: &mut Vec<String>) -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    if !shell::is_root() {
        lacking.push("packages are installed only as root".into());
        return Ok(());
    }
    if !shell::on_path("apt-get") {
        lacking.push("packages are installed only where there is apt-get".into());
        return Ok(());
    }
    apt_install(&missing)
}

fn apt_install(packages: &[&str]) -> Result<()> {
    shell::run(Command::new("apt-get").args(["update", "-q"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    shell::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// `crates/postrider/tests` looks for them there.
fn install_node_modules(tools_dir: &Path) -> Result<()> {
    let folder = tools_dir.join("node");
    if NODE_MODULES.iter().all(|(name, _)| folder.join("node_modules").join(name).is_dir()) {
        return Ok(());
    }
    if !shell::on_path("npm") {
        fail!("there is no npm to install them with");
    }
    std::fs::create_dir_all(&folder).context("cannot make the directory for them")?;
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]);
    shell::run(install.arg(&folder).args(NODE_MODULES.map(|(_, wanted)| wanted)))
}

fn install_python_modules(tools_dir: &Path) -> Result<()> {
    let folder = tools_dir.join("python");
    if PYTHON_MODULES.iter().all(|(name, _)| folder.join(name).is_dir()) {
        return Ok(());
    }
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    shell::run(install.arg(&folder).args(PYTHON_MODULES.map(|(_, wanted)| wanted)))
}

/// The package is only unpacked: installing it would replace the host's mail server and start another.
/// `crates/postrider/tests/postfix.rs` runs its daemons from there.
fn unpack_postfix_programs(tools_dir: &Path) -> Result<()> {
    let root = tools_dir.join("postfix");
    if programs_work(&root) {
        return Ok(());
    }
    if !shell::on_path("apt-get") || !shell::on_path("dpkg") {
        fail!("it comes from a Debian package, and this is no Debian");
    }
    std::fs::create_dir_all(&root).context("cannot make the directory for it")?;
    let download =
        |root: &Path| shell::capture(Command::new("apt-get").args(["download", "postfix"]).current_dir(root));
    if download(&root).is_err() {
        shell::run(Command::new("apt-get").args(["update", "-q"]))?;
        download(&root)?;
    }
    let package = newest_package(&root)?;
    shell::run(Command::new("dpkg").arg("-x").arg(&package).arg(&root))?;
    std::fs::remove_file(&package).context("cannot remove the package file")?;
    write_wrappers(&root)?;
    if !programs_work(&root) {
        if !shell::is_root() {
            fail!("libraries it needs are missing, and installing those needs root");
        }
        let libraries = postfix_libraries()?;
        apt_install(&libraries.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if !programs_work(&root) {
        fail!("it does not start on this machine");
    }
    Ok(())
}

fn newest_package(root: &Path) -> Result<std::path::PathBuf> {
    let entries = std::fs::read_dir(root).context("cannot list the downloaded package")?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .max()
        .context("nothing was downloaded")
}

fn postfix_libraries() -> Result<Vec<String>> {
    let said = shell::capture(Command::new("apt-cache").args(["depends", "--important", "postfix"]))?;
    let packages = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(packages.filter(|name| name.starts_with("lib")).map(String::from).collect())
}

fn write_wrappers(root: &Path) -> Result<()> {
    for program in POSTFIX_PROGRAMS {
        let path = root.join(program);
        let script = format!(
            "#!/bin/sh\nhere=$(dirname \"$(readlink -f \"$0\")\")\n\
             LD_LIBRARY_PATH=$here/usr/lib/postfix exec \"$here/usr/sbin/{program}\" \"$@\"\n"
        );
        std::fs::write(&path, script).context("cannot write a wrapper script")?;
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).context("cannot make a wrapper script executable")?;
    }
    Ok(())
}

fn programs_work(root: &Path) -> bool {
    wrappers_work(root) && ["smtp", "smtpd"].iter().all(|daemon| daemon_finds_libraries(root, daemon))
}

fn daemon_finds_libraries(root: &Path, daemon: &str) -> bool {
    let lib = root.join("usr/lib/postfix");
    let path = lib.join("sbin").join(daemon);
    let said = shell::capture(Command::new("ldd").arg(path).env("LD_LIBRARY_PATH", lib));
    said.is_ok_and(|said| !said.contains("not found"))
}

/// Without arguments both print how they are called; a missing library shows in the loader's message instead.
fn wrappers_work(root: &Path) -> bool {
    POSTFIX_PROGRAMS.iter().all(|program| {
        let output = Command::new(root.join(program)).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("usage"))
    })
}
