//! Keys and indexes as requests define them.

use std::collections::BTreeMap;

use dynamite_core::api::{GlobalIndex, LocalIndex, Projection};
use dynamite_core::types::KeyType;

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;

const INVALID: &str = "One or more parameter values were invalid: ";

fn invalid(text: impl std::fmt::Display) -> Failure {
    Failure::validation(format!("{INVALID}{text}"))
}

/// Attributes that keys may consist of.
pub(crate) struct Definitions {
    /// The names, in order.
    pub(crate) names: Vec<String>,
    types: BTreeMap<String, KeyType>,
}

impl Definitions {
    pub(crate) fn of(request: &Json<'_>) -> Definitions {
        let mut definitions = Definitions { names: Vec::new(), types: BTreeMap::new() };
        for definition in request.array("AttributeDefinitions").unwrap_or_default() {
            let name = definition.str("AttributeName").unwrap_or_default();
            if let Some(Ok(key_type)) = definition.str("AttributeType").map(str::parse) {
                definitions.add(name, key_type);
            }
        }
        definitions
    }

    /// Adds an attribute, unless it is there.
    pub(crate) fn add(&mut self, name: &str, key_type: KeyType) {
        if self.types.insert(name.to_owned(), key_type).is_none() {
            self.names.push(name.to_owned());
        }
    }

    fn list(&self) -> String {
        self.names.join(", ")
    }

    fn key_type(&self, name: &str) -> Answer<(String, KeyType)> {
        let key_type = self.types.get(name).copied();
        let key_type = key_type
            .ok_or_else(|| invalid(format_args!("Some index key attributes are not defined: {name}")))?;
        Ok((name.to_owned(), key_type))
    }
}

/// A key schema: names and kinds.
pub(crate) struct Keys<'r>(Vec<(&'r str, &'r str)>);

impl<'r> Keys<'r> {
    pub(crate) fn of(request: &'r Json<'_>) -> Keys<'r> {
        let elements = request.array("KeySchema").unwrap_or_default().iter();
        let part = |element: &'r Json<'_>, name| element.str(name).unwrap_or_default();
        Keys(elements.map(|element| (part(element, "AttributeName"), part(element, "KeyType"))).collect())
    }

    pub(crate) fn names(&self) -> Vec<&'r str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Refuses names that are not defined.
    pub(crate) fn check_defined(&self, definitions: &Definitions) -> Answer<()> {
        if self.0.iter().all(|(name, _)| definitions.types.contains_key(*name)) {
            return Ok(());
        }
        Err(invalid(format_args!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            self.names().join(", "),
            definitions.list()
        )))
    }

    /// Refuses what is no key: partition attributes come first, then sort attributes, no name twice.
    pub(crate) fn check_kinds(&self) -> Answer<()> {
        let refuse = |text: &str| Err(Failure::validation(text));
        if let [(first, _), (second, _)] = self.0[..]
            && first == second
        {
            return refuse("Both the Hash Key and the Range Key element in the KeySchema have the same name");
        }
        if self.0.first().is_some_and(|(_, kind)| *kind != "HASH") {
            return refuse("Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
        }
        if self.0.len() == 2 && self.0[1].1 != "RANGE" {
            return refuse("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
        }
        let is_sorted = self.0.is_sorted_by_key(|(_, kind)| *kind == "RANGE");
        if !is_sorted {
            return refuse("Invalid KeySchema: HASH key elements must come before RANGE key elements");
        }
        Ok(())
    }

    /// The attributes of a kind.
    fn attributes(&self, kind: &str, definitions: &Definitions) -> Answer<Vec<(String, KeyType)>> {
        let of_kind = self.0.iter().filter(|(_, other)| *other == kind);
        of_kind.map(|(name, _)| definitions.key_type(name)).collect()
    }

    pub(crate) fn partition(&self, definitions: &Definitions) -> Answer<Vec<(String, KeyType)>> {
        self.attributes("HASH", definitions)
    }

    pub(crate) fn sort(&self, definitions: &Definitions) -> Answer<Vec<(String, KeyType)>> {
        self.attributes("RANGE", definitions)
    }
}

/// What an index holds.
fn projection(index: &Json<'_>) -> Answer<Projection> {
    let projection = index.field("Projection");
    let kind = projection.and_then(|projection| projection.str("ProjectionType"));
    let names = projection.and_then(|projection| projection.array("NonKeyAttributes"));
    let kind = kind.ok_or_else(|| invalid("Unknown ProjectionType: null"))?;
    match (kind, names) {
        ("INCLUDE", None) => Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")),
        ("INCLUDE", Some(names)) => Ok(Projection::include(names.iter().filter_map(Json::as_str))),
        (kind, Some(_)) => {
            Err(invalid(format_args!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
        }
        ("KEYS_ONLY", None) => Ok(Projection::KeysOnly),
        _ => Ok(Projection::All),
    }
}

/// A local index of a table with this partition key.
pub(crate) fn local_index(
    index: &Json<'_>,
    table_key: &str,
    definitions: &Definitions,
) -> Answer<LocalIndex> {
    let name = index.str("IndexName").unwrap_or_default();
    let keys = Keys::of(index);
    keys.check_defined(definitions)?;
    keys.check_kinds()?;
    if keys.len() != 2 {
        return Err(invalid(format_args!("Index KeySchema does not have a range key for index: {name}")));
    }
    let own = keys.names()[0];
    if own != table_key {
        return Err(invalid(format_args!(
            "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. index hash key: \
             {own}, table hash key: {table_key}"
        )));
    }
    let projection = projection(index)?;
    let mut local = LocalIndex::new(name).projection(projection);
    for (name, key_type) in keys.sort(definitions)? {
        local = local.sort_key(name, key_type);
    }
    Ok(local)
}

/// A global index.
pub(crate) fn global_index(index: &Json<'_>, definitions: &Definitions) -> Answer<GlobalIndex> {
    let name = index.str("IndexName").unwrap_or_default();
    let keys = Keys::of(index);
    keys.check_defined(definitions)?;
    keys.check_kinds()?;
    let mut global = GlobalIndex::new(name).projection(projection(index)?);
    for (name, key_type) in keys.partition(definitions)? {
        global = global.partition_key(name, key_type);
    }
    for (name, key_type) in keys.sort(definitions)? {
        global = global.sort_key(name, key_type);
    }
    Ok(global)
}
