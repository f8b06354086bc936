//! What only this protocol knows of a table: its id, how it is billed, its tags. It is stored with the table, in the same
//! transaction as what it belongs to, and described together with what the database knows.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use dynamite_core::api::{IndexDescription, IndexKind, IndexState, Projection, TableDescription};
use dynamite_core::types::KeySchema;
use dynamite_core::{Item, item_codec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::{Config, arn};

/// See above. What is missing was never set: tables that were created by other doors than this protocol have none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TableSettings {
    /// A random UUID, by which clients tell a table from an older one of its name.
    pub(crate) id: String,
    /// The attributes of keys, in the order in which they were defined.
    pub(crate) attributes: Vec<String>,
    pub(crate) billing: Billing,
    pub(crate) throughput: Throughput,
    pub(crate) indexes: BTreeMap<String, Throughput>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) deletion_protection: Option<bool>,
    pub(crate) table_class: Option<String>,
    /// The type of encryption and the key, if they were chosen.
    pub(crate) encryption: Option<Encryption>,
    pub(crate) policy: Option<Policy>,
    /// Point-in-time recovery, if it is enabled.
    pub(crate) recovery: Option<Recovery>,
    /// Where the table comes from, if it was restored.
    pub(crate) restored: Option<Restored>,
}

/// Point-in-time recovery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recovery {
    pub(crate) enabled_ms: u64,
    pub(crate) days: u64,
    /// For how long the table kept its history before; 0 if it kept none.
    pub(crate) history_ms: u64,
}

/// Where a restored table comes from: names of resources, and the moment that it was restored to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Restored {
    pub(crate) backup: Option<String>,
    pub(crate) table: String,
    pub(crate) ms: u64,
}

/// How a table is billed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Billing {
    pub(crate) is_on_demand: bool,
    /// Whether it was ever billed on demand; else nothing is told of it.
    pub(crate) was_chosen: bool,
    /// Since when it is, or was last, billed on demand, in milliseconds.
    pub(crate) on_demand_ms: u64,
}

/// Units of a table or an index: those that were provisioned, and what was said beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Throughput {
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) increased_ms: u64,
    pub(crate) decreased_ms: u64,
    /// How often it was decreased on the day of the last decrease.
    pub(crate) decreases: u64,
    /// The most that may be used on demand.
    pub(crate) max_read: Option<u64>,
    pub(crate) max_write: Option<u64>,
    /// What is to be kept warm.
    pub(crate) warm_read: Option<u64>,
    pub(crate) warm_write: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Encryption {
    pub(crate) kind: String,
    pub(crate) key: Option<String>,
}

/// A resource policy. It is only kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Policy {
    pub(crate) text: String,
    pub(crate) revision: String,
}

/// The statuses that an answer tells, since what it tells of is just happening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statuses {
    pub(crate) table: &'static str,
    /// `None`: as they are.
    pub(crate) indexes: Option<&'static str>,
}

impl Statuses {
    pub(crate) const ACTIVE: Statuses = Statuses { table: "ACTIVE", indexes: None };
    pub(crate) const CREATING: Statuses = Statuses { table: "CREATING", indexes: Some("CREATING") };
}

impl TableSettings {
    /// What is stored with a table.
    pub(crate) fn of(table: &TableDescription) -> Answer<TableSettings> {
        let damaged = |error: &dyn std::fmt::Display| {
            Failure::internal(format!("the settings of table {} are malformed: {error}", table.name))
        };
        let bytes = item_codec::encode(&table.metadata).map_err(|error| damaged(&error))?;
        let mut settings: TableSettings = item_codec::from_bytes(&bytes).map_err(|error| damaged(&error))?;
        if settings.id.is_empty() {
            settings.billing.is_on_demand = true;
            settings.billing.was_chosen = true;
            settings.billing.on_demand_ms = table.created_ms.unwrap_or_default();
            settings.id = id_of_name(&table.name);
        }
        Ok(settings)
    }

    /// The same as what the database stores.
    pub(crate) fn to_metadata(&self) -> Answer<Item> {
        let stored = item_codec::to_bytes(self).map_err(|error| Failure::validation(error.to_string()))?;
        item_codec::decode(&stored).map_err(|damage| Failure::internal(damage.to_string()))
    }

