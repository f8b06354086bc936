//! Keys: what users give as keys, made into stored keys and ranges of them, and back.

use std::borrow::Cow;
use std::ops::Bound;

use dynamite_txn::Range;
use serde_json::Value;

use crate::api::layout::Layout;
use crate::api::table::Table;
use crate::error::{Error, Invalid, Result};
use crate::expression::{SortKeyTest, describe};
use crate::item_codec::{self, ItemDamage, ItemView, ValueView};
use crate::json;
use crate::key_codec::{self, KeyDamage, KeyPrefix, KeyRole, KeyValue, OwnedKeyValue};
use crate::number::Number;
use crate::types::{KeyAttribute, KeyType, MAX_KEY_ATTRIBUTES};
use crate::value::{AttributeType, AttributeValue, Item};

/// What can be given as the value of a key: strings, numbers, bytes, JSON and exact attribute values. What cannot be converted
/// (NaN, say) is an error of the operation's `execute`.
pub trait IntoAttribute: Sized {
    /// The attribute value.
    fn into_attribute(self) -> Result<AttributeValue>;

    /// Hands the value to `with` as that of a key, or `None` if it is of no type that keys have.
    #[doc(hidden)]
    fn with_key_value<R>(self, with: impl FnOnce(Option<KeyValue<'_>>) -> R) -> Result<R> {
        let value = self.into_attribute()?;
        Ok(with(key_value(&value)))
    }
}

/// For what is a key's value as it stands, and need not be copied.
macro_rules! borrowed {
    ($($type:ty => |$value:ident| $key_value:expr),*) => {$(
        impl IntoAttribute for $type {
            fn into_attribute(self) -> Result<AttributeValue> {
                Ok(self.into())
            }

            fn with_key_value<R>(self, with: impl FnOnce(Option<KeyValue<'_>>) -> R) -> Result<R> {
                let $value = self;
                Ok(with(Some($key_value)))
            }
        }
    )*};
}

borrowed!(
    &str => |text| KeyValue::S(text),
    String => |text| KeyValue::S(&text),
    &String => |text| KeyValue::S(text),
    &[u8] => |bytes| KeyValue::B(bytes),
    Vec<u8> => |bytes| KeyValue::B(&bytes),
    Number => |number| KeyValue::N(number)
);

macro_rules! converted {
    ($($type:ty)*) => {$(
        impl IntoAttribute for $type {
            fn into_attribute(self) -> Result<AttributeValue> {
                Ok(AttributeValue::from(self))
            }
        }
    )*};
}

converted!(i8 i16 i32 i64 u8 u16 u32 u64 bool AttributeValue);

macro_rules! perhaps_converted {
    ($($type:ty)*) => {$(
        impl IntoAttribute for $type {
            fn into_attribute(self) -> Result<AttributeValue> {
                Ok(AttributeValue::try_from(self).map_err(Invalid::Number)?)
            }
        }
    )*};
}

perhaps_converted!(f32 f64 i128 u128);

impl IntoAttribute for usize {
    fn into_attribute(self) -> Result<AttributeValue> {
        // No target has larger ones.
        (self as u64).into_attribute()
    }
}

impl<const N: usize> IntoAttribute for &[u8; N] {
    fn into_attribute(self) -> Result<AttributeValue> {
        self[..].into_attribute()
    }
}

impl IntoAttribute for &AttributeValue {
    fn into_attribute(self) -> Result<AttributeValue> {
        Ok(self.clone())
    }

    fn with_key_value<R>(self, with: impl FnOnce(Option<KeyValue<'_>>) -> R) -> Result<R> {
        Ok(with(key_value(self)))
    }
}

impl IntoAttribute for Value {
    fn into_attribute(self) -> Result<AttributeValue> {
        Ok(AttributeValue::try_from(self)?)
    }
}

impl IntoAttribute for &Value {
    fn into_attribute(self) -> Result<AttributeValue> {
        self.clone().into_attribute()
    }

    fn with_key_value<R>(self, with: impl FnOnce(Option<KeyValue<'_>>) -> R) -> Result<R> {
        match self {
            Value::String(text) => text.with_key_value(with),
            other => other.clone().with_key_value(with),
        }
    }
}

/// The key of an item, as the caller gave it: encoded at once, and held against the table later.
#[derive(Debug, Default)]
pub(crate) struct KeyArguments {
    /// The encoded partition key, and the encoded sort key behind it.
    bytes: Vec<u8>,
    partition: Option<Part>,
    /// Further attributes of the partition key of an index. Then there is no sort key.
    more: Vec<Part>,
    sort: Option<Part>,
    /// The whole key by the names of its attributes, instead of all that.
    named: Option<Box<Item>>,
    /// What could not be converted. In a box, since it is large and seldom there.
    error: Option<Box<Error>>,
}

/// The methods of a builder with the `key` of one item.
macro_rules! item_key {
    () => {
        /// The partition key of the item.
        pub fn partition_key(mut self, value: impl IntoAttribute) -> Self {
            self.key.partition(value);
            self
        }

        /// The sort key of the item, if its table has one.
        pub fn sort_key(mut self, value: impl IntoAttribute) -> Self {
            self.key.sort(value);
            self
        }

        /// The key of the item by the names of its attributes, instead of
        /// [`partition_key`](Self::partition_key) and [`sort_key`](Self::sort_key).
        pub fn key(mut self, key: crate::value::Item) -> Self {
            self.key.named(key);
            self
        }
    };
}

pub(crate) use item_key;

/// What is known of a part of the key.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// `None` for a value of a type that no key has.
    key_type: Option<KeyType>,
    encoded_len: usize,
    within_limits: bool,
}

impl Part {
    fn encode(value: Option<KeyValue<'_>>, role: KeyRole, bytes: &mut Vec<u8>) -> Part {
        let Some(value) = value else {
            return Part { key_type: None, encoded_len: 0, within_limits: true };
        };
        let start = bytes.len();
        value.encode_into(bytes);
        Part {
            key_type: Some(value.key_type()),
            encoded_len: bytes.len() - start,
            within_limits: value.check_limits(role, "", None).is_ok(),
        }
    }
}

impl KeyArguments {
    pub(crate) fn of(partition: impl IntoAttribute) -> KeyArguments {
        let mut key = KeyArguments::default();
        key.partition(partition);
        key
    }

    pub(crate) fn of_both(partition: impl IntoAttribute, sort: impl IntoAttribute) -> KeyArguments {
        let mut key = KeyArguments::of(partition);
        key.sort(sort);
        key
    }

    /// Whether nothing was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.partition.is_none() && self.sort.is_none() && self.error.is_none()
    }

    /// What was given, encoded.
    pub(crate) fn describe(&self) -> Result<Cow<'_, [u8]>> {
        match &self.named {
            None => Ok(Cow::Borrowed(&self.bytes)),
            Some(item) => Ok(Cow::Owned(item_codec::encode(item)?)),
        }
    }

    pub(crate) fn of_named(key: Item) -> KeyArguments {
        KeyArguments { named: Some(Box::new(key)), ..KeyArguments::default() }
    }

    pub(crate) fn named(&mut self, key: Item) {
        *self = KeyArguments::of_named(key);
    }

    pub(crate) fn partition(&mut self, value: impl IntoAttribute) {
        // A sort key that was given before it moves behind it; a partition key that was, is forgotten.
        let old = self.partition.map_or(0, |part| part.encoded_len);
        let sort = self.bytes.split_off(old);
        self.bytes.clear();
        let KeyArguments { bytes, .. } = self;
        match value.with_key_value(|value| Part::encode(value, KeyRole::Partition, bytes)) {
            Ok(part) => self.partition = Some(part),
            Err(error) => self.error = Some(Box::new(error)),
        }
        self.bytes.extend(sort);
    }

    /// One more value of a partition key, which may have several attributes: for a query, which has no sort key among its
    /// arguments.
    pub(crate) fn add_partition(&mut self, value: impl IntoAttribute) {
        if self.partition.is_none() {
            return self.partition(value);
        }
        let KeyArguments { bytes, .. } = self;
        match value.with_key_value(|value| Part::encode(value, KeyRole::Partition, bytes)) {
            Ok(part) => self.more.push(part),
            Err(error) => self.error = Some(Box::new(error)),
        }
    }

    pub(crate) fn sort(&mut self, value: impl IntoAttribute) {
        let partition = self.partition.map_or(0, |part| part.encoded_len);
        self.bytes.truncate(partition);
        let KeyArguments { bytes, .. } = self;
        match value.with_key_value(|value| Part::encode(value, KeyRole::Sort, bytes)) {
            Ok(part) => self.sort = Some(part),
            Err(error) => self.error = Some(Box::new(error)),
        }
    }

    /// The stored key. It must have exactly the parts that the table's key has.
    pub(crate) fn encode(self, table: &Table) -> Result<Vec<u8>> {
        if let Some(error) = self.error {
            return Err(*error);
        }
        if let Some(item) = self.named {
            return encode_named(&item, table);
        }
        let parts = [
            (Some(table.keys.partition_key()), self.partition, KeyRole::Partition),
            (table.keys.sort_key(), self.sort, KeyRole::Sort),
        ];
        let mut at = 0;
        for (attribute, part, role) in parts {
            match (attribute, part) {
                (Some(attribute), Some(part)) if part.key_type == Some(attribute.key_type()) => {
                    check_part(attribute, part, role, &self.bytes[at..])?;
                    at += part.encoded_len;
                }
                (None, None) => {}
                _ => return Err(Invalid::KeySchema.into()),
            }
        }
        Ok(self.bytes)
    }

    /// All keys that begin with the partition key, which is the only part that there may be.
    fn prefix(self, layout: &Layout) -> Result<KeyPrefix> {
        if let Some(error) = self.error {
            return Err(*error);
        }
        let attributes = layout.keys.partition_attributes();
        let parts = || self.partition.iter().chain(&self.more);
        let mut at = 0;
        for (attribute, part) in attributes.iter().zip(parts()) {
            if part.key_type != Some(attribute.key_type()) {
                return Err(Invalid::ConditionType.into());
            }
            check_part(attribute, *part, KeyRole::Partition, &self.bytes[at..])?;
            at += part.encoded_len;
        }
        match (attributes.get(parts().count()), parts().nth(attributes.len())) {
            (Some(missing), _) => {
                Err(Invalid::MissingPartitionKey { name: missing.name().to_owned() }.into())
            }
            (None, Some(_)) => Err(Invalid::ConditionTwice.into()),
            (None, None) => Ok(KeyPrefix::of_encoded(self.bytes)),
        }
    }
}

/// The stored key of a key that is given by the names of its attributes.
fn encode_named(item: &Item, table: &Table) -> Result<Vec<u8>> {
    if item.len() != table.attributes().count() {
        return Err(Invalid::KeySchema.into());
    }
    let mut key = Vec::new();
    for (attribute, role) in table.attributes() {
        let value = item.get(attribute.name()).and_then(|value| key_value_of(value, attribute.key_type()));
        let value = value.ok_or(Invalid::KeySchema)?;
        check_given(value, role, attribute)?;
        value.encode_into(&mut key);
    }
    Ok(key)
}

/// Refuses an empty value of a key that is given, or one that is too long.
fn check_given(value: KeyValue<'_>, role: KeyRole, attribute: &KeyAttribute) -> Result<()> {
    Ok(value.check_limits(role, attribute.name(), None).map_err(Invalid::Key)?)
}

/// Refuses an empty part, or one that is too long.
fn check_part(attribute: &KeyAttribute, part: Part, role: KeyRole, encoded: &[u8]) -> Result<()> {
    if part.within_limits {
        return Ok(());
    }
    let (value, _) = key_codec::decode(encoded).map_err(|_| Invalid::KeySchema)?;
    check_given(value.borrow(), role, attribute)
}

/// The stored key of an item, from the item's own attributes.
pub(crate) fn of_item(layout: &Layout, item: &[u8]) -> Result<Vec<u8>> {
    let view = ItemView::new(item).map_err(|damage| layout.damaged(damage))?;
    let append = |(attribute, role): (&KeyAttribute, KeyRole), key: &mut Vec<u8>| -> Result<()> {
        let found = view.get(attribute.name()).map_err(|damage| layout.damaged(damage))?;
        let found = found.ok_or_else(|| Invalid::MissingKey { name: attribute.name().to_owned() })?;
        part_of_value(layout, found, attribute, role)?.encode_into(key);
        Ok(())
    };
    let mut key = Vec::new();
    layout.own_attributes().try_for_each(|part| append(part, &mut key))?;
    let mut table_key = Vec::new();
    layout.table_attributes().try_for_each(|part| append(part, &mut table_key))?;
    layout.append_table_key(&table_key, &mut key).map_err(|damage| layout.damaged(damage))?;
    Ok(key)
}

/// Checks an item from the first byte to the last, and says whether a key is its stored key: what [`of_item`] would give.
pub(crate) fn check_own(table: &Table, key: &[u8], item: &[u8]) -> Result<bool, ItemDamage> {
    let mut found = [None; 2 * MAX_KEY_ATTRIBUTES];
    item_codec::check_each(item, |name, value| {
        for (found, attribute) in found.iter_mut().zip(table.keys.attributes()) {
            if attribute.name().as_bytes() == name {
                *found = Some(value);
            }
        }
    })?;
    let rest = table.own_attributes().zip(found).try_fold(key, |rest, ((attribute, role), found)| {
        part_of_value(table, found?, attribute, role).ok()?.strip_from(rest)
    });
    Ok(rest.is_some_and(<[u8]>::is_empty))
}

/// A stored value of an attribute as a part of its item's key.
#[inline]
fn part_of_value<'a>(
    layout: &Layout,
    found: ValueView<'a>,
    attribute: &KeyAttribute,
    role: KeyRole,
) -> Result<KeyValue<'a>> {
    let value = viewed(layout, found, attribute.key_type())?.ok_or_else(|| Invalid::KeyTypeMismatch {
        name: attribute.name().to_owned(),
        expected: attribute.key_type(),
        actual: found.attribute_type().as_str(),
    })?;
    value.check_limits(role, attribute.name(), None).map_err(Invalid::Key)?;
    Ok(value)
}

