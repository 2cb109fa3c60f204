//! Rebuilds what a power cut could leave on disk from what the recorder saw.
//!
//! The model: of what was written and not synced, each page of 4 KiB is there, or not, or torn at sectors of 512 octets.
//! Of what happened to the names in a directory since it was synced, the first so many changes are there. A sync that
//! has not returned has promised nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{Seek, SeekFrom, Write},
    path::Path,
    rc::Rc,
};

const PAGE: usize = 4096;
const SECTOR: usize = 512;
const EVENT_BYTES: usize = 24;

/// SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How much of what was not synced is there.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    None,
    Half,
    Most,
    All,
}

pub const MODES: [Mode; 4] = [Mode::None, Mode::Half, Mode::Most, Mode::All];

impl Mode {
    fn percent(self) -> usize {
        match self {
            Self::None => 0,
            Self::Half => 50,
            Self::Most => 90,
            Self::All => 100,
        }
    }
}

pub struct Event {
    kind: u8,
    ok: bool,
    file: u64,
    offset: u64,
    octets: Vec<u8>,
}

pub fn read_events(path: &Path) -> Vec<Event> {
    let recorded = fs::read(path).unwrap();
    let mut events = Vec::new();
    let mut rest = &recorded[..];
    // A killed program may leave half an event.
    while rest.len() >= EVENT_BYTES {
        let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let Some(octets) = rest.get(EVENT_BYTES..EVENT_BYTES + length) else { break };
        let (kind, ok) = (rest[0], rest[1] == 1);
        events.push(Event { kind, ok, file: number(8), offset: number(16), octets: octets.to_vec() });
        rest = &rest[EVENT_BYTES + length..];
    }
    events
}

impl Event {
    pub fn is_acknowledgement(&self) -> bool {
        self.kind == b'a'
    }

    pub fn begins_sync(&self) -> bool {
        self.kind == b's'
    }

    pub fn is_failed_sync(&self) -> bool {
        self.kind == b'e' && !self.ok
    }

    /// Turns a sync into one that did nothing.
    pub fn lie(&mut self) {
        self.ok &= self.kind != b'e';
    }

    fn name(&self) -> String {
        String::from_utf8(self.octets.clone()).unwrap()
    }

    fn names(&self) -> (String, String) {
        let both = self.name();
        let (from, to) = both.split_once('\0').unwrap();
        (from.to_owned(), to.to_owned())
    }
}

type Page = Rc<[u8; PAGE]>;

/// The pages of a file; a page that is missing is zeros.
#[derive(Clone, Default)]
struct Content {
    pages: BTreeMap<usize, Page>,
    length: usize,
}

#[derive(Default)]
struct File {
    now: Content,
    durable: Content,
    /// Pages that differ from the durable ones.
    unsynced: BTreeSet<usize>,
}

/// A change to the names of one directory.
#[derive(Clone)]
enum Change {
    Add(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Default)]
struct Directory {
    now: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    unsynced: Vec<Change>,
}

/// What a sync under way will make durable.
enum Promise {
    File { pages: Vec<(usize, Option<Page>)>, length: usize },
    Directory { changes: usize },
}

const ROOT: u64 = 1;

/// The disk as the program left it so far, and what of it is durable.
pub struct Disk {
    files: HashMap<u64, File>,
    directories: HashMap<u64, Directory>,
    syncs: HashMap<u64, (u64, Promise)>,
    pub acknowledged: Vec<u8>,
}

impl Disk {
    pub fn new() -> Self {
        let directories = HashMap::from([(ROOT, Directory::default())]);
        Self { files: HashMap::new(), directories, syncs: HashMap::new(), acknowledged: Vec::new() }
    }

    pub fn apply(&mut self, event: &Event) {
        match event.kind {
            b'a' => self.acknowledged.extend_from_slice(&event.octets),
            b'c' => {
                self.files.insert(event.file, File::default());
                self.change(&event.name(), |name| Change::Add(name, event.file));
            }
            b'd' => {
                self.directories.insert(event.file, Directory::default());
                self.change(&event.name(), |name| Change::Add(name, event.file));
            }
            b'u' | b'x' => self.change(&event.name(), Change::Remove),
            b'r' => self.rename(&event.names()),
            b'w' => self.write(event),
            b't' => self.truncate(event.file, event.offset as usize),
            b's' => self.begin_sync(event),
            b'e' => self.end_sync(event),
            other => panic!("an event of kind {other}"),
        }
    }

    fn parent(&self, path: &str) -> (u64, String) {
        let mut parts: Vec<_> = path.split('/').skip(1).collect();
        let name = parts.pop().unwrap().to_owned();
        let parent = parts.iter().fold(ROOT, |dir, part| self.directories[&dir].now[*part]);
        (parent, name)
    }

    fn change(&mut self, path: &str, change: impl FnOnce(String) -> Change) {
        let (parent, name) = self.parent(path);
        let directory = self.directories.get_mut(&parent).unwrap();
        let change = change(name);
        make(&mut directory.now, &change);
        directory.unsynced.push(change);
    }

    fn rename(&mut self, (from, to): &(String, String)) {
        let ((from_dir, from_name), (to_dir, to_name)) = (self.parent(from), self.parent(to));
        assert_eq!(from_dir, to_dir, "renames between directories are not modelled");
        let change = Change::Rename(from_name, to_name);
        let directory = self.directories.get_mut(&from_dir).unwrap();
        make(&mut directory.now, &change);
        directory.unsynced.push(change);
    }