    /// All that is told of a table.
    pub(crate) fn describe(&self, config: &Config, table: &TableDescription, statuses: Statuses) -> Value {
        let mut told = Map::new();
        let mut tell = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
        tell("TableName", json!(table.name));
        tell("TableStatus", json!(statuses.table));
        tell("TableArn", json!(arn::of_table(config, &table.name)));
        tell("TableId", json!(self.id));
        tell("CreationDateTime", seconds(table.created_ms.unwrap_or_default()));
        tell("AttributeDefinitions", self.attribute_definitions(table));
        tell("KeySchema", key_schema(&table.keys));
        tell("ItemCount", json!(table.item_count));
        tell("TableSizeBytes", json!(table.size_bytes));
        tell("ProvisionedThroughput", self.throughput.describe());
        self.throughput.others().into_iter().for_each(|(name, units)| tell(name, units));
        if self.billing.was_chosen {
            let mode = if self.billing.is_on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" };
            let (mut summary, mut mode_summary) =
                (json!({"BillingMode": mode}), json!({"TableThroughputMode": mode}));
            if statuses.table == "ACTIVE" {
                for summary in [&mut summary, &mut mode_summary] {
                    summary["LastUpdateToPayPerRequestDateTime"] = seconds(self.billing.on_demand_ms);
                }
            }
            tell("BillingModeSummary", summary);
            tell("TableThroughputModeSummary", mode_summary);
        }
        for (name, kind) in
            [("LocalSecondaryIndexes", IndexKind::Local), ("GlobalSecondaryIndexes", IndexKind::Global)]
        {
            let of_kind = table.indexes.iter().filter(|index| index.kind == kind);
            let indexes: Vec<Value> =
                of_kind.map(|index| self.describe_index(config, table, index, statuses)).collect();
            let is_hidden = statuses.table == "DELETING" && kind == IndexKind::Global;
            if !indexes.is_empty() && !is_hidden {
                tell(name, Value::Array(indexes));
            }
        }
        if let Some(stream) = &table.stream {
            tell(
                "StreamSpecification",
                json!({"StreamEnabled": true, "StreamViewType": stream.view.as_str()}),
            );
        }
        if let Some(stream) = table.stream.as_ref().or(table.closed_streams.last()) {
            tell("LatestStreamLabel", json!(stream.label));
            tell("LatestStreamArn", json!(arn::of_stream(config, &table.name, &stream.label)));
        }
        let is_told = statuses.table == "ACTIVE" || self.deletion_protection.is_some();
        if is_told {
            tell("DeletionProtectionEnabled", json!(self.deletion_protection.unwrap_or_default()));
        }
        // The service tells of it only while it goes on.
        if let Some(restored) = self.restored.as_ref().filter(|_| statuses.table == "CREATING") {
            let mut summary = json!({
                "SourceTableArn": restored.table,
                "RestoreDateTime": seconds(restored.ms),
                "RestoreInProgress": true,
            });
            if let Some(backup) = &restored.backup {
                summary["SourceBackupArn"] = json!(backup);
            }
            tell("RestoreSummary", summary);
        }
        if let Some(class) = &self.table_class {
            tell("TableClassSummary", json!({"TableClass": class}));
        }
        if let Some(Encryption { kind, key }) = &self.encryption {
            let key = key.clone().unwrap_or_else(|| arn::of_managed_key(config));
            tell("SSEDescription", json!({"Status": "ENABLED", "SSEType": kind, "KMSMasterKeyArn": key}));
        }
        Value::Object(told)
    }

    fn attribute_definitions(&self, table: &TableDescription) -> Value {
        let keys = || std::iter::once(&table.keys).chain(table.indexes.iter().map(|index| &index.keys));
        let mut types = BTreeMap::new();
        let mut order = self.attributes.clone();
        for attribute in keys().flat_map(KeySchema::attributes) {
            types.insert(attribute.name(), attribute.key_type());
            if !order.iter().any(|name| name == attribute.name()) {
                order.push(attribute.name().to_owned());
            }
        }
        let definition = |name: String| {
            let key_type = types.get(name.as_str())?;
            Some(json!({"AttributeName": name, "AttributeType": key_type.letter()}))
        };
        order.into_iter().filter_map(definition).collect()
    }

