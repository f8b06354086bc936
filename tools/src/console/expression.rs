//! Expressions, as they are written at the console, made into DynamoDB's.
//!
//! They are DynamoDB's language, and two things beside it: a value may stand where DynamoDB wants a placeholder for one, as JSON or as a
//! text in single quotes; and a name may be any name, in backquotes if it is no word. So `name = "Bob" AND age > 30` is what
//! `#name = :_1 AND #age > :_2` is to DynamoDB. Placeholders that a `WITH` explains are left as they are.
//!
//! # Where an expression ends
//!
//! At the word that cannot belong to it. In all of DynamoDB's expressions an operator, a comma or a word like `AND` stands between two
//! operands; a word that follows upon an operand and is none of the language's own begins the next clause of the statement.

use crate::console::statement::{Expression, Placeholders, Projection};
use crate::console::text::{Result, SyntaxError, Text, word_at};

/// The words of the language itself.
const WORDS: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"];

/// Reads an expression, and adds the placeholders that it is given.
pub(crate) fn read(text: &mut Text<'_>, what: &str, placeholders: &mut Placeholders) -> Result<Expression> {
    read_with_paths(text, what, placeholders).map(|(expression, _)| expression)
}

/// Reads a list of paths.
pub(crate) fn read_projection(text: &mut Text<'_>, placeholders: &mut Placeholders) -> Result<Projection> {
    let (expression, attributes) = read_with_paths(text, "the attributes to be shown", placeholders)?;
    Ok(Projection { expression, attributes })
}

/// Reads an expression, and what its paths begin with.
fn read_with_paths(
    text: &mut Text<'_>,
    what: &str,
    placeholders: &mut Placeholders,
) -> Result<(Expression, Vec<String>)> {
    let expression = Expression { text: String::new(), origins: Vec::new() };
    let mut reader = Reader { expression, placeholders, after_operand: false, paths: Vec::new() };
    while reader.token(text)? {}
    let Reader { expression, paths, .. } = reader;
    if expression.text.is_empty() {
        return Err(text.expected(what));
    }
    Ok((expression, paths))
}

struct Reader<'p> {
    expression: Expression,
    placeholders: &'p mut Placeholders,
    /// Whether an operand is complete.
    after_operand: bool,
    /// What the paths begin with.
    paths: Vec<String>,
}

impl Reader<'_> {
    /// Reads one token. Returns whether the expression goes on.
    fn token(&mut self, text: &mut Text<'_>) -> Result<bool> {
        let rest = text.rest();
        let Some(first) = rest.chars().next() else { return Ok(false) };
        let begin = text.at;
        if let Some(word) = word_at(rest) {
            let is_call = rest[word.len()..].trim_start().starts_with('(');
            if self.is_inside_path() {
                text.at += word.len();
                self.name(word.to_owned(), begin);
            } else if WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                text.at += word.len();
                self.push(word, begin, false);
            } else if self.after_operand {
                return Ok(false);
            } else if is_literal(word) {
                let value = text.value("a value")?;
                self.value(value, begin);
            } else if is_call {
                text.at += word.len();
                self.push(word, begin, false);
            } else {
                text.at += word.len();
                self.name(word.to_owned(), begin);
            }
            return Ok(true);
        }
        match first {
            '`' => {
                if self.after_operand && !self.is_inside_path() {
                    return Ok(false);
                }
                let name = text.name("a name")?;
                self.name(name, begin);
            }
            '[' if self.after_operand => self.index(text)?,
            '"' | '\'' | '{' | '[' | '0'..='9' => {
                let value = text.value("a value")?;
                self.value(value, begin);
            }
            // A sign after an operand is an operator, one anywhere else belongs to its number.
            '-' if !self.after_operand => {
                let value = text.value("a value")?;
                self.value(value, begin);
            }
            '#' | ':' => {
                let len = 1 + rest[1..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len() - 1);
                text.at += len;
                if first == '#' && !self.is_inside_path() {
                    self.paths.push(rest[..len].to_owned());
                }
                self.push(&rest[..len], begin, true);
            }
            ')' => {
                text.at += 1;
                self.push(")", begin, true);
            }
            '<' | '>' | '=' | '(' | ',' | '+' | '-' | '.' => {
                let is_long = ["<=", ">=", "<>"].iter().any(|comparator| rest.starts_with(comparator));
                let len = if is_long { 2 } else { 1 };
                text.at += len;
                self.push(&rest[..len], begin, false);
            }
            _ => {
                let message = format!("{first:?} does not belong into an expression");
                return Err(SyntaxError { position: begin, message });
            }
        }
        Ok(true)
    }

    /// Whether a path ends with a dot here, so that it goes on.
    fn is_inside_path(&self) -> bool {
        self.expression.text.ends_with('.')
    }

    /// An element of a list: `[3]`.
    fn index(&mut self, text: &mut Text<'_>) -> Result<()> {
        let begin = text.at;
        text.expect_sign('[')?;
        let number = text.number("the place in a list, counted from 0")?;
        text.expect_sign(']')?;
        self.glue(&format!("[{number}]"), begin);
        Ok(())
    }

    /// A name, for which a placeholder stands.
    fn name(&mut self, name: String, begin: usize) {
        if !self.is_inside_path() {
            self.paths.push(name.clone());
        }
        let names = &mut self.placeholders.names;
        let is_word =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let mut key = if is_word { format!("#{name}") } else { format!("#n{}", names.len() + 1) };
        while names.get(&key).is_some_and(|other| *other != name) {
            key.push('_');
        }
        names.insert(key.clone(), name);
        self.push(&key, begin, true);
    }

    /// A value, for which a placeholder stands.
    fn value(&mut self, value: dynamite_core::AttributeValue, begin: usize) {
        let values = &mut self.placeholders.values;
        let mut key = format!(":_{}", values.len() + 1);
        while values.contains_key(&key) {
            key.push('_');
        }
        values.insert(key.clone(), value);
        self.push(&key, begin, true);
    }

    fn push(&mut self, token: &str, begin: usize, is_operand: bool) {
        let text = &mut self.expression.text;
        let is_in_path = token == "." || text.ends_with('.');
        if !text.is_empty() && !is_in_path {
            text.push(' ');
        }
        self.glue(token, begin);
        self.after_operand = is_operand;
    }

    fn glue(&mut self, token: &str, begin: usize) {
        self.expression.origins.push((self.expression.text.len(), begin));
        self.expression.text.push_str(token);
    }
}

