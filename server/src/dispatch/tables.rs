//! Tables: made, changed, listed, described.

use dynamite_core::api::{DynaMite, TableDescription};

use super::Context;
use super::reads::{look, not_of_past};
use crate::protocol::fault::Failure;
use crate::protocol::operation;
use crate::protocol::text::Text;

pub(super) fn create(db: &DynaMite, create: operation::CreateTable<'_>) -> Result<(), Failure> {
    let mut builder = db.create_table(&create.name);
    if let Some((name, key_type)) = create.partition_key {
        builder = builder.partition_key(name, key_type);
    }
    if let Some((name, key_type)) = create.sort_key {
        builder = builder.sort_key(name, key_type);
    }
    if let Some(attribute) = create.ttl {
        builder = builder.ttl(attribute);
    }
    builder = create.global.into_iter().fold(builder, |builder, index| builder.global_index(index));
    builder = create.local.into_iter().fold(builder, |builder, index| builder.local_index(index));
    if let Some(view) = create.stream {
        builder = builder.stream(view);
    }
    if let Some(duration) = create.history {
        builder = builder.history(duration);
    }
    Ok(builder.execute()?)
}

pub(super) fn update(db: &DynaMite, update: operation::UpdateTable<'_>) -> Result<(), Failure> {
    let mut builder = db.update_table(&update.name);
    builder = match update.ttl {
        Some(Some(attribute)) => builder.ttl(attribute),
        Some(None) => builder.no_ttl(),
        None => builder,
    };
    builder = update.added.into_iter().fold(builder, |builder, index| builder.add_index(index));
    builder = update.dropped.iter().fold(builder, |builder, index| builder.drop_index(index));
    builder = match update.stream {
        Some(Some(view)) => builder.stream(view),
        Some(None) => builder.no_stream(),
        None => builder,
    };
    if let Some(duration) = update.history {
        builder = builder.history(duration);
    }
    Ok(builder.execute()?)
}

pub(super) fn list(context: Context<'_>, list: operation::ListTables) -> Result<Vec<Text<'static>>, Failure> {
    let names = look!(context, list.at, |source| source.list_tables(), |_past| return not_of_past())?;
    Ok(names.into_iter().map(Text::from).collect())
}

pub(super) fn describe(
    context: Context<'_>,
    describe: &operation::DescribeTable<'_>,
) -> Result<TableDescription, Failure> {
    let table = &describe.table;
    Ok(look!(context, describe.at, |source| source.describe_table(table), |_past| return not_of_past())?)
}
