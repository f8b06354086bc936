//! Tables as the SDK describes them, and as we define them: keys, indexes, the attribute that says when items expire, the change stream.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement,
    KeyType as SdkKeyType, LocalSecondaryIndex, Projection as SdkProjection, ProjectionType,
    ScalarAttributeType, StreamSpecification, TableDescription as SdkTable,
};
use dynamite_core::api::{
    GlobalIndex, IndexDescription, IndexKind, LocalIndex, Projection, StreamView, TableDescription,
};
use dynamite_core::types::{KeyAttribute, KeySchema, KeyType};

use crate::console::statement::TableDefinition;
use crate::copy::error::{CopyError, Result};

/// The definition of a table of that name, like the endpoint's. Indexes that are being deleted are gone already.
pub(crate) fn definition_of(name: &str, table: &SdkTable, ttl: Option<String>) -> Result<TableDefinition> {
    let types = Types::of(table)?;
    let keys = keys_of(table)?;
    let pair = |key: &KeyAttribute| (key.name().to_owned(), key.key_type());
    let mut definition = TableDefinition {
        name: name.to_owned(),
        partition_key: pair(keys.partition_key()),
        sort_key: keys.sort_key().map(pair),
        global: Vec::new(),
        local: Vec::new(),
        ttl,
        stream: view_of(table)?,
        history: None,
    };
    for index in table.global_secondary_indexes() {
        if index.index_status() == Some(&IndexStatus::Deleting) {
            continue;
        }
        let mut global = GlobalIndex::new(index.index_name().unwrap_or_default())
            .hashed_ties()
            .projection(projection_of(index.projection())?);
        for (name, key_type, is_partition) in types.parts(index.key_schema())? {
            global = if is_partition {
                global.partition_key(name, key_type)
            } else {
                global.sort_key(name, key_type)
            };
        }
        definition.global.push(global);
    }
    for index in table.local_secondary_indexes() {
        let mut local = LocalIndex::new(index.index_name().unwrap_or_default())
            .projection(projection_of(index.projection())?);
        for (name, key_type, is_partition) in types.parts(index.key_schema())? {
            if !is_partition {
                local = local.sort_key(name, key_type);
            }
        }
        definition.local.push(local);
    }
    Ok(definition)
}

/// The key of the endpoint's table.
pub(crate) fn keys_of(table: &SdkTable) -> Result<KeySchema> {
    let (mut partition, mut sort) = (Vec::new(), Vec::new());
    for (name, key_type, is_partition) in Types::of(table)?.parts(table.key_schema())? {
        let attribute = KeyAttribute::new(name, key_type).map_err(nonsense)?;
        if is_partition { partition.push(attribute) } else { sort.push(attribute) }
    }
    KeySchema::of_several(partition, sort).map_err(nonsense)
}

fn view_of(table: &SdkTable) -> Result<Option<StreamView>> {
    let stream = table.stream_specification().filter(|stream| stream.stream_enabled());
    let Some(view) = stream.and_then(StreamSpecification::stream_view_type) else { return Ok(None) };
    let known = StreamView::of_name(view.as_str());
    known.map(Some).ok_or_else(|| nonsense(format!("it has a stream with the view {}", view.as_str())))
}

fn projection_of(projection: Option<&SdkProjection>) -> Result<Projection> {
    let Some(projection) = projection else { return Ok(Projection::All) };
    match projection.projection_type() {
        None | Some(ProjectionType::All) => Ok(Projection::All),
        Some(ProjectionType::KeysOnly) => Ok(Projection::KeysOnly),
        Some(ProjectionType::Include) => {
            Ok(Projection::include(projection.non_key_attributes().iter().cloned()))
        }
        Some(other) => Err(nonsense(format!("it has an index with the projection {}", other.as_str()))),
    }
}

/// The types of the attributes in keys.
struct Types<'t>(BTreeMap<&'t str, KeyType>);

