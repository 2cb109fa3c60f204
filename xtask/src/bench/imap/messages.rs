//! Messages as people write them: of some length, words, no two alike; the same ones for every server.

/// In every thousandth message.
pub const RARE_WORD: &str = "marigold";
pub const ABSENT_WORD: &str = "zzabsentzz";
pub const RARE_EVERY: u32 = 1000;

const WORDS: usize = 3000;
const WORDS_OF_A_LINE: u64 = 11;

/// Numbers that look random and are the same in each run.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(all.len() as u64);
        all.get(usize::try_from(place).ok()?)
    }
}

/// Makes messages one after the other.
#[derive(Debug)]
pub struct Writer {
    numbers: Numbers,
    words: Vec<String>,
    written: u32,
}

impl Writer {
    pub fn new() -> Self {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let letters: Vec<char> = "etaoinshrdlucmfwypvbg".chars().collect();
        let words = (0..WORDS).map(|_| {
            let length = 2 + numbers.below(8);
            (0..length).filter_map(|_| numbers.one_of(&letters)).collect()
        });
        Self { words: words.collect(), numbers, written: 0 }
    }

    fn line(&mut self, words: u64) -> String {
        let words: Vec<&str> =
            (0..words).filter_map(|_| self.numbers.one_of(&self.words)).map(String::as_str).collect();
        words.join(" ")
    }

    /// Messages of about so many octets.
    pub fn messages(&mut self, count: u32, octets: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.message(octets)).collect()
    }

    fn message(&mut self, octets: usize) -> Vec<u8> {
        let number = self.written;
        self.written += 1;
        let (who, unique) = (number % 97, self.numbers.below(u64::MAX));
        // Dates are not in the order of arrival.
        let (day, hour, minute) = (1 + number % 28, number / 60 % 24, number * 7 % 60);
        let subject = self.line(6);
        let mut text = format!(
            "Received: from c.example.test (c.example.test [192.0.2.1]) by mx.bench.test with ESMTP id {number:08x};\r\n \
             Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: \"Sender {who}\" <s{who}@example.test>\r\nTo: User \
             <user@bench.test>\r\nCc: other{0}@bench.test\r\nSubject: {subject}\r\nDate: {day} Nov 2026 \
             {hour:02}:{minute:02}:00 +0000\r\nMessage-ID: <{number}.{unique:x}@example.test>\r\nMIME-Version: \
             1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
            number % 31
        );
        if number % RARE_EVERY == RARE_EVERY / 2 {
            text += RARE_WORD;
            text += "\r\n";
        }
        while text.len() < octets {
            let line = self.line(WORDS_OF_A_LINE);
            text += &line;
            text += "\r\n";
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_each_time_and_no_two_are_alike() {
        let messages = Writer::new().messages(2 * RARE_EVERY, 700);
        assert_eq!(messages, Writer::new().messages(2 * RARE_EVERY, 700));
        assert!(messages.iter().all(|message| (700..900).contains(&message.len())));
        let holding = |word: &str| {
            let holds = |message: &&Vec<u8>| String::from_utf8_lossy(message).contains(word);
            messages.iter().filter(holds).count()
        };
        assert_eq!((holding(RARE_WORD), holding(ABSENT_WORD), holding("Message-ID: <7.")), (2, 0, 1));
    }
}