/// A stored value as a key's, if it has this type.
pub(crate) fn viewed<'a>(
    layout: &Layout,
    value: ValueView<'a>,
    key_type: KeyType,
) -> Result<Option<KeyValue<'a>>> {
    match key_type {
        KeyType::String => value.as_str().map(|text| text.map(KeyValue::S)),
        KeyType::Number => value.as_number().map(|number| number.map(KeyValue::N)),
        KeyType::Binary => Ok(value.as_bytes().map(KeyValue::B)),
    }
    .map_err(|damage| layout.damaged(damage))
}

/// A value as a key's, if it is of a type that keys have.
fn key_value(value: &AttributeValue) -> Option<KeyValue<'_>> {
    match value {
        AttributeValue::S(text) => Some(KeyValue::S(text)),
        AttributeValue::N(number) => Some(KeyValue::N(*number)),
        AttributeValue::B(bytes) => Some(KeyValue::B(bytes)),
        _ => None,
    }
}

/// A value as a key's, if it has this type.
fn key_value_of(value: &AttributeValue, key_type: KeyType) -> Option<KeyValue<'_>> {
    key_value(value).filter(|value| value.key_type() == key_type)
}

/// The stored keys of a partition, as far as they meet conditions on its sort attributes, in their order.
pub(crate) fn partition_range(
    layout: &Layout,
    partition: KeyArguments,
    mut conditions: Vec<SortKeyTest>,
) -> Result<(Range, Within)> {
    let mut prefix = partition.prefix(layout)?;
    let within = Within { partition: prefix.as_bytes().to_vec(), has_condition: !conditions.is_empty() };
    let attributes = layout.keys.sort_attributes();
    let Some(condition) = conditions.pop() else { return Ok((prefix.all().into(), within)) };
    let Some(attribute) = attributes.get(conditions.len()) else {
        return Err(if attributes.is_empty() { Invalid::NoSortKey } else { Invalid::ConditionTwice }.into());
    };
    for (attribute, condition) in attributes.iter().zip(&conditions) {
        let SortKeyTest::Eq(value) = condition else {
            let several = attributes.len() > 1;
            return Err(if several { Invalid::NoSortKey } else { Invalid::ConditionTwice }.into());
        };
        prefix = prefix.with(sort_value(attribute, value)?);
    }

    let typed = |value| sort_value(attribute, value);
    let range = match &condition {
        SortKeyTest::Eq(value) => prefix.sort_eq(typed(value)?),
        SortKeyTest::Lt(value) => prefix.sort_lt(typed(value)?),
        SortKeyTest::Le(value) => prefix.sort_le(typed(value)?),
        SortKeyTest::Gt(value) => prefix.sort_gt(typed(value)?),
        SortKeyTest::Ge(value) => prefix.sort_ge(typed(value)?),
        SortKeyTest::Between(lower, upper) => {
            let (from, to) = (typed(lower)?, typed(upper)?);
            if from > to {
                return Err(Invalid::BetweenOrder { lower: describe(lower), upper: describe(upper) }.into());
            }
            prefix.sort_between(from, to)
        }
        // Every string begins with the empty one, so that is no error here.
        SortKeyTest::BeginsWith(value) => match (value.attribute_type(), attribute.key_type()) {
            (AttributeType::N, _) => return Err(Invalid::BeginsWithNumber.into()),
            (_, key_type) => {
                let value = key_value_of(value, key_type).ok_or(Invalid::ConditionType)?;
                prefix.sort_begins_with(value).ok_or(Invalid::BeginsWithNumber)?
            }
        },
    };
    Ok((range.into(), within))
}

