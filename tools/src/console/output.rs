//! Where answers go: for people to the screen, for programs as one JSON object a line.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::console::answer::Answer;
use crate::console::display;
use crate::console::error::ConsoleError;

/// Prints answers, and why there is none.
pub(crate) struct Output<O, E> {
    out: O,
    err: E,
    json: bool,
    /// Columns of the screen, if there is one.
    width: Option<usize>,
}

impl<O: Write, E: Write> Output<O, E> {
    pub(crate) fn new(out: O, err: E, json: bool, width: Option<usize>) -> Output<O, E> {
        Output { out, err, json, width }
    }

    pub(crate) fn answer(&mut self, answer: Answer) -> io::Result<()> {
        if self.json {
            writeln!(self.out, "{}", answer.into_json())?;
        } else {
            self.out.write_all(display::draw(&answer, self.width).as_bytes())?;
        }
        // Whoever waits for it has it now.
        self.out.flush()
    }

    /// Prints a statement, its first line and the others told apart.
    pub(crate) fn echo(&mut self, statement: &str) -> io::Result<()> {
        writeln!(self.out, "> {}", statement.trim().replace('\n', "\n. "))?;
        self.out.flush()
    }

    /// Says something that is no answer.
    pub(crate) fn notice(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")?;
        self.err.flush()
    }

    /// Says why a statement was not done, and at which byte of it that shows. Programs read it where they read answers.
    pub(crate) fn failure(
        &mut self,
        statement: &str,
        error: &ConsoleError,
        position: Option<usize>,
    ) -> io::Result<()> {
        if self.json {
            let mut fields = Map::new();
            fields.insert("error".to_owned(), error.to_string().into());
            fields.insert("kind".to_owned(), error.kind().name().into());
            if let Some(position) = position {
                fields.insert("position".to_owned(), position.into());
            }
            writeln!(self.out, "{}", Value::Object(fields))?;
            return self.out.flush();
        }
        write!(
            self.err,
            "error: {}\n{}",
            display::escaped(&error.to_string()),
            pointed(statement, position)
        )?;
        self.err.flush()
    }
}

/// The line of a statement in which something is wrong, with a mark below the place.
fn pointed(statement: &str, position: Option<usize>) -> String {
    use unicode_width::UnicodeWidthStr;

    let Some(position) = position.filter(|&at| statement.is_char_boundary(at)) else { return String::new() };
    let begin = statement[..position].rfind('\n').map_or(0, |end| end + 1);
    let end = statement[position..].find('\n').map_or(statement.len(), |len| position + len);
    let before = display::escaped(&statement[begin..position]);
    let behind = display::escaped(&statement[position..end]);
    format!("  {before}{behind}\n  {}^\n", " ".repeat(before.width()))
}
