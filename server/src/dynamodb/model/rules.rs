//! The constraints of a body: all that are broken, in one message.

use std::fmt;

use super::{Field, Member, Rule, Shape};
use crate::dynamodb::arn;
use crate::dynamodb::errors::Failure;
use crate::dynamodb::json::Json;

/// The message tells of no more.
const MAX_TOLD: usize = 10;

/// Refuses a body that breaks constraints.
pub(crate) fn check_rules(body: &Json<'_>, fields: &'static [Field]) -> Result<(), Failure> {
    for field in fields.iter().filter(|field| field.rules.iter().any(|rule| matches!(rule, Rule::TableName)))
    {
        check_table_name(field.name, body.str(field.name))?;
    }
    let mut broken = Broken::default();
    broken.fields(Path::Body, Some(body), fields);
    let told = broken.0;
    match told.len() {
        0 => Ok(()),
        count => {
            let plural = if count == 1 { "" } else { "s" };
            Err(Failure::validation(format!(
                "{count} validation error{plural} detected: {}",
                told.join("; ")
            )))
        }
    }
}

fn check_table_name(field: &str, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else {
        let text = format!("The parameter '{field}' is required but was not present in the request");
        return Err(Failure::validation(text));
    };
    // An ARN may stand for a name, and is longer.
    if name.starts_with("arn:") || (3..=255).contains(&utf16_len(name)) {
        return Ok(());
    }
    let text = format!("{field} must be at least 3 characters long and at most 255 characters long");
    Err(Failure::validation(text))
}

/// Where a value stands. It is put into words only when something about it is told, which is hardly ever.
#[derive(Clone, Copy)]
enum Path<'p> {
    Body,
    Field(&'p Path<'p>, &'static str),
    Element(&'p Path<'p>, usize),
    Entry(&'p Path<'p>, &'p str),
    /// What an element or an entry holds.
    Member(&'p Path<'p>),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = match self {
            Path::Body => return Ok(()),
            Path::Field(parent, _)
            | Path::Element(parent, _)
            | Path::Entry(parent, _)
            | Path::Member(parent) => parent,
        };
        if !matches!(parent, Path::Body) {
            write!(f, "{parent}.")?;
        }
        match self {
            Path::Body => Ok(()),
            // Messages begin names with a small letter.
            Path::Field(_, name) => {
                let (first, rest) = name.split_at(1);
                write!(f, "{}{rest}", first.to_ascii_lowercase())
            }
            Path::Element(_, nth) => write!(f, "{}", nth + 1),
            Path::Entry(_, key) => f.write_str(key),
            Path::Member(_) => f.write_str("member"),
        }
    }
}