/// A value as that of a sort attribute.
fn sort_value<'v>(attribute: &KeyAttribute, value: &'v AttributeValue) -> Result<KeyValue<'v>> {
    let value = key_value_of(value, attribute.key_type()).ok_or(Invalid::ConditionType)?;
    value.check_limits(KeyRole::Sort, attribute.name(), None).map_err(Invalid::Key)?;
    Ok(value)
}

/// The partition of a query, where a start key must be, and whether there is a condition on the sort key beside.
#[derive(Debug)]
pub(crate) struct Within {
    partition: Vec<u8>,
    has_condition: bool,
}

impl Within {
    /// The stored key of the partition.
    pub(crate) fn into_partition(self) -> Vec<u8> {
        self.partition
    }
}

/// Refuses a start key that has too few or too many attributes, or, for a scan of an index, no key of that.
pub(crate) fn check_start(layout: &Layout, start: &[u8], is_query: bool) -> Result<()> {
    let view = ItemView::new(start).map_err(|damage| layout.damaged(damage))?;
    let is_index = layout.table_keys.is_some();
    if view.iter().count() != layout.count_names() {
        let is_told = is_query || is_index;
        return Err(if is_told { Invalid::StartKey } else { Invalid::StartKeySchema }.into());
    }
    if is_query || !is_index {
        return Ok(());
    }
    layout.own_attributes().try_for_each(|(attribute, role)| check_start_part(layout, start, attribute, role))
}

