//! Keys and indexes as requests define them.

use std::collections::BTreeMap;

use dynamite_core::api::{GlobalIndex, LocalIndex, Projection};
use dynamite_core::types::{KeySchema, KeyType};

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::table_settings::key_elements;

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
    fn add(&mut self, name: &str, key_type: KeyType) {
        if self.types.insert(name.to_owned(), key_type).is_none() {
            self.names.push(name.to_owned());
        }
    }

    /// Gives an attribute the type that it has, if it is there at all.
    pub(crate) fn keep(&mut self, name: &str, key_type: KeyType) {
        self.types.entry(name.to_owned()).and_modify(|defined| *defined = key_type);
    }

    /// Refuses a name that is defined twice.
    pub(crate) fn check_once(request: &Json<'_>) -> Answer<()> {
        let defined = request.array("AttributeDefinitions").unwrap_or_default();
        let names: Vec<_> = defined.iter().filter_map(|definition| definition.str("AttributeName")).collect();
        match names.iter().enumerate().find(|(nth, name)| names[..*nth].contains(name)) {
            Some((_, name)) => Err(Failure::validation(format!("Attribute Name is duplicated: {name}"))),
            None => Ok(()),
        }
    }

    pub(crate) fn list(&self) -> String {
        self.names.join(", ")
    }

    fn key_type(&self, name: &str) -> Answer<(String, KeyType)> {
        let key_type = self.types.get(name).copied();
        let key_type = key_type.ok_or_else(|| {
            Failure::invalid(format_args!("Some index key attributes are not defined: {name}"))
        })?;
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

    /// Whether they are these, in this order.
    pub(crate) fn are(&self, keys: &KeySchema) -> bool {
        self.0.iter().copied().eq(key_elements(keys))
    }

    /// Refuses names that are not defined.
    pub(crate) fn check_defined(&self, definitions: &Definitions) -> Answer<()> {
        if self.0.iter().all(|(name, _)| definitions.types.contains_key(*name)) {
            return Ok(());
        }
        Err(Failure::invalid(format_args!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            self.names().join(", "),
            definitions.list()
        )))
    }

    /// Refuses what is no key of a table or a local index: a partition attribute, and perhaps a sort attribute.
    pub(crate) fn check_kinds(&self) -> Answer<()> {
        self.check_first()?;
        match self.0.get(1) {
            Some((_, kind)) if *kind != "RANGE" => {
                let text = "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type";
                Err(Failure::validation(text))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is no key of a global index: partition attributes come first, then sort attributes. How many there may be of each,
    /// and that none is there twice, is the database's own rule.
    fn check_global_kinds(&self) -> Answer<()> {
        self.check_first()?;
        match self.0.is_sorted_by_key(|(_, kind)| *kind == "RANGE") {
            true => Ok(()),
            false => Err(Failure::invalid(
                "All HASH key attributes must precede RANGE key attributes in the KeySchema",
            )),
        }
    }

    fn check_first(&self) -> Answer<()> {
        let refuse = |text: &str| Err(Failure::validation(text));
        match self.0[..] {
            [(first, _), (second, _)] if first == second => {
                refuse("Both the Hash Key and the Range Key element in the KeySchema have the same name")
            }
            [(_, kind), ..] if kind != "HASH" => {
                refuse("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
            }
            _ => Ok(()),
        }
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
pub(crate) fn projection(index: &Json<'_>) -> Answer<Projection> {
    let projection = index.field("Projection");
    let kind = projection.and_then(|projection| projection.str("ProjectionType"));
    let names = projection.and_then(|projection| projection.array("NonKeyAttributes"));
    let kind = kind.ok_or_else(|| Failure::invalid("Unknown ProjectionType: null"))?;
    match (kind, names) {
        ("INCLUDE", None) => {
            Err(Failure::invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        ("INCLUDE", Some(names)) => Ok(Projection::include(names.iter().filter_map(Json::as_str))),
        (kind, Some(_)) => {
            Err(Failure::invalid(format_args!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
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
    keys.check_kinds()?;
    if keys.len() != 2 {
        return Err(Failure::invalid(format_args!(
            "Index KeySchema does not have a range key for index: {name}"
        )));
    }
    let own = keys.names()[0];
    if own != table_key {
        return Err(Failure::invalid(format_args!(
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

/// A global index. Its entries are in the service's order, also where their keys are equal.
pub(crate) fn global_index(index: &Json<'_>, definitions: &Definitions) -> Answer<GlobalIndex> {
    let name = index.str("IndexName").unwrap_or_default();
    let keys = Keys::of(index);
    keys.check_defined(definitions)?;
    keys.check_global_kinds()?;
    let mut global = GlobalIndex::new(name).hashed_ties().projection(projection(index)?);
    for (name, key_type) in keys.partition(definitions)? {
        global = global.partition_key(name, key_type);
    }
    for (name, key_type) in keys.sort(definitions)? {
        global = global.sort_key(name, key_type);
    }
    Ok(global)
}
