//! How options are defined: once, in `section!`, from which come the struct, its parser, its defaults, the reference
//! and what `config show` prints.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problems};

/// The type of an option (or of a whole section).
pub trait Setting: Sized {
    /// What to write, for the reference and for errors: `size such as "50 MiB"`.
    fn kind() -> String;
    /// Reads the value, or adds to `problems` what is wrong with it.
    fn read(value: &Spanned<DeValue<'_>>, place: Place<'_>, problems: &mut Problems) -> Option<Self>;
    fn shown(&self) -> Shown;
    /// What stands for it if nothing is written and it has no default of its own: a section of defaults.
    fn absent() -> Option<Self> {
        None
    }
    /// The options inside, if it is a section or a list of sections.
    fn section() -> Option<SectionDoc> {
        None
    }
}

/// A value as TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Unset,
    Value(String),
    Table(Vec<(&'static str, Shown)>),
    Tables(Vec<Vec<(&'static str, Shown)>>),
}

/// One option in the reference.
#[derive(Clone, Debug)]
pub struct OptionDoc {
    pub name: &'static str,
    pub kind: String,
    pub about: String,
    /// None: it must be given.
    pub default: Option<Shown>,
    pub example: Option<&'static str>,
    pub section: Option<SectionDoc>,
}

/// One section in the reference.
#[derive(Clone, Debug)]
pub struct SectionDoc {
    pub heading: &'static str,
    pub about: String,
    pub options: Vec<OptionDoc>,
}

/// Takes options out of one TOML table.
#[derive(Debug)]
pub struct TableReader<'a, 'p> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    heading: &'static str,
    problems: &'p mut Problems,
}

impl<'a, 'p> TableReader<'a, 'p> {
    pub fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        heading: &'static str,
        problems: &'p mut Problems,
    ) -> Self {
        Self { table, span, heading, problems }
    }

    /// The option's value, its default, or a problem.
    pub fn option<T: Setting>(&mut self, name: &str, default: Option<T>) -> Option<T> {
        let place = Place { heading: self.heading, key: name };
        if let Some((_, value)) = self.table.iter().find(|(key, _)| key.get_ref() == name) {
            return T::read(value, place, self.problems);
        }
        let default = default.or_else(T::absent);
        if default.is_none() {
            let owner = if self.heading.is_empty() { String::new() } else { format!(" in {}", self.heading) };
            self.problems
                .add(self.span.clone(), format!("{name:?} is missing{owner}; give it a {}", T::kind()));
        }
        default
    }

    /// Complains about every key that is neither known nor planned.
    pub fn refuse_unknown(&mut self, known: &[&str], later: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            let message = if known.contains(&name) {
                continue;
            } else if later.contains(&name) {
                format!("{}: not built yet; remove it for now", Place { heading: self.heading, key: name })
            } else {
                unknown(Place { heading: self.heading, key: name }, known)
            };
            self.problems.add(key.span(), message);
        }
    }
}

fn unknown(place: Place<'_>, known: &[&str]) -> String {
    let end = match nearest(place.key, known) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => format!("; known here: {}", known.join(", ")),
    };
    format!("unknown key {place}{end}")
}

/// The word that was most likely meant, if one comes near.
pub fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(&wrong.to_lowercase(), word), *word))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, word)| word)
}

/// The text of doc comments, joined.
pub fn about(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A value as a table, or the complaint that it is none.
pub fn as_table<'a>(
    value: &'a Spanned<DeValue<'a>>,
    place: Place<'_>,
    heading: &str,
    problems: &mut Problems,
) -> Option<&'a DeTable<'a>> {
    if let DeValue::Table(table) = value.get_ref() {
        return Some(table);
    }
    problems.add_at(
        value.span(),
        place,
        format_args!("expected a section, written as {heading} on a line of its own"),
    );
    None
}

/// Defines a section: `Name "[heading]" { /// doc  option: Type = default, example "…"; … later key, key; }`.
/// An option without a default must be given.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident $heading:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty $(= $default:expr)? $(, example $example:literal)?;
            )+
            $(later $($later:ident),+;)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $name {
            /// Reads the section from a table; problems tell what is wrong if there is no value.
            pub fn read_table(reader: &mut $crate::config::section::TableReader<'_, '_>) -> Option<Self> {
                reader.refuse_unknown(&[$(stringify!($field)),+], &[$($(stringify!($later)),+)?]);
                $( let $field = reader.option(stringify!($field), None::<$type>$(.or_else(|| Some($default)))?); )+
                Some(Self { $( $field: $field?, )+ })
            }

            fn options() -> Vec<$crate::config::section::OptionDoc> {
                vec![$(
                    $crate::config::section::OptionDoc {
                        name: stringify!($field),
                        kind: <$type as $crate::config::section::Setting>::kind(),
                        about: $crate::config::section::about(&[$($doc),+]),
                        default: None::<$type>$(.or_else(|| Some($default)))?
                            .map(|value| $crate::config::section::Setting::shown(&value)),
                        example: None$(.or(Some($example)))?,
                        section: <$type as $crate::config::section::Setting>::section(),
                    },
                )+]
            }
        }

        impl $crate::config::section::Setting for $name {
            fn kind() -> String {
                format!("section {}", $heading)
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                place: $crate::config::problem::Place<'_>,
                problems: &mut $crate::config::problem::Problems,
            ) -> Option<Self> {
                let table = $crate::config::section::as_table(value, place, $heading, problems)?;
                let mut reader =
                    $crate::config::section::TableReader::new(table, value.span(), $heading, problems);
                Self::read_table(&mut reader)
            }

            fn absent() -> Option<Self> {
                Some(Self {
                    $( $field: None::<$type>$(.or_else(|| Some($default)))?.or_else(<$type as $crate::config::section::Setting>::absent)?, )+
                })
            }

            fn shown(&self) -> $crate::config::section::Shown {
                $crate::config::section::Shown::Table(vec![
                    $( (stringify!($field), $crate::config::section::Setting::shown(&self.$field)), )+
                ])
            }

            fn section() -> Option<$crate::config::section::SectionDoc> {
                Some($crate::config::section::SectionDoc {
                    heading: $heading,
                    about: $crate::config::section::about(&[$($about),+]),
                    options: Self::options(),
                })
            }
        }
    };
}
pub(crate) use section;