impl<'t> Types<'t> {
    fn of(table: &'t SdkTable) -> Result<Types<'t>> {
        let typed = |attribute: &'t AttributeDefinition| {
            let key_type = attribute.attribute_type().as_str().parse().map_err(nonsense)?;
            Ok((attribute.attribute_name(), key_type))
        };
        Ok(Types(table.attribute_definitions().iter().map(typed).collect::<Result<_>>()?))
    }

    /// The attributes of a key: their names, types, and whether they are of the partition.
    fn parts(&self, elements: &[KeySchemaElement]) -> Result<Vec<(String, KeyType, bool)>> {
        let part = |element: &KeySchemaElement| {
            let name = element.attribute_name();
            let key_type = self.0.get(name).copied();
            let key_type =
                key_type.ok_or_else(|| nonsense(format!("it does not say of which type {name} is")))?;
            Ok((name.to_owned(), key_type, *element.key_type() == SdkKeyType::Hash))
        };
        elements.iter().map(part).collect()
    }
}

fn nonsense(reason: impl ToString) -> CopyError {
    CopyError::Answer(reason.to_string())
}

/// A request for a table of that name, like ours. It is billed by what is used.
pub(crate) fn creation_of(
    client: &Client,
    name: &str,
    table: &TableDescription,
) -> Result<CreateTableFluentBuilder> {
    let built = || -> Result<CreateTableFluentBuilder, BuildError> {
        let mut creation = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes(table)?))
            .set_key_schema(Some(elements(&table.keys)?));
        for index in &table.indexes {
            creation = match index.kind {
                IndexKind::Global => creation.global_secondary_indexes(
                    GlobalSecondaryIndex::builder()
                        .index_name(&index.name)
                        .set_key_schema(Some(elements(&index.keys)?))
                        .projection(projection(index))
                        .build()?,
                ),
                IndexKind::Local => creation.local_secondary_indexes(
                    LocalSecondaryIndex::builder()
                        .index_name(&index.name)
                        .set_key_schema(Some(elements(&index.keys)?))
                        .projection(projection(index))
                        .build()?,
                ),
            };
        }
        if let Some(stream) = &table.stream {
            let view = stream.view.as_str().into();
            creation = creation.stream_specification(
                StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()?,
            );
        }
        Ok(creation)
    };
    built().map_err(nonsense)
}

/// The attributes of all keys, once each.
fn attributes(table: &TableDescription) -> Result<Vec<AttributeDefinition>, BuildError> {
    let keys = std::iter::once(&table.keys).chain(table.indexes.iter().map(|index| &index.keys));
    let types: BTreeMap<&str, KeyType> =
        keys.flat_map(KeySchema::attributes).map(|key| (key.name(), key.key_type())).collect();
    let definition = |(name, key_type): (&str, KeyType)| {
        let letter = ScalarAttributeType::from(key_type.letter());
        AttributeDefinition::builder().attribute_name(name).attribute_type(letter).build()
    };
    types.into_iter().map(definition).collect()
}

fn elements(keys: &KeySchema) -> Result<Vec<KeySchemaElement>, BuildError> {
    let partition = keys.partition_attributes().iter().map(|key| (key, SdkKeyType::Hash));
    let sort = keys.sort_attributes().iter().map(|key| (key, SdkKeyType::Range));
    let element = |(key, kind): (&KeyAttribute, SdkKeyType)| {
        KeySchemaElement::builder().attribute_name(key.name()).key_type(kind).build()
    };
    partition.chain(sort).map(element).collect()
}

fn projection(index: &IndexDescription) -> SdkProjection {
    let builder = SdkProjection::builder();
    match &index.projection {
        Projection::All => builder.projection_type(ProjectionType::All),
        Projection::KeysOnly => builder.projection_type(ProjectionType::KeysOnly),
        Projection::Include(names) => {
            builder.projection_type(ProjectionType::Include).set_non_key_attributes(Some(names.clone()))
        }
    }
    .build()
}
