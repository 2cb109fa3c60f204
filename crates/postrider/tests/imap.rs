//! Mail programs that we did not write, reading and changing mailboxes over IMAP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};

use support::{
    maildir::{maildir, mbsync, private_file},
    samples::{self, Sample, assert_same},
    server::{ALICE, PASSWORD, Server},
    tools,
};

const WORK: &str = include_str!("support/python/imap.py");
const CLIENT: &str = include_str!("support/python/imap_client.py");
const FLOW: &str = include_str!("support/node/imap.js");
const SENDER: &str = "ann@client.test";

/// With these messages in alice's mailbox.
fn filled(samples: &[Sample]) -> Server {
    let server = Server::start("");
    for (sample, sent) in samples.iter().zip(1..) {
        let reply = server.smtp().deliver(SENDER, &[ALICE], &sample.message).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
        server.mailbox_count(ALICE, sent);
    }
    server
}

fn small() -> Vec<Sample> {
    vec![samples::one_byte(), samples::dots(), samples::eight_bit()]
}

#[test]
fn python_imaplib_works_with_a_mailbox() {
    let Some(python) = tools::find("python3", "imaplib") else { return };
    let server = Server::start("");
    let message = samples::attachment_of(3).message;
    for tls in ["plain", "starttls", "implicit"] {
        let port = server.port(if tls == "implicit" { "imaps" } else { "imap" }).to_string();
        tools::python(&python, WORK, &[&port, tls, ALICE, PASSWORD], &message).ok(tls);
    }
}

#[test]
fn imapclient_works_with_what_is_beyond_imaplib() {
    let Some((python, modules)) = tools::find_python("imapclient", "imapclient") else { return };
    let message = samples::eight_bit().message;
    for (service, tls) in [("imap", "starttls"), ("imaps", "implicit")] {
        let server = Server::start("");
        let mut command = Command::new(&python);
        command.env("PYTHONPATH", &modules).args(["-c", CLIENT, &server.port(service).to_string()]);
        tools::run(command.args([tls, ALICE, PASSWORD]), &message).ok(tls);
    }
}

#[test]
fn curl_reads_and_appends() {
    let Some(curl) = tools::find("curl", "curl and IMAP") else { return };
    let mut samples = small();
    samples.push(samples::attachment_of(5));
    let server = filled(&samples);
    let ask = |service: &str, path: &str, more: &[&str]| {
        let scheme = if service == "imaps" { "imaps" } else { "imap" };
        let url = format!("{scheme}://127.0.0.1:{}/{path}", server.port(service));
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--insecure", "--user", &format!("{ALICE}:{PASSWORD}")]);
        tools::run(command.args(more).arg(&url), b"").ok("curl")
    };
    for (sample, number) in samples.iter().zip(1..) {
        assert_same(&ask("imap", &format!("INBOX;UID={number}"), &[]), &sample.message, sample.name);
    }
    assert_same(&ask("imap", "INBOX;UID=2", &["--ssl-reqd"]), &samples[1].message, "after STARTTLS");
    assert_same(&ask("imaps", "INBOX;MAILINDEX=3", &[]), &samples[2].message, "over TLS");
    let header = ask("imaps", "INBOX;UID=1;SECTION=HEADER.FIELDS%20(Subject)", &[]);
    assert_eq!(String::from_utf8(header).unwrap(), "Subject: one-byte\r\n\r\n");
    let listed = String::from_utf8(ask("imap", "", &[])).unwrap();
    assert!(listed.lines().any(|line| line.starts_with("* LIST ") && line.ends_with(" INBOX")), "{listed}");
    let found = String::from_utf8(ask("imap", "INBOX?SUBJECT%20dots", &[])).unwrap();
    assert_eq!(found, "* SEARCH 2\r\n");
    let file = server.path().join("draft");
    fs::write(&file, &samples[0].message).unwrap();
    ask("imaps", "Drafts", &["--upload-file", file.to_str().unwrap()]);
    assert_same(&ask("imap", "Drafts;UID=1", &[]), &samples[0].message, "what was appended");
}

