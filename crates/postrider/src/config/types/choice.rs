//! Options with named values.

use toml::{Spanned, de::DeValue};

use crate::config::{
    problem::{Place, Problems},
    section::{Setting, nearest},
};

/// Defines an option with named values: `Name { Variant "word", … later "word", … }`; a later one is refused as not built.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        $name:ident { $($variant:ident $word:literal),+ $(; later $($later:literal),+)? }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::config::section::Setting for $name {
            fn kind() -> String {
                [$(concat!("\"", $word, "\"")),+].join(" or ")
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                place: $crate::config::problem::Place<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Option<Self> {
                let words = [$(($word, Self::$variant)),+];
                $crate::config::types::read_choice(value, place, problems, &words, &[$($($later),+)?])
            }

            fn shown(&self) -> $crate::config::section::Shown {
                $crate::config::section::Shown::Value($crate::config::types::quoted(self.word()))
            }
        }
    };
}
pub(crate) use choice;

/// Finds the word among the known ones; says what it should have been if it is none of them.
pub fn read_choice<T: Copy>(
    value: &Spanned<DeValue<'_>>,
    place: Place<'_>,
    problems: &mut Problems,
    words: &[(&'static str, T)],
    later: &[&'static str],
) -> Option<T> {
    let text = String::read(value, place, problems)?;
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*found);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let message = if later.contains(&text.as_str()) {
        format!("{text:?} is not built yet; for now it can be {}", known.join(", "))
    } else if let Some(near) = nearest(&text, &known) {
        format!("{text:?} is not known; did you mean {near:?}?")
    } else {
        format!("{text:?} is not known; it can be {}", known.join(", "))
    };
    problems.add_at(value.span(), place, message);
    None
}
