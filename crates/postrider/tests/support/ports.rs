//! Loopback ports that no other test uses at the same time.

use std::{env, fs, fs::File, net::TcpListener, process};

/// Below the range from which the system picks the ports of outgoing connections, so that a restart finds them free.
const FIRST: u16 = 20_000;
const RUNS: u16 = 1_000;
const PORTS_PER_RUN: u16 = 8;

/// A run of ports; others get theirs until this is dropped, however the process ends.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    pub fn take() -> Self {
        let directory = env::temp_dir().join("postrider-test-ports");
        fs::create_dir_all(&directory).unwrap();
        let start = u16::try_from(process::id() % u32::from(RUNS)).unwrap();
        for offset in 0..RUNS {
            let run = (start + offset) % RUNS;
            let first = FIRST + run * PORTS_PER_RUN;
            let lock = File::create(directory.join(run.to_string())).unwrap();
            if lock.try_lock().is_ok() && (first..first + PORTS_PER_RUN).all(is_free) {
                return Self { first, _lock: lock };
            }
        }
        panic!("no ports are left");
    }

    pub fn nth(&self, nth: u16) -> u16 {
        assert!(nth < PORTS_PER_RUN);
        self.first + nth
    }
}

pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
