//! Maildirs, and mbsync, which keeps one in step with our mailboxes.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use super::{
    server::{ALICE, PASSWORD, Server},
    tools,
};

/// What is in the folders of a Maildir, with the flags of each message.
pub fn maildir(folder: &Path) -> Vec<(Vec<u8>, String)> {
    let files = ["new", "cur"].into_iter().flat_map(|name| fs::read_dir(folder.join(name)).unwrap());
    let mut found: Vec<(Vec<u8>, String)> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags).to_owned();
            (fs::read(&path).unwrap(), flags)
        })
        .collect();
    found.sort();
    found
}

pub fn private_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Runs mbsync with a Maildir at `local`, which stays in step with all mailboxes.
pub fn mbsync(program: &Path, server: &Server, local: &Path) {
    fs::create_dir_all(local).unwrap();
    let config = server.path().join("mbsyncrc");
    private_file(
        &config,
        &format!(
            "IMAPAccount us\nHost 127.0.0.1\nPort {}\nUser {ALICE}\nPass \"{PASSWORD}\"\nSSLType None\nAuthMechs LOGIN\n\n\
             IMAPStore far\nAccount us\n\nMaildirStore near\nPath {local}/\nInbox {local}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSync All\nSyncState *\n",
            server.port("imap"),
            local = local.display()
        ),
    );
    let mut command = Command::new(program);
    tools::run(command.args(["-a", "-c"]).arg(&config).env("HOME", server.path()), b"").ok("mbsync");
}
