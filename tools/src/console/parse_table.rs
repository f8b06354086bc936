//! The statements that make and change tables.

use dynamite_core::api::{GlobalIndex, LocalIndex, Projection, StreamView};
use dynamite_core::types::KeyType;

use crate::console::statement::{TableChange, TableDefinition};
use crate::console::text::{Result, SyntaxError, Text};

/// An attribute of a key, and its type.
type Attribute = (String, KeyType);

/// What follows `CREATE`.
pub(crate) fn create(text: &mut Text<'_>) -> Result<TableDefinition> {
    text.expect_keyword("TABLE")?;
    let name = text.table_name("the table's name")?;
    let (partition_key, sort_key) = table_key(text)?;
    let mut table = TableDefinition {
        name,
        partition_key,
        sort_key,
        global: Vec::new(),
        local: Vec::new(),
        ttl: None,
        stream: None,
        history: None,
    };
    loop {
        if text.keywords(&["LOCAL", "INDEX"]) {
            table.local.push(local_index(text)?);
        } else if text.keywords(&["GLOBAL", "INDEX"]) || text.keyword("INDEX") {
            table.global.push(global_index(text)?.1);
        } else if text.keyword("TTL") {
            table.ttl = Some(text.name("the attribute that says when an item expires")?);
        } else if text.keyword("STREAM") {
            table.stream = Some(stream_view(text)?);
        } else if text.keyword("HISTORY") {
            table.history = Some(text.duration()?);
        } else {
            text.end("INDEX, LOCAL INDEX, TTL, STREAM, HISTORY, or the end of the statement")?;
            return Ok(table);
        }
    }
}

/// What follows `ALTER`.
pub(crate) fn alter(text: &mut Text<'_>) -> Result<TableChange> {
    text.expect_keyword("TABLE")?;
    let name = text.table_name("the table's name")?;
    let mut change =
        TableChange { name, added: Vec::new(), dropped: Vec::new(), ttl: None, stream: None, history: None };
    loop {
        if text.keywords(&["ADD", "INDEX"]) {
            change.added.push(global_index(text)?);
        } else if text.keywords(&["DROP", "INDEX"]) {
            change.dropped.push(text.table_name("the index's name")?);
        } else if text.keywords(&["NO", "TTL"]) {
            change.ttl = Some(None);
        } else if text.keyword("TTL") {
            change.ttl = Some(Some(text.name("the attribute that says when an item expires")?));
        } else if text.keywords(&["NO", "STREAM"]) {
            change.stream = Some(None);
        } else if text.keyword("STREAM") {
            change.stream = Some(Some(stream_view(text)?));
        } else if text.keyword("HISTORY") {
            change.history = Some(text.duration()?);
        } else {
            const CLAUSES: &str = "ADD INDEX, DROP INDEX, TTL, NO TTL, STREAM, NO STREAM or HISTORY";
            text.end(&format!("{CLAUSES}, or the end of the statement"))?;
            let is_something = !change.added.is_empty()
                || !change.dropped.is_empty()
                || change.ttl.is_some()
                || change.stream.is_some()
                || change.history.is_some();
            return if is_something { Ok(change) } else { Err(text.expected(CLAUSES)) };
        }
    }
}

/// The key of a table: one attribute in parentheses, or two.
fn table_key(text: &mut Text<'_>) -> Result<(Attribute, Option<Attribute>)> {
    text.expect_sign('(')?;
    let partition = attribute(text)?;
    let sort = if text.sign(',') { Some(attribute(text)?) } else { None };
    text.expect_sign(')')?;
    Ok((partition, sort))
}

/// An index with a partition key of its own. Each part of its key may be several attributes, in parentheses of their own.
fn global_index(text: &mut Text<'_>) -> Result<(String, GlobalIndex)> {
    let name = text.table_name("the index's name")?;
    let mut index = GlobalIndex::new(&name);
    text.expect_sign('(')?;
    for (name, key_type) in key_part(text)? {
        index = index.partition_key(name, key_type);
    }
    if text.sign(',') {
        for (name, key_type) in key_part(text)? {
            index = index.sort_key(name, key_type);
        }
    }
    text.expect_sign(')')?;
    Ok((name, index.projection(projection(text)?)))
}

fn local_index(text: &mut Text<'_>) -> Result<LocalIndex> {
    let name = text.table_name("the index's name")?;
    text.expect_sign('(')?;
    let (attribute, key_type) = attribute(text)?;
    text.expect_sign(')')?;
    Ok(LocalIndex::new(name).sort_key(attribute, key_type).projection(projection(text)?))
}

fn key_part(text: &mut Text<'_>) -> Result<Vec<Attribute>> {
    if !text.sign('(') {
        return attribute(text).map(|attribute| vec![attribute]);
    }
    let mut attributes = vec![attribute(text)?];
    while text.sign(',') {
        attributes.push(attribute(text)?);
    }
    text.expect_sign(')')?;
    Ok(attributes)
}

/// An attribute and its type.
fn attribute(text: &mut Text<'_>) -> Result<Attribute> {
    let name = text.name("an attribute")?;
    let types = [
        (["S", "STRING"], KeyType::String),
        (["N", "NUMBER"], KeyType::Number),
        (["B", "BINARY"], KeyType::Binary),
    ];
    for (words, key_type) in types {
        if words.iter().any(|word| text.keyword(word)) {
            return Ok((name, key_type));
        }
    }
    Err(text.expected("the attribute's type, S, N or B"))
}

/// What an index holds of an item: all of it, if nothing else is said.
fn projection(text: &mut Text<'_>) -> Result<Projection> {
    if !text.keyword("PROJECT") || text.keyword("ALL") {
        return Ok(Projection::All);
    }
    if text.keyword("KEYS") {
        return Ok(Projection::KeysOnly);
    }
    if !text.sign('(') {
        return Err(text.expected("ALL, KEYS, or attributes in parentheses"));
    }
    let mut names = vec![text.name("an attribute")?];
    while text.sign(',') {
        names.push(text.name("an attribute")?);
    }
    text.expect_sign(')')?;
    Ok(Projection::include(names))
}

fn stream_view(text: &mut Text<'_>) -> Result<StreamView> {
    text.rest();
    let position = text.at;
    let word = text.name("what the stream shows")?.to_ascii_uppercase();
    StreamView::of_name(&word).ok_or_else(|| SyntaxError {
        position,
        message: "a stream shows KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES".to_owned(),
    })
}
