//! The control socket without a command in between: quicker where a test asks about each of many messages.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};

use super::server::Server;

#[derive(Debug)]
pub struct Control(BufReader<UnixStream>);

impl Control {
    /// Of a server whose data directory has the usual name.
    pub fn of(server: &Server) -> Self {
        let stream = UnixStream::connect(server.path().join("data/control.sock")).unwrap();
        Self(BufReader::new(stream))
    }

    /// The events of one message, as `trace --json` has them.
    pub fn trace(&mut self, id: &str) -> Vec<Value> {
        let request = json!({ "request": "trace", "term": id });
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let response: Value = serde_json::from_str(&line).unwrap();
        response["histories"][0]["events"].as_array().unwrap_or_else(|| panic!("{id}: {response}")).clone()
    }
}