/// Refuses a start key whose attribute of this name is not there, or not of its type.
pub(crate) fn check_start_part(
    layout: &Layout,
    start: &[u8],
    attribute: &KeyAttribute,
    role: KeyRole,
) -> Result<()> {
    let view = ItemView::new(start).map_err(|damage| layout.damaged(damage))?;
    let found = view.get(attribute.name()).map_err(|damage| layout.damaged(damage))?;
    let found = viewed(layout, found.ok_or(Invalid::StartKey)?, attribute.key_type())?;
    check_given(found.ok_or(Invalid::KeySchema)?, role, attribute)
}

/// The stored key of a start key. A query begins behind it, within what it asks for.
pub(crate) fn start_key(
    layout: &Layout,
    range: &Range,
    within: Option<&Within>,
    start: &[u8],
) -> Result<Vec<u8>> {
    let key = of_item(layout, start).map_err(|_| Invalid::StartKeySchema)?;
    let Some(Within { partition, has_condition }) = within else { return Ok(key) };
    let own = partition_of(layout, &key).map_err(|damage| layout.damaged(damage))?;
    if !has_condition {
        return if own == partition { Ok(key) } else { Err(Invalid::StartKeyOutside.into()) };
    }
    // The condition on the sort key comes first: it is held against the same place of the partition that is asked for.
    let there = [partition, &key[own.len()..]].concat();
    if !is_within(range, &there) {
        return Err(Invalid::StartKeyRange.into());
    }
    if own == partition { Ok(key) } else { Err(Invalid::StartKeyPartition.into()) }
}

