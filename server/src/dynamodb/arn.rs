//! The names of resources: `arn:aws:dynamodb:region:account:table/name`, and what hangs on a table.

use crate::dynamodb::Config;
use crate::dynamodb::model::Pattern;

/// The name of a table's resource.
pub(crate) fn of_table(config: &Config, table: &str) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{table}", config.region, config.account)
}

/// The name of an index's resource.
pub(crate) fn of_index(config: &Config, table: &str, index: &str) -> String {
    format!("{}/index/{index}", of_table(config, table))
}

/// The name of a stream's resource.
pub(crate) fn of_stream(config: &Config, table: &str, label: &str) -> String {
    format!("{}/stream/{label}", of_table(config, table))
}

/// The name of a backup's resource.
pub(crate) fn of_backup(config: &Config, table: &str, id: &str) -> String {
    format!("{}/backup/{id}", of_table(config, table))
}

/// The name of the key that tables are encrypted by when nobody names another. There is none here.
pub(crate) fn of_managed_key(config: &Config) -> String {
    format!("arn:aws:kms:{}:{}:key/00000000-0000-0000-0000-000000000000", config.region, config.account)
}

/// The table and the id that a backup's resource names.
pub(crate) fn backup(text: &str) -> Option<(&str, &str)> {
    text.starts_with("arn:").then(|| table_name(text).split_once("/backup/")).flatten()
}

/// The table that a request names: by its name, or by its resource's.
pub(crate) fn table_name(text: &str) -> &str {
    match text.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":table/").map_or(text, |(_, name)| name),
        None => text,
    }
}

/// Whether a text is the name of a table's resource, whatever its region and account. The service allows no longer ones.
pub(crate) fn is_of_table(text: &str) -> bool {
    let Some((_, name)) = text.strip_prefix("arn:").and_then(|rest| rest.split_once(":table/")) else {
        return false;
    };
    text.len() <= 1024 && (3..=255).contains(&name.len()) && Pattern::Name.matches(name)
}

/// The table and the stream's label that a stream's resource names.
pub(crate) fn stream(text: &str) -> Option<(&str, &str)> {
    table_name(text).split_once("/stream/")
}
