//! Command lines and the parameters of MAIL and RCPT: never a panic, and a path that is written is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::smtp::{
    command::{self, Command},
    parameter::{self, Accepted},
    server::Extensions,
};

fuzz_target!(|octets: &[u8]| {
    let _ = command::line_bytes_max(octets);
    let extensions = Extensions { binary_mime: true, dsn: true, expn: true, ..Extensions::default() };
    let accepted = Accepted::announced(extensions, true);
    match command::parse(octets) {
        Ok(Command::Mail { reverse_path, parameters, .. }) => {
            let line = format!("MAIL FROM:<{reverse_path}>");
            match command::parse(line.as_bytes()) {
                Ok(Command::Mail { reverse_path: again, .. }) => assert_eq!(again, reverse_path),
                other => panic!("{line} is read as {other:?}"),
            }
            let _ = parameter::parse_mail(parameters, accepted);
        }
        Ok(Command::Rcpt { parameters, .. }) => drop(parameter::parse_rcpt(parameters, accepted)),
        _ => {}
    }
});