pub(crate) fn is_within(range: &Range, key: &[u8]) -> bool {
    let is_behind_start = match &range.from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= &from[..],
        Bound::Excluded(from) => key > &from[..],
    };
    let is_before_end = match &range.to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= &to[..],
        Bound::Excluded(to) => key < &to[..],
    };
    is_behind_start && is_before_end
}

/// The key's attributes as JSON, from a stored key.
pub(crate) fn to_value(layout: &Layout, key: &[u8]) -> Result<Value> {
    Ok(json::item_to_json(to_item(layout, key)?))
}

/// The key's attributes, from a stored key.
pub(crate) fn to_item(layout: &Layout, key: &[u8]) -> Result<Item> {
    let values = decode(layout, key).map_err(|damage| layout.damaged(damage))?;
    let names = layout.attributes().map(|(attribute, _)| attribute.name().to_owned());
    Ok(names.zip(values.into_iter().map(owned)).collect())
}

fn decode(layout: &Layout, key: &[u8]) -> Result<Vec<OwnedKeyValue>, KeyDamage> {
    let type_of = |(attribute, _): (&KeyAttribute, KeyRole)| attribute.key_type();
    let (mut values, rest) = key_codec::decode_first(key, layout.own_attributes().map(type_of))?;
    let table_key = layout.split_table_key(rest)?;
    values.extend(key_codec::decode_all(table_key, layout.table_attributes().map(type_of))?);
    Ok(values)
}

