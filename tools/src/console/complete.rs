//! What the word that is being typed may become: commands, tables, indexes, attributes, clauses, functions.

use std::collections::BTreeSet;

use crate::console::answer::Answer;
use crate::console::help::TOPICS;
use crate::console::split::split_first;

/// The functions of DynamoDB's expressions.
const FUNCTIONS: [&str; 8] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "if_not_exists",
    "list_append",
    "size",
];

/// Attributes that are remembered at most: items may have any number.
const MAX_ATTRIBUTES: usize = 10_000;

/// The names that there are.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) tables: Vec<String>,
    pub(crate) indexes: BTreeSet<String>,
    /// Of keys, and of items that were shown.
    pub(crate) attributes: BTreeSet<String>,
}

impl Known {
    /// Remembers what an answer shows.
    pub(crate) fn learn(&mut self, answer: &Answer) {
        let items = match answer {
            Answer::Page { items, .. } => &items[..],
            Answer::Found { item, .. } | Answer::DoneWithItem { item, .. } => item.as_slice(),
            _ => &[],
        };
        for name in items.iter().flat_map(|item| item.keys()) {
            if self.attributes.len() < MAX_ATTRIBUTES && !self.attributes.contains(name) {
                self.attributes.insert(name.clone());
            }
        }
    }
}

