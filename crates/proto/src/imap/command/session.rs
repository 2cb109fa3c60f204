//! What concerns the session as a whole: ID, AUTHENTICATE, LOGIN, ENABLE, COMPRESS.

use std::fmt;

use super::{
    super::{
        ID_FIELDS_MAX, ID_VALUE_BYTES_MAX,
        cursor::{Cursor, utf8},
        error::{CommandError, Parsed, expected},
    },
    Command,
};
use crate::sasl::Credentials;

/// Field names and values of ID; none for NIL. Nobody has vouched for them.
pub type Identification = Vec<(String, Option<String>)>;

pub(super) fn identification(cursor: &mut Cursor<'_>) -> Parsed<Identification> {
    if cursor.word("NIL") {
        return Ok(Vec::new());
    }
    let fields = cursor.list_or_none("fields", |cursor| {
        let name = utf8(&cursor.string("the name of a field")?)?;
        cursor.space()?;
        let value = cursor.nstring("the value of a field")?.map(|value| utf8(&value)).transpose()?;
        if value.as_ref().is_some_and(|value| value.len() > ID_VALUE_BYTES_MAX) {
            return expected("a shorter value");
        }
        Ok((name, value))
    })?;
    // RFC 2971 §3.3
    if fields.len() > ID_FIELDS_MAX {
        return Err(CommandError::TooMany { what: "fields", limit: ID_FIELDS_MAX }.into());
    }
    Ok(fields)
}

/// The argument of AUTHENTICATE as it came, not decoded (RFC 4959). It may hold a password, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialResponse(pub(in super::super) String);

impl fmt::Debug for InitialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialResponse")
    }
}

pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mechanism = cursor.atom("the name of a mechanism")?.to_owned();
    let initial_response =
        cursor.eat(b' ').then(|| cursor.atom("base64")).transpose()?.map(str::to_owned).map(InitialResponse);
    Ok(Command::Authenticate { mechanism, initial_response })
}

pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let user = cursor.text("a user name")?;
    cursor.space()?;
    let password = cursor.text("a password")?;
    Ok(Command::Login(Credentials::new(&user, &password)))
}

pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mut names = Vec::new();
    loop {
        names.push(cursor.atom("a capability")?.to_ascii_uppercase());
        if !cursor.eat(b' ') {
            return Ok(Command::Enable(names));
        }
    }
}

pub(super) fn compress(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.word("DEFLATE") {
        Ok(Command::Compress)
    } else {
        expected("DEFLATE, which alone is known here")
    }
}
