//! Damage found, and segments set aside because of it.
//!
//! A damaged segment gets a note beside it, `N.damaged`, and is left as it is for people to look into. Once they have
//! removed the note it is treated as any other.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Found damage beyond this is logged only.
const DAMAGE_MAX: usize = 1000;
const NOTE_SUFFIX: &str = "damaged";

/// A part of a file that cannot be read. It is kept as it is; what is not part of it is served as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    /// In octets from the file's start.
    pub offset: u64,
    pub reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct DamageList {
    found: Vec<Damage>,
    segments: BTreeSet<u64>,
}

impl DamageList {
    /// What earlier runs found in the log.
    pub fn load(log_dir: &Path) -> io::Result<Self> {
        let mut list = Self::default();
        for entry in fs::read_dir(log_dir)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|it| it == NOTE_SUFFIX)) {
                list.segments.insert(number);
                let notes = fs::read_to_string(&path)?;
                list.found.extend(notes.lines().take(DAMAGE_MAX).map(|line| read_note(&path, line)));
            }
        }
        Ok(list)
    }

    pub fn add(&mut self, segment: Option<u64>, damage: Damage) {
        self.segments.extend(segment);
        if self.found.contains(&damage) {
            return;
        }
        let Damage { file, offset, reason } = &damage;
        tracing::error!(file = %file.display(), offset, reason, "the store is damaged here");
        if self.found.len() >= DAMAGE_MAX {
            return;
        }
        if segment.is_some()
            && let Err(error) = write_note(&damage)
        {
            tracing::error!(file = %file.display(), %error, "the damage cannot be noted");
        }
        self.found.push(damage);
    }

    pub fn found(&self) -> Vec<Damage> {
        self.found.clone()
    }

    pub fn has_segment(&self, number: u64) -> bool {
        self.segments.contains(&number)
    }
}

fn write_note(damage: &Damage) -> io::Result<()> {
    let path = damage.file.with_extension(NOTE_SUFFIX);
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{} {}\n", damage.offset, damage.reason).as_bytes())?;
    file.sync_all()
}

fn read_note(path: &Path, line: &str) -> Damage {
    let (offset, reason) = line.split_once(' ').unwrap_or(("0", line));
    Damage {
        file: path.with_extension("log"),
        offset: offset.parse().unwrap_or(0),
        reason: reason.to_owned(),
    }
}