    fn write(&mut self, event: &Event) {
        let file = self.files.get_mut(&event.file).unwrap();
        let mut at = event.offset as usize;
        let mut rest = &event.octets[..];
        while !rest.is_empty() {
            let (page, start) = (at / PAGE, at % PAGE);
            let (octets, after) = rest.split_at(rest.len().min(PAGE - start));
            let place = file.now.pages.entry(page).or_insert_with(|| Rc::new([0; PAGE]));
            Rc::make_mut(place)[start..start + octets.len()].copy_from_slice(octets);
            file.unsynced.insert(page);
            at += octets.len();
            rest = after;
        }
        file.now.length = file.now.length.max(at);
    }

    fn truncate(&mut self, file: u64, length: usize) {
        let file = self.files.get_mut(&file).unwrap();
        file.now.length = length;
        let cut = file.now.pages.split_off(&length.div_ceil(PAGE));
        file.unsynced.extend(cut.into_keys());
        if let Some(last) = file.now.pages.get_mut(&(length / PAGE)) {
            Rc::make_mut(last)[length % PAGE..].fill(0);
            file.unsynced.insert(length / PAGE);
        }
    }

    fn begin_sync(&mut self, event: &Event) {
        let promise = if let Some(directory) = self.directories.get(&event.file) {
            Promise::Directory { changes: directory.unsynced.len() }
        } else {
            let file = self.files.get_mut(&event.file).unwrap();
            let pages = file.unsynced.iter().map(|page| (*page, file.now.pages.get(page).cloned())).collect();
            Promise::File { pages, length: file.now.length }
        };
        self.syncs.insert(event.offset, (event.file, promise));
    }

    fn end_sync(&mut self, event: &Event) {
        let (id, promise) = self.syncs.remove(&event.offset).unwrap();
        match promise {
            Promise::Directory { changes } if event.ok => {
                let directory = self.directories.get_mut(&id).unwrap();
                // Another sync may have been faster.
                let changes = changes.min(directory.unsynced.len());
                for change in directory.unsynced.drain(..changes) {
                    make(&mut directory.durable, &change);
                }
            }
            Promise::Directory { .. } => {}
            Promise::File { pages, length } => {
                let file = self.files.get_mut(&id).unwrap();
                for (page, content) in pages {
                    if file.now.pages.get(&page) == content.as_ref() {
                        file.unsynced.remove(&page);
                    }
                    // After a failed sync the system takes the pages for written, and they never are.
                    if event.ok {
                        set(&mut file.durable.pages, page, content);
                    }
                }
                if event.ok {
                    file.durable.length = length;
                }
            }
        }
    }

    /// Makes what a power cut now could leave below `dir`, which does not exist yet.
    pub fn leave(&self, mode: Mode, chance: &mut Chance, dir: &Path) {
        self.leave_directory(ROOT, mode, chance, dir);
    }

    fn leave_directory(&self, id: u64, mode: Mode, chance: &mut Chance, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        let directory = &self.directories[&id];
        let mut names = directory.durable.clone();
        let kept = match mode {
            Mode::None => 0,
            Mode::All => directory.unsynced.len(),
            _ => chance.below(directory.unsynced.len() + 1),
        };
        for change in &directory.unsynced[..kept] {
            make(&mut names, change);
        }
        for (name, id) in names {
            let path = dir.join(name);
            match self.files.get(&id) {
                Some(file) => self.leave_file(file, id, mode, chance, &path),
                None => self.leave_directory(id, mode, chance, &path),
            }
        }
    }

    fn leave_file(&self, file: &File, id: u64, mode: Mode, chance: &mut Chance, path: &Path) {
        let mut content = file.durable.clone();
        if file.now.length != content.length && chance.percent(mode.percent()) {
            content.length = file.now.length;
        }
        // What a sync under way was to write may be there even if the program has written over it since.
        let promised =
            self.syncs.values().filter(|(of, _)| *of == id).flat_map(|(_, promise)| match promise {
                Promise::File { pages, .. } => pages.as_slice(),
                Promise::Directory { .. } => &[],
            });
        let current = file.unsynced.iter().map(|page| (*page, file.now.pages.get(page).cloned()));
        for (page, new) in promised.cloned().chain(current) {
            if chance.percent(mode.percent()) {
                let torn = !matches!(mode, Mode::All) && chance.percent(15);
                let new = if torn { Some(tear(content.pages.get(&page), new.as_ref(), chance)) } else { new };
                set(&mut content.pages, page, new);
            }
        }
        let mut output = fs::File::create(path).unwrap();
        for (page, octets) in content.pages.range(..content.length.div_ceil(PAGE)) {
            output.seek(SeekFrom::Start((page * PAGE) as u64)).unwrap();
            output.write_all(&octets[..PAGE.min(content.length - page * PAGE)]).unwrap();
        }
        output.set_len(content.length as u64).unwrap();
    }
}

fn set(pages: &mut BTreeMap<usize, Page>, page: usize, content: Option<Page>) {
    match content {
        Some(content) => pages.insert(page, content),
        None => pages.remove(&page),
    };
}

fn make(names: &mut BTreeMap<String, u64>, change: &Change) {
    match change {
        Change::Add(name, id) => {
            names.insert(name.clone(), *id);
        }
        Change::Remove(name) => {
            names.remove(name);
        }
        Change::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
    }
}

/// Some sectors are old, some new.
fn tear(old: Option<&Page>, new: Option<&Page>, chance: &mut Chance) -> Page {
    let zeros = Rc::new([0; PAGE]);
    let (old, new) = (old.unwrap_or(&zeros), new.unwrap_or(&zeros));
    let mut torn = **old;
    for at in (0..PAGE).step_by(SECTOR) {
        if chance.percent(50) {
            torn[at..at + SECTOR].copy_from_slice(&new[at..at + SECTOR]);
        }
    }
    Rc::new(torn)
}