/// What is broken.
#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn fields(&mut self, parent: Path<'_>, whole: Option<&Json<'_>>, fields: &'static [Field]) {
        let has = |name: &&str| whole.is_some_and(|whole| whole.has(name));
        for field in fields {
            let value = whole.and_then(|whole| whole.field(field.name));
            let is_excused =
                |rule: &Rule| matches!(rule, Rule::NotNullUnless(others) if others.iter().any(has));
            if value.is_none() && field.rules.iter().any(is_excused) {
                continue;
            }
            self.value(Path::Field(&parent, field.name), value, field.shape, field.rules);
        }
    }

    fn value(&mut self, path: Path<'_>, value: Option<&Json<'_>>, shape: Shape, rules: &'static [Rule]) {
        for rule in rules {
            self.rule(path, value, rule);
        }
        let Some(value) = value else { return };
        match shape {
            Shape::Structure(structure) => self.fields(path, Some(value), structure.fields),
            Shape::List(member) if has_rules(member) => {
                for (nth, element) in value.as_array().unwrap_or_default().iter().enumerate() {
                    self.member(Path::Element(&path, nth), element, member);
                }
            }
            Shape::Map(member) if has_rules(member) => {
                for (key, element) in value.as_object().unwrap_or_default() {
                    self.member(Path::Entry(&path, key), element, member);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, place: Path<'_>, value: &Json<'_>, member: &'static Member) {
        let value = Some(value).filter(|value| **value != Json::Null);
        self.value(Path::Member(&place), value, member.shape, member.rules);
    }

    fn rule(&mut self, path: Path<'_>, value: Option<&Json<'_>>, rule: &Rule) {
        if self.0.len() == MAX_TOLD || holds(rule, value) {
            return;
        }
        let shown = value.map_or("null".to_owned(), |value| format!("'{}'", show(value)));
        let constraint = match rule {
            Rule::Keys(rules) => format!("Map keys must satisfy constraint: [{}]", describe_all(rules)),
            Rule::Values(rules) => format!("Map value must satisfy constraint: [{}]", describe_all(rules)),
            rule => describe(rule),
        };
        self.0.push(format!("Value {shown} at '{path}' failed to satisfy constraint: {constraint}"));
    }
}

/// Whether there is anything to check in a member.
fn has_rules(member: &Member) -> bool {
    !member.rules.is_empty()
        || match member.shape {
            Shape::Structure(_) => true,
            Shape::List(inner) | Shape::Map(inner) => has_rules(inner),
            _ => false,
        }
}

fn holds(rule: &Rule, value: Option<&Json<'_>>) -> bool {
    let Some(value) = value else {
        return !matches!(rule, Rule::NotNull | Rule::NotNullUnless(_));
    };
    match rule {
        Rule::NotNull | Rule::NotNullUnless(_) | Rule::TableName => true,
        Rule::AtLeast(least) => value.as_integer().is_none_or(|value| value >= *least),
        Rule::AtMost(most) => value.as_integer().is_none_or(|value| value <= *most),
        Rule::Pattern(pattern) => value.as_str().is_none_or(|text| pattern.matches(text)),
        Rule::UnlessArn(rule) => value.as_str().is_some_and(arn::is_of_table) || holds(rule, Some(value)),
        Rule::MinLength(least) => len(value) >= *least,
        Rule::MaxLength(most) => len(value) <= *most,
        Rule::OneOf(values) => value.as_str().is_none_or(|text| values.contains(&text)),
        Rule::Keys(rules) => value.as_object().unwrap_or_default().iter().all(|(key, _)| {
            let key = Json::String(key.as_ref().into());
            rules.iter().all(|rule| holds(rule, Some(&key)))
        }),
        Rule::Values(rules) => value
            .as_object()
            .unwrap_or_default()
            .iter()
            .all(|(_, value)| rules.iter().all(|rule| holds(rule, Some(value)))),
    }
}

fn len(value: &Json<'_>) -> usize {
    match value {
        Json::String(text) => utf16_len(text),
        Json::Array(elements) => elements.len(),
        Json::Object(entries) => entries.len(),
        _ => usize::MAX,
    }
}

/// Characters as Java counts them.
fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

fn describe_all(rules: &[Rule]) -> String {
    rules.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn describe(rule: &Rule) -> String {
    match rule {
        Rule::NotNull | Rule::NotNullUnless(_) => "Member must not be null".to_owned(),
        Rule::UnlessArn(rule) => describe(rule),
        Rule::AtLeast(least) => format!("Member must have value greater than or equal to {least}"),
        Rule::AtMost(most) => format!("Member must have value less than or equal to {most}"),
        Rule::Pattern(pattern) => {
            format!("Member must satisfy regular expression pattern: {}", pattern.as_str())
        }
        Rule::MinLength(least) => format!("Member must have length greater than or equal to {least}"),
        Rule::MaxLength(most) => format!("Member must have length less than or equal to {most}"),
        Rule::OneOf(values) => format!("Member must satisfy enum value set: [{}]", values.join(", ")),
        Rule::Keys(_) | Rule::Values(_) | Rule::TableName => String::new(),
    }
}

/// A value as messages show it.
fn show(value: &Json<'_>) -> String {
    match value {
        Json::String(text) => text.clone().into_owned(),
        Json::Array(elements) => format!("[{}]", elements.iter().map(show).collect::<Vec<_>>().join(", ")),
        Json::Integer(_) | Json::Decimal(_) => {
            value.as_integer().map(|value| value.to_string()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}
