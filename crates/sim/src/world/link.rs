use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use store::memory::Chance;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{Life, between, lock};

/// Octets on their way in one direction.
const WINDOW: usize = 64 * 1024;
/// A connection that was cut off for longer does not come back.
const GIVE_UP: Duration = Duration::from_mins(10);

/// How the reply begins that names a message, in our servers and our peers.
const TAKEN: &[u8] = b"250 2.0.0 accepted as ";

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) ends: [IpAddr; 2],
    pub(super) lives: [Arc<Life>; 2],
    opened: Instant,
    state: Mutex<State>,
}

/// What became of a connection.
#[derive(Clone, Debug)]
pub struct LinkRecord {
    pub from: IpAddr,
    pub to: IpAddr,
    pub opened: Instant,
    /// None: it is open.
    pub ended: Option<Instant>,
    /// It broke, stood still, or one of its ends crashed.
    pub disturbed: bool,
    /// Who opened it.
    pub caller: Arc<Life>,
    /// Of the one who took it.
    pub words: Vec<Word>,
}

/// A reply that tells its caller what the message is called now that was just taken.
#[derive(Clone, Debug)]
pub struct Word {
    pub name: String,
    /// When the caller had read all of it.
    pub heard: Option<Instant>,
    /// What had been written in this direction by its end.
    written: u64,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    delay: (Duration, Duration),
    /// What one end has written and the other not read.
    ways: [Way; 2],
    broken: bool,
    stalled_since: Option<Instant>,
    disturbed: bool,
    /// How many of its ends were let go of; with both it is over.
    let_go: u8,
    ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct Way {
    flying: VecDeque<(Instant, Bytes)>,
    octets: usize,
    written: u64,
    read: u64,
    words: Vec<Word>,
    /// The connection breaks when so many octets were written.
    break_at: Option<u64>,
    last_arrival: Option<Instant>,
    /// When the end of the stream arrives.
    closed: Option<Instant>,
    /// Nobody will read what comes.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Link {
    /// `break_at`: octets after which it breaks, by direction.
    pub(super) fn new(
        ends: [IpAddr; 2],
        lives: [Arc<Life>; 2],
        seed: u64,
        delay: (Duration, Duration),
        break_at: [Option<u64>; 2],
    ) -> Arc<Self> {
        let ways = break_at.map(|break_at| Way { break_at, ..Way::default() });
        let state = State {
            chance: Chance::new(seed),
            delay,
            ways,
            broken: false,
            stalled_since: None,
            disturbed: false,
            let_go: 0,
            ended: None,
        };
        Arc::new(Self { ends, lives, opened: Instant::now(), state: Mutex::new(state) })
    }

    pub(super) fn record(&self) -> LinkRecord {
        let (state, [from, to], [caller, _]) = (self.state(), self.ends, &self.lives);
        let [_, answers] = &state.ways;
        LinkRecord {
            from,
            to,
            opened: self.opened,
            ended: state.ended,
            disturbed: state.disturbed,
            caller: caller.clone(),
            words: answers.words.clone(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().ended.is_none()
    }

    pub(super) fn break_now(&self) {
        self.state().break_now();
    }

    pub(super) fn stall(&self) {
        let mut state = self.state();
        state.stalled_since.get_or_insert_with(Instant::now);
        state.disturbed = true;
    }

    pub(super) fn resume(&self) {
        let mut state = self.state();
        let Some(since) = state.stalled_since.take() else { return };
        if since.elapsed() > GIVE_UP {
            state.break_now();
        } else {
            state.wake_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn break_now(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(Instant::now());
            self.disturbed = true;
        }
        self.broken = true;
        self.ways.iter_mut().for_each(|way| way.flying.clear());
        self.wake_all();
    }

    fn wake_all(&mut self) {
        for way in &mut self.ways {
            way.reader.take().into_iter().chain(way.writer.take()).for_each(Waker::wake);
        }
    }

    /// When something that is sent now is there; never before what was sent earlier.
    fn arrival(&mut self, side: usize) -> Instant {
        let (least, most) = self.delay;
        let there = Instant::now() + between(&mut self.chance, least, most);
        let way = self.way(side);
        let there = way.last_arrival.map_or(there, |last| last.max(there));
        way.last_arrival = Some(there);
        there
    }

    fn way(&mut self, side: usize) -> &mut Way {
        let [first, second] = &mut self.ways;
        if side == 0 { first } else { second }
    }
}

impl Way {
    /// Replies are written whole.
    fn note_words(&mut self, chunk: &[u8]) {
        let mut written = self.written;
        for line in chunk.split_inclusive(|octet| *octet == b'\n') {
            written += line.len() as u64;
            if line.starts_with(TAKEN) {
                let name = String::from_utf8_lossy(&line[TAKEN.len()..]).trim_end().to_owned();
                self.words.push(Word { name, heard: None, written });
            }
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    link: Arc<Link>,
    side: usize,
    life: Arc<Life>,
    arrival: Option<Pin<Box<Sleep>>>,
}

impl End {
    pub(super) fn both(link: &Arc<Link>) -> [Self; 2] {
        [0, 1].map(|side| {
            let [first, second] = &link.lives;
            let life = if side == 0 { first } else { second }.clone();
            Self { link: link.clone(), side, life, arrival: None }
        })
    }

    fn wait_for(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.arrival.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context)
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.life.step() {
            return Poll::Pending;
        }
        loop {
            let next = {
                let (link, from) = (self.link.clone(), 1 - self.side);
                let mut state = link.state();
                if state.broken {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                let stalled = state.stalled_since.is_some();
                let way = state.way(from);
                way.reader = Some(context.waker().clone());
                let next = way.flying.front().map(|(at, _)| *at).or(way.closed);
                match next {
                    Some(at) if !stalled && at <= Instant::now() => {
                        take(way, buffer);
                        return Poll::Ready(Ok(()));
                    }
                    Some(at) if !stalled => at,
                    _ => return Poll::Pending,
                }
            };
            if self.wait_for(next, context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// What has arrived, as far as there is room; nothing at the end of the stream.
fn take(way: &mut Way, buffer: &mut ReadBuf<'_>) {
    let Some((_, chunk)) = way.flying.front_mut() else { return };
    let length = chunk.len().min(buffer.remaining());
    buffer.put_slice(&chunk.split_to(length));
    way.octets -= length;
    way.read += length as u64;
    let heard = way.words.iter_mut().rev().take_while(|word| word.heard.is_none());
    heard.filter(|word| word.written <= way.read).for_each(|word| word.heard = Some(Instant::now()));
    if !chunk.has_remaining() {
        way.flying.pop_front();
    }
    if let Some(writer) = way.writer.take() {
        writer.wake();
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if !self.life.step() {
            return Poll::Pending;
        }
        let mut state = self.link.state();
        if state.broken || state.way(self.side).deaf {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = WINDOW.saturating_sub(state.way(self.side).octets);
        if room == 0 {
            state.way(self.side).writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let chunk = octets.get(..octets.len().min(room)).unwrap_or_default();
        let at = state.arrival(self.side);
        let way = state.way(self.side);
        way.flying.push_back((at, Bytes::copy_from_slice(chunk)));
        way.octets += chunk.len();
        way.note_words(chunk);
        way.written += chunk.len() as u64;
        let breaks = way.break_at.is_some_and(|limit| way.written >= limit);
        if let Some(reader) = way.reader.take() {
            reader.wake();
        }
        if breaks {
            state.break_now();
        }
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.life.step() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.life.step() {
            return Poll::Pending;
        }
        self.close_way();
        Poll::Ready(Ok(()))
    }
}

impl End {
    fn close_way(&self) {
        let mut state = self.link.state();
        let at = state.arrival(self.side);
        let way = state.way(self.side);
        way.closed.get_or_insert(at);
        if let Some(reader) = way.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for End {
    /// What a dead process holds is broken by whoever finds it dead.
    fn drop(&mut self) {
        if self.life.is_dead() {
            return;
        }
        self.close_way();
        let mut state = self.link.state();
        state.let_go += 1;
        if state.let_go == 2 {
            state.ended.get_or_insert_with(Instant::now);
        }
        let incoming = state.way(1 - self.side);
        incoming.deaf = true;
        if let Some(writer) = incoming.writer.take() {
            writer.wake();
        }
    }
}