fn is_literal(word: &str) -> bool {
    ["true", "false", "null"].iter().any(|literal| literal.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use dynamite_core::AttributeValue;
    use serde_json::{Value, json};

    use super::*;

    /// An expression, what follows it, and what its placeholders stand for.
    #[track_caller]
    fn check(text: &str, expected: &str, rest: &str, stand_for: Value) {
        let mut placeholders = Placeholders::default();
        let mut reader = Text::new(text);
        let expression = read(&mut reader, "a condition", &mut placeholders).expect(text);
        assert_eq!(expression.text, expected);
        assert_eq!(reader.rest(), rest);
        let mut found: serde_json::Map<String, Value> =
            placeholders.names.into_iter().map(|(key, name)| (key, name.into())).collect();
        found.extend(
            placeholders.values.into_iter().map(|(key, value): (_, AttributeValue)| (key, value.into())),
        );
        assert_eq!(Value::Object(found), stand_for);
    }

    #[test]
    fn names_and_values_become_placeholders() {
        check(
            "name = \"Bob\" AND age>=30 FILTER x",
            "#name = :_1 AND #age >= :_2",
            "FILTER x",
            json!({"#name": "name", "#age": "age", ":_1": "Bob", ":_2": 30}),
        );
        check(
            "begins_with ( id, 'o''k' )",
            "begins_with ( #id , :_1 )",
            "",
            json!({"#id": "id", ":_1": "o'k"}),
        );
        check(
            "a.`odd name`[2].b<>null limit 3",
            "#a.#n2[2].#b <> :_1",
            "limit 3",
            json!({"#a": "a", "#n2": "odd name", "#b": "b", ":_1": null}),
        );
        check(
            "SET n = n - 1, l = list_append(l, [1, {\"a\": -2}]) REMOVE z VERSION 3",
            "SET #n = #n - :_1 , #l = list_append ( #l , :_2 ) REMOVE #z",
            "VERSION 3",
            json!({"#n": "n", "#l": "l", "#z": "z", ":_1": 1, ":_2": [1, {"a": -2}]}),
        );
        check(
            "x = -5 OR NOT y IN (1, 2)",
            "#x = :_1 OR NOT #y IN ( :_2 , :_3 )",
            "",
            json!({
                "#x": "x", "#y": "y", ":_1": -5, ":_2": 1, ":_3": 2
            }),
        );
    }

    #[test]
    fn placeholders_of_the_users_stay() {
        check("#a = :b AND c = 1 WITH {}", "#a = :b AND #c = :_1", "WITH {}", json!({"#c": "c", ":_1": 1}));
    }

    #[test]
    fn attributes_may_be_called_like_clauses_where_an_operand_stands() {
        check(
            "limit > 3 AND filter = 1 LIMIT 5",
            "#limit > :_1 AND #filter = :_2",
            "LIMIT 5",
            json!({"#limit": "limit", "#filter": "filter", ":_1": 3, ":_2": 1}),
        );
    }

    #[test]
    fn a_place_leads_back_to_what_was_written() {
        let text = "GET x IF alpha = 'b' AND beta > 1";
        let mut reader = Text { text, at: 8 };
        let expression = read(&mut reader, "a condition", &mut Placeholders::default()).expect("it is one");
        for (token, written) in
            [("#alpha", "alpha"), (":_1", "'b'"), ("AND", "AND"), ("#beta", "beta"), (":_2", "1")]
        {
            let position = expression.text.find(token).expect("it is there");
            assert!(text[expression.origin(position)..].starts_with(written), "{token}");
        }
    }

    #[test]
    fn what_does_not_belong_is_refused_where_it_stands() {
        for (text, position) in
            [("a = ?", 4), ("a = \"b", 4), ("a[b]", 2), ("a = {x}", 5), ("", 0), ("a == 'x", 5)]
        {
            let read = read(&mut Text::new(text), "a condition", &mut Placeholders::default());
            assert_eq!(read.expect_err(text).position, position, "{text}");
        }
    }
}
