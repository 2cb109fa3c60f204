use std::time::{Duration, Instant};

use super::*;

fn shell(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: vec![("NAME".to_owned(), "value".to_owned())],
        directory: None,
        user: None,
        timeout: Duration::from_mins(1),
    }
}

fn input(pieces: &[&'static [u8]]) -> Input {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
    Box::pin(futures_util::stream::iter(pieces))
}

async fn run(program: Program, input: Input) -> (End, String) {
    let ended = SystemProcesses.run(program, input).await.unwrap();
    (ended.how, String::from_utf8(ended.error).unwrap())
}

#[tokio::test]
async fn input_goes_in_and_how_it_ended_comes_out() {
    let (end, error) = run(shell("cat >&2; pwd >&2; exit 75"), input(&[b"one ", b"two\n"])).await;
    assert_eq!((end, error.as_str()), (End::Exit(75), "one two\n/\n"));
    assert_eq!(run(shell("kill -TERM $$"), input(&[])).await.0, End::Signal(15));
}

#[tokio::test]
async fn of_our_environment_nothing_is_handed_down() {
    let (_, error) = run(shell("/usr/bin/env | /usr/bin/sort >&2"), input(&[])).await;
    let names: Vec<&str> = error.lines().filter_map(|line| line.split('=').next()).collect();
    // The shell makes the others up itself.
    assert!(names.iter().all(|name| ["NAME", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{error}");
    assert!(names.contains(&"NAME"), "{error}");
}

#[tokio::test]
async fn a_program_need_not_read_and_may_talk_without_end() {
    static MUCH: [u8; 100_000] = [b'x'; 100_000];
    assert_eq!(run(shell("exit 0"), input(&[&MUCH, &MUCH, &MUCH])).await.0, End::Exit(0));
    let (end, error) = run(shell("head -c 1000000 /dev/zero | tr '\\0' y >&2"), input(&[])).await;
    assert_eq!((end, error.len()), (End::Exit(0), ERROR_BYTES_MAX));
}

/// The children that it started, too.
#[tokio::test]
async fn whoever_takes_too_long_is_killed_with_its_children() {
    let folder = std::env::temp_dir().join(format!("postrider-process-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("child");
    let script = format!("sleep 300 & echo $! > {}; wait", file.display());
    let program = Program { timeout: Duration::from_millis(700), ..shell(&script) };
    let began = Instant::now();
    assert_eq!(run(program, input(&[])).await.0, End::TimedOut);
    assert!(began.elapsed() < Duration::from_mins(2));
    let child = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let is_gone = || {
        std::fs::read_to_string(format!("/proc/{child}/stat"))
            .map_or(true, |stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
    };
    while !is_gone() {
        assert!(began.elapsed() < Duration::from_mins(1), "the child lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn input_that_fails_stops_the_program_before_it_sees_an_end() {
    let pieces = vec![Ok(Bytes::from_static(b"half")), Err(io::Error::other("the disk"))];
    let input: Input = Box::pin(futures_util::stream::iter(pieces));
    let file = std::env::temp_dir().join(format!("postrider-input-{}", std::process::id()));
    let script = format!("cat > /dev/null; touch {}", file.display());
    let error = SystemProcesses.run(shell(&script), input).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk");
    assert!(!file.exists(), "it took half a message for a whole one");
}

#[tokio::test]
async fn a_background_child_that_holds_standard_error_is_not_waited_for() {
    let began = Instant::now();
    let (end, error) = run(shell("sleep 70 & echo gone >&2"), input(&[])).await;
    assert_eq!((end, error.as_str()), (End::Exit(0), "gone\n"));
    assert!(began.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn a_user_is_found_and_privileges_are_given_up() {
    let own = SystemProcesses.own_user().unwrap().unwrap();
    assert_eq!(SystemProcesses.user(&own.name).unwrap(), Some(own.clone()));
    assert_eq!(SystemProcesses.user("no-such-user-here").unwrap(), None);
    let Some(nobody) = SystemProcesses.user("nobody").unwrap().filter(|_| own.uid == 0) else { return };
    let program = Program { user: Some(nobody.clone()), ..shell("/usr/bin/id -u >&2; /usr/bin/id -G >&2") };
    let (_, error) = run(program, input(&[])).await;
    assert_eq!(error, format!("{}\n{}\n", nobody.uid, nobody.gid));
}

#[tokio::test]
async fn what_cannot_be_started_says_so() {
    let program = Program { path: "/nowhere/at-all".into(), ..shell("") };
    let error = SystemProcesses.run(program, input(&[])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