    fn describe_index(
        &self,
        config: &Config,
        table: &TableDescription,
        index: &IndexDescription,
        statuses: Statuses,
    ) -> Value {
        let mut told = json!({
            "IndexName": index.name,
            "IndexArn": arn::of_index(config, &table.name, &index.name),
            "KeySchema": key_schema(&index.keys),
            "Projection": projection(&index.projection),
            "ItemCount": index.item_count,
            "IndexSizeBytes": index.size_bytes,
        });
        if index.kind == IndexKind::Global {
            let is_creating = matches!(index.state, IndexState::Creating { .. });
            let status = if is_creating { "CREATING" } else { statuses.indexes.unwrap_or("ACTIVE") };
            told["IndexStatus"] = json!(status);
            if is_creating && statuses.table == "ACTIVE" {
                told["Backfilling"] = json!(true);
            }
            let throughput = self.indexes.get(&index.name).cloned().unwrap_or_default();
            told["ProvisionedThroughput"] = throughput.describe();
            throughput.others().into_iter().for_each(|(name, units)| told[name] = units);
        }
        told
    }
}

impl Throughput {
    /// Drops what does not belong to the way in which a table is billed from now on.
    pub(crate) fn change_billing(&mut self, to_on_demand: bool) {
        (self.max_read, self.max_write) = (None, None);
        if to_on_demand {
            (self.read, self.write, self.increased_ms, self.decreased_ms) = (0, 0, 0, 0);
        }
    }

    /// Takes over all but the provisioned units.
    pub(crate) fn take_others(&mut self, from: &Throughput) {
        (self.max_read, self.max_write) = (from.max_read, from.max_write);
        (self.warm_read, self.warm_write) = (from.warm_read, from.warm_write);
    }

    /// What is told beside the provisioned units, if it was ever set.
    fn others(&self) -> Vec<(&'static str, Value)> {
        let on_demand = [("MaxReadRequestUnits", self.max_read), ("MaxWriteRequestUnits", self.max_write)];
        let warm = [("ReadUnitsPerSecond", self.warm_read), ("WriteUnitsPerSecond", self.warm_write)];
        let mut told = Vec::new();
        if let Some(units) = units_by_name(on_demand) {
            told.push(("OnDemandThroughput", Value::Object(units)));
        }
        if let Some(mut units) = units_by_name(warm) {
            units.insert("Status".to_owned(), json!("ACTIVE"));
            told.push(("WarmThroughput", Value::Object(units)));
        }
        told
    }

    pub(crate) fn describe(&self) -> Value {
        let day = |ms: u64| ms / 86_400_000;
        let decreases = if day(self.decreased_ms) == day(now_ms()) { self.decreases } else { 0 };
        let mut told = json!({
            "NumberOfDecreasesToday": decreases,
            "ReadCapacityUnits": self.read,
            "WriteCapacityUnits": self.write,
        });
        for (name, ms) in
            [("LastIncreaseDateTime", self.increased_ms), ("LastDecreaseDateTime", self.decreased_ms)]
        {
            if ms > 0 {
                told[name] = seconds(ms);
            }
        }
        told
    }
}

/// Units by their names; `None` if there are none.
fn units_by_name(units: [(&str, Option<u64>); 2]) -> Option<Map<String, Value>> {
    let units = units.into_iter().filter_map(|(name, units)| Some((name.to_owned(), json!(units?))));
    Some(units.collect::<Map<_, _>>()).filter(|units| !units.is_empty())
}

/// The attributes of a key, and of which kind each is.
pub(crate) fn key_elements(keys: &KeySchema) -> impl Iterator<Item = (&str, &str)> {
    let kinds = [("HASH", keys.partition_attributes()), ("RANGE", keys.sort_attributes())];
    kinds
        .into_iter()
        .flat_map(|(kind, attributes)| attributes.iter().map(move |attribute| (attribute.name(), kind)))
}

pub(crate) fn key_schema(keys: &KeySchema) -> Value {
    key_elements(keys).map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind})).collect()
}

fn projection(projection: &Projection) -> Value {
    match projection {
        Projection::All => json!({"ProjectionType": "ALL"}),
        Projection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
        Projection::Include(names) => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names}),
    }
}

/// Times are told in seconds, with the milliseconds behind the point.
pub(crate) fn seconds(ms: u64) -> Value {
    json!(ms as f64 / 1000.0)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A new UUID, of the random kind.
pub(crate) fn new_id() -> Answer<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(uuid(bytes))
}

/// A UUID for a table that was given none.
fn id_of_name(name: &str) -> String {
    let hash = u128::from(crc32fast::hash(name.as_bytes()));
    uuid((hash.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_be_bytes())
}

fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
