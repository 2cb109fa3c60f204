//! LANG (RFC 6856 §3): replies are in one language, and a client may ask which.

use super::Server;

/// Tags (RFC 5646), the usual one first, and what they are called.
const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "English, in plain words")];

impl Server {
    pub(super) fn handle_lang(&mut self, range: Option<&str>) {
        let Some(range) = range else {
            self.reply_ok("languages follow");
            for (tag, name) in LANGUAGES {
                self.write_line(&format!("{tag} {name}"));
            }
            return self.write_line(".");
        };
        match look_up(range) {
            Some(tag) => self.reply_ok(&format!("{tag} it is")),
            None => self.reply_error("that is not spoken here; nothing changes"),
        }
    }
}

/// RFC 4647 §3.4: a range becomes shorter until it is a tag; `*` is the usual one.
fn look_up(range: &str) -> Option<&'static str> {
    let mut range = if range == "*" { "en" } else { range };
    loop {
        if let Some((tag, _)) = LANGUAGES.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(range)) {
            return Some(tag);
        }
        range = range.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lead_to_tags() {
        for (range, tag) in [
            ("*", Some("en")),
            ("EN-gb-oed", Some("en")),
            ("i-default", Some("i-default")),
            ("de", None),
            ("i", None),
            ("", None),
        ] {
            assert_eq!(look_up(range), tag, "{range}");
        }
    }
}
