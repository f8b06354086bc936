//! The file of the reference server `server-memory`: a graph, each line an entity with observations, or a relation.
//!
//! An entity becomes a memory whose text are its observations, `- ` before each, and then what it is; a relation becomes one whose text
//! says so in JSON. Nothing is lost on the way in and out again: names that are no keys are written so that they are, and texts that are too
//! long go on in another memory, with a number behind `+`. What was remembered otherwise goes out as an entity with one observation.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{MemoryError, Result};
use crate::request::{Entry, Remember};
use crate::text::hash;
use crate::transfer::slug;

/// By which what came from there is known.
const TAG: &str = "server-memory";

/// The category of relations, and that of entities whose type is no name for one.
const CATEGORIES: (&str, &str) = ("relations", "entities");

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    /// A thing.
    #[serde(rename_all = "camelCase")]
    Entity {
        /// Its name.
        name: String,
        /// What kind of thing it is.
        entity_type: String,
        /// What is known of it.
        observations: Vec<String>,
    },
    /// How two things are related.
    #[serde(rename_all = "camelCase")]
    Relation {
        /// One.
        from: String,
        /// The other.
        to: String,
        /// How.
        relation_type: String,
    },
}

/// What an entity is, on the last line of its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    entity_type: String,
    name: String,
}

/// The memories of a file's lines.
///
/// # Errors
///
/// [`MemoryError::Invalid`] for a line that is none.
pub fn read(text: &str, scope: &str) -> Result<Vec<Remember>> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            MemoryError::Invalid(format!("line {number} is neither entity nor relation: {error}"))
        })?;
        let remember = |category: &str, key: String, content: String| Remember {
            scope: scope.to_owned(),
            category: category.to_owned(),
            key,
            content,
            tags: Some(vec![TAG.to_owned()]),
            ..Remember::default()
        };
        match &line {
            Line::Relation { from, to, relation_type } => {
                let key = key_of(&[from, relation_type, to]);
                all.push(remember(CATEGORIES.0, key, serde_json::to_string(&line).unwrap_or_default()));
            }
            Line::Entity { name, entity_type, observations } => {
                let slug = slug(entity_type, 64);
                let category = if slug.is_empty() || slug == CATEGORIES.0 { CATEGORIES.1 } else { &slug };
                let kind = Kind { entity_type: entity_type.clone(), name: name.clone() };
                let key = key_of(&[name]);
                for (part, content) in (1..).zip(contents(observations, &kind)) {
                    let key = if part == 1 { key.clone() } else { format!("{key}/+{part:03}") };
                    all.push(remember(category, key, content));
                }
            }
        }
    }
    Ok(all)
}

/// The texts of an entity: one, unless that would be too long.
fn contents(observations: &[String], kind: &Kind) -> Vec<String> {
    let last = serde_json::to_string(kind).unwrap_or_default();
    let most = crate::store::MAX_CONTENT - last.len() - 1;
    let mut contents = vec![String::new()];
    for observation in observations {
        // What begins and ends with a space would lose it, and a line of its own is an observation: such are written in JSON.
        let plain =
            observation.trim() == observation && !observation.is_empty() && !observation.starts_with('"');
        let text = match plain && !observation.contains(char::is_control) {
            true => format!("- {observation}\n"),
            false => format!("- {}\n", serde_json::to_string(observation).unwrap_or_default()),
        };
        let content = contents.last_mut().expect("there is always one");
        if !content.is_empty() && content.len() + text.len() > most {
            contents.push(text);
        } else {
            content.push_str(&text);
        }
    }
    contents.iter_mut().for_each(|content| content.push_str(&last));
    contents
}

/// The lines of memories.
pub fn write(entries: &[Entry]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for entry in entries {
        let line = entry.tags.iter().any(|tag| tag == TAG).then(|| parse(&entry.content)).flatten();
        let line = line.unwrap_or_else(|| Line::Entity {
            name: entry.key.clone(),
            entity_type: entry.category.clone(),
            observations: vec![entry.content.clone()],
        });
        let Line::Entity { name, entity_type, observations } = line else {
            lines.push(line);
            continue;
        };
        // What was too long for one memory goes on in others, which come behind it.
        let place = (name.clone(), entity_type.clone());
        if let (true, Some(first)) = (is_continued(&entry.key), known.get(&place)) {
            if let Line::Entity { observations: all, .. } = &mut lines[*first] {
                all.extend(observations);
            }
        } else {
            known.insert(place, lines.len());
            lines.push(Line::Entity { name, entity_type, observations });
        }
    }
    lines.iter().map(|line| serde_json::to_string(line).unwrap_or_default() + "\n").collect()
}

