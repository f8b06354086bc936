//! The shapes of requests, and the two passes over a body that hold it against them.
//!
//! DynamoDB finds mistakes in this order, and so do we: a value of the wrong JSON type anywhere (a `SerializationException`, by
//! [`check_types`]), then everything that breaks a constraint, all of it in one message (by [`check_rules`]). What needs more
//! than one field to be seen comes after that, in the operations.

mod rules;
mod shapes;
mod types;

pub(crate) use rules::check_rules;
pub(crate) use shapes::*;
pub(crate) use types::{check_types, decode_blob};

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Boolean,
    Integer,
    Long,
    String,
    Blob,
    /// A value of an item.
    AttributeValue,
    /// The attributes of an item that is to be written.
    Item,
    List(&'static Member),
    Map(&'static Member),
    Structure(&'static Structure),
}

/// What a list or a map is made of.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) shape: Shape,
    pub(crate) rules: &'static [Rule],
}

/// Named fields. Others that a request has are ignored.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) rules: &'static [Rule],
}

/// A constraint. All but the first are about values that there are.
#[derive(Debug)]
pub(crate) enum Rule {
    NotNull,
    /// The same, if there is none of these fields beside it.
    NotNullUnless(&'static [&'static str]),
    AtLeast(i64),
    AtMost(i64),
    /// Letters, digits, and what [`Pattern`] allows beside them.
    Pattern(Pattern),
    MinLength(usize),
    MaxLength(usize),
    OneOf(&'static [&'static str]),
    /// Of the keys of a map.
    Keys(&'static [Rule]),
    /// Of the values of a map.
    Values(&'static [Rule]),
    /// For all texts but the ARN of a table.
    UnlessArn(&'static Rule),
    /// Refused before all others, and alone: the name of a table, where it may be an ARN too.
    TableName,
}

/// What a text must be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Of a table, an index or a backup.
    Name,
}

impl Pattern {
    fn as_str(self) -> &'static str {
        match self {
            Pattern::Name => "[a-zA-Z0-9_.-]+",
        }
    }

    pub(crate) fn matches(self, text: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        !text.is_empty() && text.bytes().all(allowed)
    }
}

impl Shape {
    /// What the service calls it, where it names a class.
    fn class(self) -> String {
        match self {
            Shape::Boolean => "java.lang.Boolean".to_owned(),
            Shape::Integer => "java.lang.Integer".to_owned(),
            Shape::Long => "java.lang.Long".to_owned(),
            Shape::String => "java.lang.String".to_owned(),
            Shape::Blob => "java.nio.ByteBuffer".to_owned(),
            Shape::AttributeValue => named("AttributeValue"),
            Shape::Item => ATTRIBUTES.class(),
            Shape::List(member) => format!("java.util.List<{}>", member.shape.class()),
            Shape::Map(member) => format!("java.util.Map<java.lang.String, {}>", member.shape.class()),
            Shape::Structure(structure) => named(structure.name),
        }
    }
}

fn named(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810.{name}")
}