#[test]
fn mbsync_keeps_a_maildir_in_step() {
    let Some(program) = tools::find("mbsync", "mbsync") else { return };
    let samples = small();
    let server = filled(&samples);
    let (one, other) = (server.path().join("one"), server.path().join("other"));
    mbsync(&program, &server, &one);
    mbsync(&program, &server, &other);
    assert_eq!(maildir(&one.join("INBOX")).len(), samples.len());
    // A new message, one that is read, and one that goes, on one side; the other side follows.
    fs::write(one.join("INBOX/new/1.1.here"), "Subject: made here\n\nx\n").unwrap();
    let mut files: Vec<PathBuf> = ["new", "cur"]
        .iter()
        .flat_map(|name| fs::read_dir(one.join("INBOX").join(name)).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("1.1.here"))
        .collect();
    files.sort();
    let read = files.pop().unwrap();
    let name = read.file_name().unwrap().to_string_lossy().split(":2,").next().unwrap().to_owned();
    fs::rename(&read, one.join(format!("INBOX/cur/{name}:2,FS"))).unwrap();
    fs::remove_file(files.pop().unwrap()).unwrap();
    mbsync(&program, &server, &one);
    mbsync(&program, &server, &other);
    let (here, there) = (maildir(&one.join("INBOX")), maildir(&other.join("INBOX")));
    assert_eq!(here.len(), samples.len(), "one came and one went");
    let flags = |found: &[(Vec<u8>, String)]| found.iter().filter(|(_, flags)| flags == "FS").count();
    assert_eq!((flags(&here), flags(&there), there.len()), (1, 1, here.len()));
    let has_new = |found: &[(Vec<u8>, String)]| {
        found.iter().any(|(octets, _)| String::from_utf8_lossy(octets).contains("made here"))
    };
    assert!(has_new(&here) && has_new(&there));
}

#[test]
fn fetchmail_takes_what_is_new() {
    let Some(program) = tools::find("fetchmail", "fetchmail and IMAP") else { return };
    let samples = small();
    let server = filled(&samples);
    let taken = server.path().join("taken");
    let config = server.path().join("fetchmailrc");
    private_file(
        &config,
        &format!(
            "poll 127.0.0.1 service {} protocol IMAP user \"{ALICE}\" password \"{PASSWORD}\" no sslcertck sslproto '' \
             mda \"cat >> {}\"\n",
            server.port("imap"),
            taken.display()
        ),
    );
    let mut command = Command::new(&program);
    command.args(["--nodetach", "--nosyslog", "--fetchmailrc"]).arg(&config).env("HOME", server.path());
    let done = tools::run(&mut command, b"");
    // As root it says that it had better not be; 0 is mail taken.
    assert_eq!(done.status.code(), Some(0), "{}", done.said());
    let text = String::from_utf8_lossy(&fs::read(&taken).unwrap()).into_owned();
    for sample in &samples {
        assert!(text.contains(&format!("Subject: {}", sample.name)), "{text}");
    }
    server.mailbox_count(ALICE, 0);
}

#[test]
fn imapflow_works_with_everything_that_is_offered() {
    let Some((node, module)) = tools::find_node("imapflow", "imapflow") else { return };
    let samples = small();
    let server = filled(&samples);
    for (service, tls) in [("imap", "starttls"), ("imaps", "implicit")] {
        let (port, count) = (server.port(service).to_string(), samples.len().to_string());
        let mut command = Command::new(&node);
        command.args(["-e", FLOW, "--"]).arg(&module).args([&port, tls, ALICE, PASSWORD, &count]);
        tools::run(&mut command, &samples[0].message).ok(tls);
        let emptied = format!(
            "a LOGIN {ALICE} \"{PASSWORD}\"\r\nb SELECT Archive\r\nc STORE 1:* +FLAGS.SILENT (\\Deleted)\r\nd CLOSE\r\n\
             e LOGOUT\r\n"
        );
        say(&server, &emptied);
    }
}