fn owned(value: OwnedKeyValue) -> AttributeValue {
    match value {
        OwnedKeyValue::S(text) => AttributeValue::S(text),
        OwnedKeyValue::N(number) => AttributeValue::N(number),
        OwnedKeyValue::B(bytes) => AttributeValue::B(bytes),
    }
}

/// The partition key within a stored key.
pub(crate) fn partition_of<'k>(layout: &Layout, key: &'k [u8]) -> Result<&'k [u8], KeyDamage> {
    let rest = skip(key, layout.keys.partition_attributes().len())?;
    Ok(&key[..key.len() - rest.len()])
}

/// The key of the item within the stored key of an entry of an index.
pub(crate) fn table_key_of<'k>(index: &Layout, key: &'k [u8]) -> Result<&'k [u8], KeyDamage> {
    index.split_table_key(skip(key, index.keys.attributes().count())?)
}

/// What follows so many values.
fn skip(key: &[u8], values: usize) -> Result<&[u8], KeyDamage> {
    (0..values).try_fold(key, |rest, _| key_codec::skip(rest))
}

/// The value of a stored partition key.
pub(crate) fn partition_to_value(table: &Table, partition: &[u8]) -> Result<Value> {
    let (value, _) = key_codec::decode(partition).map_err(|damage| table.damaged(damage))?;
    Ok(Value::from(owned(value)))
}

/// The stored keys whose partition key, a string or binary, begins so.
pub(crate) fn partitions_beginning_with(table: &Table, prefix: &str) -> Result<Range> {
    let all = KeyPrefix::new();
    let range = match table.keys.partition_key().key_type() {
        KeyType::String => all.sort_begins_with(KeyValue::S(prefix)),
        KeyType::Binary => all.sort_begins_with(KeyValue::B(prefix.as_bytes())),
        KeyType::Number if prefix.is_empty() => Some(all.all()),
        KeyType::Number => None,
    };
    Ok(range.ok_or(Invalid::BeginsWithNumber)?.into())
}

/// The bound behind all keys of a stored partition key.
pub(crate) fn behind_partition(partition: Vec<u8>) -> Bound<Vec<u8>> {
    Bound::Included(KeyPrefix::of_encoded(partition).all().end)
}
