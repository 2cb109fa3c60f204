//! Folders that hold a file for each message: written into `tmp`, and seen in `new` once it is on stable storage.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use store::spool::{QueueEntry, QueuedRecipient};

use super::{
    letter::{Letter, LineEnd},
    pipe::run_as,
};
use crate::{
    Config, Mta,
    outcome::{Fate, Success, Trouble},
    route::gateway::Maildir,
};

/// Octets of a file's name that file systems take.
const NAME_BYTES_MAX: usize = 255;

pub(super) async fn deliver(
    mta: &Arc<Mta>,
    config: &Config,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    maildir: &Maildir,
) -> Fate {
    if let Err(trouble) = may_write(mta, maildir) {
        return Fate::Deferred(trouble);
    }
    let folder = PathBuf::from(maildir.path.fill_path(&super::values(entry, recipient)));
    if folder.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return Fate::Failed(Trouble::new((5, 1, 3), "the address is too long for a folder's name"));
    }
    match blocking({
        let (folder, create) = (folder.clone(), maildir.create);
        move || prepare(&folder, create)
    })
    .await
    {
        Ok(true) => {}
        Ok(false) => return Fate::Failed(Trouble::new((5, 1, 1), "there is no such Maildir")),
        Err(error) => return unwritable(&folder, &error),
    }
    let letter = match Letter::open(mta, entry, recipient, LineEnd::Lf).await {
        Ok(letter) => letter,
        Err(unsent) => return unsent.fate("the Maildir"),
    };
    match write(&folder, &unique_name(mta, config, entry), letter).await {
        Ok(()) => Fate::delivered(format!("Maildir {}", folder.display()), None, Success::Final),
        Err(error) => unwritable(&folder, &error),
    }
}

/// Folders are written to as their owner, who has to be us: another user's links would lead us anywhere.
fn may_write(mta: &Mta, maildir: &Maildir) -> Result<(), Trouble> {
    let user = run_as(mta, maildir.user.as_deref(), "delivery into a Maildir")?;
    let own = mta.world.processes.own_user().ok().flatten();
    if own.is_some_and(|own| own.uid == user.uid) {
        return Ok(());
    }
    let name = &user.name;
    let reason = format!(
        "a Maildir of {name} takes mail only if Postrider runs as {name}; else use via = \"pipe\" or \"lmtp\""
    );
    Err(Trouble::new((4, 3, 5), reason))
}

fn unwritable(folder: &Path, error: &io::Error) -> Fate {
    // RFC 3463 §3.3, §3.4
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (4, 2, 2),
        _ => (4, 3, 0),
    };
    Fate::Deferred(Trouble::new(code, format!("the Maildir {} cannot be written: {error}", folder.display())))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// False: there is none, and none is to be made.
fn prepare(folder: &Path, create: bool) -> io::Result<bool> {
    if !folder.is_dir() {
        if !create {
            return Ok(false);
        }
        make_folders(folder)?;
    }
    for inner in ["tmp", "new", "cur"] {
        make_folders(&folder.join(inner))?;
    }
    Ok(true)
}

/// With those above it, each on stable storage.
fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new("/"));
    make_folders(above)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync_folder(above),
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Time, message, chance and host: no two deliveries of any process on any host share it.
fn unique_name(mta: &Mta, config: &Config, entry: &QueueEntry) -> String {
    let millis = mta.world.clock.wall().millis();
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    let host = config.hostname.replace('/', "\\057").replace(':', "\\072");
    let (id, part, chance) = (entry.queue_id, entry.part, mta.world.entropy.u64());
    format!("{seconds}.M{rest:03}000P{}Q{id}_{part}R{chance:016x}.{host}", std::process::id())
}

async fn write(folder: &Path, name: &str, mut letter: Letter) -> io::Result<()> {
    let unfinished = Unfinished(folder.join("tmp").join(name));
    let path = unfinished.0.clone();
    let mut file =
        blocking(move || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)).await?;
    let mut bytes = 0;
    while let Some(piece) = letter.next().await? {
        bytes += piece.len();
        file = blocking(move || file.write_all(&piece).map(|()| file)).await?;
    }
    let folder = folder.to_owned();
    // The size in its name spares readers a look at the file.
    let name = format!("{name},S={bytes}");
    blocking(move || {
        file.sync_all()?;
        let new = folder.join("new");
        show(&unfinished.0, &new.join(name))?;
        drop(unfinished);
        sync_folder(&new)
    })
    .await
}

/// In one step, and never over another file. Where there are no links, a name that nobody else can have has to do.
fn show(tmp: &Path, new: &Path) -> io::Result<()> {
    match fs::hard_link(tmp, new) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            fs::rename(tmp, new)
        }
        linked => linked,
    }
}

/// A file in `tmp` that does not stay.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already, if it was renamed.
        let _ = fs::remove_file(&self.0);
    }
}