/// Sends it all at once, and returns what came back until the end.
fn say(server: &Server, commands: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port("imap"))).unwrap();
    stream.write_all(commands.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn offlineimap_keeps_a_maildir_in_step() {
    let Some(program) = tools::find("offlineimap", "offlineimap") else { return };
    let samples = small();
    let server = filled(&samples);
    let (mail, config) = (server.path().join("mail"), server.path().join("offlineimaprc"));
    private_file(
        &config,
        &format!(
            "[general]\naccounts = us\nmetadata = {0}/known\n[Account us]\nlocalrepository = near\nremoterepository = far\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {1}\n[Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\n\
             remoteport = {2}\nremoteuser = {ALICE}\nremotepass = {PASSWORD}\nssl = no\nstarttls = no\n\
             auth_mechanisms = PLAIN\n",
            server.path().display(),
            mail.display(),
            server.port("imap")
        ),
    );
    let sync = || {
        let mut command = Command::new(&program);
        command.args(["-o", "-u", "basic", "-c"]).arg(&config).env("HOME", server.path());
        tools::run(&mut command, b"").ok("offlineimap");
    };
    sync();
    let inbox = mail.join("INBOX");
    assert_eq!(maildir(&inbox).len(), samples.len());
    fs::write(inbox.join("cur/1.1.here:2,S"), "Subject: made here\n\nx\n").unwrap();
    sync();
    let login = format!(
        "a LOGIN {ALICE} \"{PASSWORD}\"\r\nb SELECT INBOX\r\nc SEARCH SEEN SUBJECT \"made here\"\r\nd LOGOUT\r\n"
    );
    let said = say(&server, &login);
    assert!(said.contains(&format!("* SEARCH {}\r\n", samples.len() + 1)), "{said}");
}

#[test]
fn getmail_takes_what_is_there() {
    let Some(program) = tools::find("getmail", "getmail") else { return };
    let samples = small();
    let server = filled(&samples);
    let (taken, config) = (server.path().join("taken"), server.path().join("getmailrc"));
    private_file(
        &config,
        &format!(
            "[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {}\nusername = {ALICE}\n\
             password = {PASSWORD}\nmailboxes = (\"INBOX\",)\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
             arguments = (\"-c\", \"cat >> {}\")\nallow_root_commands = true\n[options]\ndelete = true\nread_all = true\n",
            server.port("imap"),
            taken.display()
        ),
    );
    let mut command = Command::new(&program);
    command.arg("--getmaildir").arg(server.path()).arg("--rcfile").arg(&config).env("HOME", server.path());
    tools::run(&mut command, b"").ok("getmail");
    let text = String::from_utf8_lossy(&fs::read(&taken).unwrap()).into_owned();
    for sample in &samples {
        assert!(text.contains(&format!("Subject: {}", sample.name)), "{text}");
    }
    server.mailbox_count(ALICE, 0);
}

#[test]
fn mutt_deletes_and_flags() {
    deletes_and_flags("mutt");
}

#[test]
fn neomutt_deletes_and_flags() {
    deletes_and_flags("neomutt");
}

fn deletes_and_flags(mutt: &str) {
    let (Some(program), Some(script)) = (tools::find(mutt, mutt), tools::find("script", mutt)) else {
        return;
    };
    let server = filled(&small());
    let config = server.path().join("muttrc");
    private_file(
        &config,
        &format!(
            "set folder=imap://127.0.0.1:{}\nset imap_user={ALICE}\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\n\
             set ssl_force_tls=no\nset spoolfile=+INBOX\nset delete=yes\nset quit=yes\nset move=no\nset sort=mailbox-order\n",
            server.port("imap")
        ),
    );
    let keys = "push <first-entry><delete-message><flag-message><sync-mailbox><quit>";
    let call = format!("{} -n -F {} -e '{keys}'", program.display(), config.display());
    let mut command = Command::new(&script);
    command.args(["-q", "-e", "-c", &call, "/dev/null"]).env("TERM", "xterm").env("HOME", server.path());
    tools::run(&mut command, b"").ok(mutt);
    server.mailbox_count(ALICE, 2);
    let login =
        format!("a LOGIN {ALICE} \"{PASSWORD}\"\r\nb SELECT INBOX\r\nc SEARCH FLAGGED\r\nd LOGOUT\r\n");
    assert!(say(&server, &login).contains("* SEARCH 1\r\n"));
}
