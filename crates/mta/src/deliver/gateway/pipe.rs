//! A program that gets the message on standard input and says with its exit status what came of it.

use std::sync::Arc;

use store::spool::{QueueEntry, QueuedRecipient};
use world::{End, Ended, Program, RunAs};

use super::letter::{Letter, LineEnd};
use crate::{
    Mta,
    outcome::{Fate, Success, Trouble},
    route::{
        gateway::Pipe,
        template::{Template, VARIABLES, Values},
    },
};

/// Where a program finds others.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Octets of what it wrote that go into the history.
const SAID_BYTES_MAX: usize = 300;
const ROOT: u32 = 0;

pub(super) async fn deliver(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    pipe: &Pipe,
) -> Fate {
    let name = pipe.program.display().to_string();
    let values = super::values(entry, recipient);
    let program = match program(mta, pipe, &values) {
        Ok(program) => program,
        Err(trouble) if trouble.status.class == 5 => return Fate::Failed(trouble),
        Err(trouble) => return Fate::Deferred(trouble),
    };
    let letter = match Letter::open(mta, entry, recipient, LineEnd::Lf).await {
        Ok(letter) => letter,
        Err(unsent) => return unsent.fate(&name),
    };
    match mta.world.processes.run(program, letter.into_stream()).await {
        Ok(ended) => fate(&name, &ended),
        Err(error) => {
            Fate::Deferred(Trouble::new((4, 3, 0), format!("the program {name} cannot be run: {error}")))
        }
    }
}

fn program(mta: &Mta, pipe: &Pipe, values: &Values<'_>) -> Result<Program, Trouble> {
    let user = run_as(mta, pipe.user.as_deref(), "a program")?;
    let arguments = pipe.arguments.iter().map(|template| argument(template, values));
    let path = ("PATH".to_owned(), PATH.to_owned());
    let whose = [("HOME", user.home.display().to_string()), ("LOGNAME", user.name.clone())];
    let whose = whose.map(|(name, value)| (name.to_owned(), value));
    let filled = VARIABLES.iter().map(|(name, variable)| (name.to_ascii_uppercase(), values.of(*variable)));
    Ok(Program {
        path: pipe.program.clone(),
        arguments: arguments.collect::<Result<_, _>>()?,
        environment: [path].into_iter().chain(whose).chain(filled).collect(),
        directory: pipe.directory.clone(),
        user: Some(user),
        timeout: pipe.timeout,
    })
}

/// An address that begins with `-` is no option.
fn argument(template: &Template, values: &Values<'_>) -> Result<String, Trouble> {
    let argument = template.fill(values);
    if template.begins_with_variable() && argument.starts_with('-') {
        let reason = "an address that begins with \"-\" could pass for an option of the program";
        return Err(Trouble::new((5, 1, 3), reason));
    }
    Ok(argument)
}

/// Who delivers: the user of the route, else we ourselves, but never root unless the operator says so.
pub(super) fn run_as(mta: &Mta, user: Option<&str>, what: &str) -> Result<RunAs, Trouble> {
    let processes = &mta.world.processes;
    let trouble = |reason: String| Trouble::new((4, 3, 5), reason);
    let unreadable = |error| trouble(format!("the users of this machine cannot be read: {error}"));
    let own = processes.own_user().map_err(unreadable)?;
    match user {
        None => match own {
            Some(own) if own.uid == ROOT => {
                let reason = format!("{what} does not run as root: give the route user = \"NAME\"");
                Err(trouble(reason))
            }
            Some(own) => Ok(own),
            None => Err(trouble("the user that Postrider runs as has no name".to_owned())),
        },
        Some(name) => {
            let user = processes.user(name).map_err(unreadable)?;
            let user = user.ok_or_else(|| trouble(format!("there is no user {name} on this machine")))?;
            match own {
                Some(own) if own.uid != ROOT && own.uid != user.uid => {
                    Err(trouble(format!("{what} can run as {name} only if Postrider is started by root")))
                }
                _ => Ok(user),
            }
        }
    }
}

fn fate(name: &str, ended: &Ended) -> Fate {
    let said = said(&ended.error);
    let how = match ended.how {
        End::Exit(0) => {
            let said = (!said.is_empty()).then_some(said);
            return Fate::delivered(format!("the program {name}"), said, Success::Final);
        }
        End::Exit(status) => format!("ended with status {status}{}", meaning(status)),
        End::Signal(signal) => format!("was killed by signal {signal}"),
        End::TimedOut => "took too long and was killed".to_owned(),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    let reason = format!("the program {name} {how}{colon}{said}");
    match ended.how {
        End::Exit(status) => {
            let (code, is_final) = code(status);
            let trouble = Trouble::new(code, reason);
            if is_final { Fate::Failed(trouble) } else { Fate::Deferred(trouble) }
        }
        End::Signal(_) | End::TimedOut => Fate::Deferred(Trouble::new((4, 3, 0), reason)),
    }
}

/// The first line of what it wrote.
fn said(error: &[u8]) -> String {
    let line = error.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    mail::text::clean_within(line.unwrap_or_default(), SAID_BYTES_MAX)
}

/// As sysexits.h names them. What is not there may be a mistake of the operator's, so that mail waits until it is mended.
fn code(status: i32) -> ((u8, u16, u16), bool) {
    match status {
        // EX_OSERR, EX_IOERR, EX_TEMPFAIL
        71 | 74 | 75 => ((4, 3, 0), false),
        65 => ((5, 6, 0), true),
        67 => ((5, 1, 1), true),
        68 => ((5, 1, 2), true),
        73 => ((5, 2, 0), true),
        76 => ((5, 5, 0), true),
        77 => ((5, 7, 0), true),
        78 => ((5, 3, 5), true),
        64..=78 => ((5, 3, 0), true),
        _ => ((4, 3, 0), false),
    }
}

fn meaning(status: i32) -> &'static str {
    match status {
        65 => " (data error)",
        67 => " (no such user)",
        68 => " (no such host)",
        75 => " (try again later)",
        77 => " (permission denied)",
        78 => " (configuration error)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_decides() {
        let fate_of =
            |how| fate("/bin/x", &Ended { how, error: b"\n first \x1b[2J line \nsecond\n".to_vec() });
        assert!(matches!(fate_of(End::Exit(0)), Fate::Delivered { .. }));
        for (status, code) in [(64, "5.3.0"), (67, "5.1.1"), (77, "5.7.0"), (65, "5.6.0"), (70, "5.3.0")] {
            let Fate::Failed(trouble) = fate_of(End::Exit(status)) else { panic!("{status}") };
            assert_eq!(trouble.status.to_string(), code, "{status}");
        }
        for how in [
            End::Exit(75),
            End::Exit(71),
            End::Exit(1),
            End::Exit(127),
            End::Exit(255),
            End::Signal(11),
            End::TimedOut,
        ] {
            let Fate::Deferred(trouble) = fate_of(how) else { panic!("{how:?}") };
            assert_eq!(trouble.status.class, 4);
            assert!(trouble.reason.ends_with(": first \\u{1b}[2J line"), "{}", trouble.reason);
        }
    }
}