/// Where the word at the end of a text begins, and what it may become.
pub(crate) fn complete(text: &str, known: &Known) -> (usize, Vec<String>) {
    // What stands before is done.
    let mut begin = 0;
    while let Some((statement, _)) = split_first(&text[begin..]) {
        begin += statement.len() + 1;
    }
    let statement = &text[begin..];
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let word_begin = statement.rfind(|c| !is_part(c)).map_or(0, |at| at + char_len(statement, at));
    let (before, word) = statement.split_at(word_begin);
    let words: Vec<String> = before
        .split(|c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    let is_lower = word.starts_with(|c: char| c.is_lowercase());
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    let mut candidates = Candidates { word, is_lower, is_partiql: is_partiql(&words), found: Vec::new() };
    match words[..] {
        [] => candidates.keywords(TOPICS.iter().map(|topic| first_word(topic.name))),
        ["HELP"] => candidates.keywords(TOPICS.iter().map(|topic| topic.name)),
        ["EXPLAIN"] => candidates.keywords(["GET", "QUERY", "SCAN", "SELECT"]),
        ["INSERT"] => candidates.keywords(["INTO"]),
        [.., "FROM" | "INTO"] if candidates.is_partiql => candidates.names(&known.tables),
        ["LIST"] => candidates.keywords(["TABLES", "KEYS"]),
        ["CREATE" | "ALTER" | "DROP"] => candidates.keywords(["TABLE"]),
        ["CREATE", "TABLE"] => {}
        ["USE" | "DESCRIBE"] | ["DESCRIBE" | "ALTER" | "DROP", "TABLE"] => {
            candidates.names(&known.tables);
            if words.len() == 1 && words[0] == "DESCRIBE" {
                candidates.keywords(["TABLE"]);
            }
        }
        [.., "INDEX"] if words[0] != "CREATE" => candidates.names(&known.indexes),
        [first, ..] => {
            let command = if first == "EXPLAIN" { words[1] } else { first };
            let is_first = words.len() == if first == "EXPLAIN" { 2 } else { 1 };
            if (is_first && command != "SELECT") || (words.len() == 2 && first == "LIST") {
                candidates.names(&known.tables);
            }
            let topic = TOPICS.iter().find(|topic| first_word(topic.name) == command);
            candidates.keywords(topic.map_or(&[][..], |topic| topic.clauses).iter().copied());
            candidates.names(&known.attributes);
            candidates.names(FUNCTIONS);
        }
    }
    (begin + word_begin, candidates.found)
}

/// Whether a statement that begins with these words is PartiQL.
fn is_partiql(words: &[&str]) -> bool {
    matches!(words, ["SELECT" | "INSERT" | "EXISTS", ..] | ["DELETE", "FROM", ..] | ["EXPLAIN", "SELECT", ..])
        || matches!(words, ["MORE", ..] if words.contains(&"SELECT"))
}

fn first_word(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

struct Candidates<'w> {
    word: &'w str,
    is_lower: bool,
    is_partiql: bool,
    found: Vec<String>,
}

impl Candidates<'_> {
    /// Keywords, in the case in which the word was begun.
    fn keywords<'k>(&mut self, keywords: impl IntoIterator<Item = &'k str>) {
        for keyword in keywords {
            let begins =
                keyword.get(..self.word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(self.word));
            let keyword = if self.is_lower { keyword.to_ascii_lowercase() } else { keyword.to_owned() };
            if begins && !self.found.contains(&keyword) {
                self.found.push(keyword);
            }
        }
    }

    /// Names, as they are; in backquotes where they are no word, and in PartiQL, which has other words, in double quotes.
    fn names(&mut self, names: impl IntoIterator<Item = impl AsRef<str>>) {
        let (others, quote) = if self.is_partiql { ("_", '"') } else { ("_-.", '`') };
        let is_part = |c: char| c.is_alphanumeric() || others.contains(c);
        for name in names {
            let name = name.as_ref();
            let is_word =
                name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(is_part);
            let quoted = || format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")));
            let written = if is_word { name.to_owned() } else { quoted() };
            if name.starts_with(self.word)
                && !name.chars().any(char::is_control)
                && !self.found.contains(&written)
            {
                self.found.push(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            tables: vec!["users".to_owned(), "user-events".to_owned()],
            indexes: ["by_age".to_owned()].into(),
            attributes: ["age", "agent", "odd name"].map(str::to_owned).into(),
        }
    }

    #[track_caller]
    fn check(text: &str, begin: usize, expected: &[&str]) {
        let (found_begin, found) = complete(text, &known());
        assert_eq!(
            (found_begin, found.iter().map(String::as_str).collect::<Vec<_>>()),
            (begin, expected.to_vec()),
            "{text}"
        );
    }

    #[test]
    fn a_word_becomes_what_may_stand_there() {
        check("Q", 0, &["QUERY"]);
        check("de", 0, &["describe", "delete"]);
        check("LIST ", 5, &["TABLES", "KEYS"]);
        check("create t", 7, &["table"]);
        check("DESCRIBE ", 9, &["users", "user-events", "TABLE"]);
        check("DROP TABLE user-", 11, &["user-events"]);
        check("GET us", 4, &["users", "user-events"]);
        check("QUERY users WHERE ag", 18, &["age", "agent"]);
        check("QUERY users \"x\" ASC LI", 20, &["LIMIT"]);
        check("QUERY users INDEX b", 18, &["by_age"]);
        check("EXPLAIN SCAN use", 13, &["users", "user-events"]);
        check("SCAN users FILTER attribute_n", 18, &["attribute_not_exists"]);
        check("SCAN users PROJECT odd", 19, &["`odd name`"]);
        check("HELP CREATE", 5, &["CREATE TABLE"]);
        check("CREATE TABLE u", 13, &[]);
        check("SELECT ag", 7, &["age", "agent"]);
        check("SELECT * FROM us", 14, &["users", "\"user-events\""]);
        check(
            "EXPLAIN SELECT * FROM users WHERE a",
            34,
            &["and", "asc", "age", "agent", "attribute_exists", "attribute_not_exists", "attribute_type"],
        );
        check("INSERT ", 7, &["INTO"]);
        check("INSERT INTO users", 12, &["users"]);
        check("DELETE FROM us", 12, &["users", "\"user-events\""]);
        check("QUERY users \"x\" FROM us", 21, &[]);
        check("GET \"é", 5, &[]);
    }

    #[test]
    fn what_stands_before_a_statement_does_not_matter() {
        check("PUT users {};HEL", 13, &["HELP"]);
        check("SCAN users\nSC", 11, &["SCAN"]);
    }

    #[test]
    fn every_command_is_offered() {
        let (_, found) = complete("", &known());
        assert!(
            ["QUERY", "CREATE", "HELP", "EXIT"]
                .iter()
                .all(|command| found.iter().any(|found| found == command)),
            "{found:?}"
        );
    }
}