fn is_continued(key: &str) -> bool {
    key.rsplit('/')
        .next()
        .and_then(|last| last.strip_prefix('+'))
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

fn parse(content: &str) -> Option<Line> {
    let (body, last) = content.rsplit_once('\n').unwrap_or(("", content));
    if let Ok(line @ Line::Relation { .. }) = serde_json::from_str(content) {
        return Some(line);
    }
    let Kind { entity_type, name } = serde_json::from_str(last).ok()?;
    let mut observations = Vec::new();
    for line in body.lines() {
        let text = line.strip_prefix("- ")?;
        observations.push(match text.starts_with('"') {
            true => serde_json::from_str(text).ok()?,
            false => text.to_owned(),
        });
    }
    Some(Line::Entity { name, entity_type, observations })
}

/// A key for names: one segment each, the same for the same names, and different for different ones.
fn key_of(names: &[&str]) -> String {
    let segments: Vec<String> = names.iter().map(|name| segment(name)).collect();
    let key = segments.join("/");
    if key.len() <= 400 {
        return key;
    }
    let beginning = key[..key.floor_char_boundary(300)].trim_end_matches(['/', ' ']);
    format!("{beginning}~{}", hash::short(key.as_bytes()))
}

/// A name with what may not be in a segment written as `%` and its number.
fn segment(name: &str) -> String {
    let mut segment = String::new();
    let last = name.chars().count().saturating_sub(1);
    for (at, c) in name.chars().enumerate() {
        let at_end = at == 0 || at == last;
        let is_odd = crate::key::is_deceptive(c)
            || matches!(c, '/' | '#' | '%')
            || (c.is_whitespace() && (c != ' ' || at_end))
            || (at == 0 && matches!(c, '.' | '+'));
        match is_odd {
            true => segment += &format!("%{:02x}", u32::from(c)),
            false => segment.push(c),
        }
    }
    if segment.is_empty() { "%".to_owned() } else { segment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_comes_out_as_it_went_in() {
        let text = [
            r#"{"type":"entity","name":"Ada Lovelace","entityType":"person","observations":["wrote notes","  spaced ","two\nlines","","\"quoted\"","- dashed"]}"#,
            r#"{"type":"entity","name":"a/b#c%../..","entityType":"Odd Type! ","observations":[]}"#,
            r#"{"type":"relation","from":"Ada Lovelace","to":"a/b#c%../..","relationType":"works on"}"#,
        ]
        .join("\n");
        let all = read(&text, "global").unwrap();
        let entries: Vec<Entry> = all
            .iter()
            .map(|one| {
                assert_eq!(crate::key::normal_key(&one.key).as_ref(), Ok(&one.key));
                crate::key::check_category(&one.category).unwrap();
                assert_eq!(one.content.trim(), one.content);
                entry(one)
            })
            .collect();
        let lines = |text: &str| {
            let mut lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&write(&entries)), lines(&text));
    }

    #[test]
    fn what_is_too_long_for_one_memory_is_put_together_again() {
        let observations: Vec<String> =
            (0..40).map(|number| format!("{number} {}", "x".repeat(1000))).collect();
        let line = Line::Entity { name: "long".into(), entity_type: "thing".into(), observations };
        let all = read(&serde_json::to_string(&line).unwrap(), "global").unwrap();
        assert!(all.len() > 1 && all.iter().all(|one| one.content.len() <= crate::store::MAX_CONTENT));
        let written = write(&all.iter().map(entry).collect::<Vec<_>>());
        assert_eq!(serde_json::from_str::<Line>(&written).unwrap(), line);
    }

    fn entry(one: &Remember) -> Entry {
        Entry {
            scope: one.scope.clone(),
            category: one.category.clone(),
            key: one.key.clone(),
            version: 1,
            content: one.content.clone(),
            tags: one.tags.clone().unwrap(),
            importance: 0,
            created: String::new(),
            updated: String::new(),
            accessed: None,
            accesses: 0,
            expires: None,
            source: Default::default(),
            session: None,
        }
    }
}
