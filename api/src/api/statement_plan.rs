//! What a statement of PartiQL is to do, once its table is known: which ranges of keys a read goes through and in which order, or
//! which change of which item a write is.

use std::cmp::Ordering;
use std::ops::Bound;

use dynamite_txn::Range;

use crate::api::index::{IndexKind, Projection as Held};
use crate::api::index_read::Look;
use crate::api::key::{self, KeyArguments};
use crate::api::layout::Layout;
use crate::api::projection::Projection;
use crate::api::table::{Place, Table};
use crate::api::transact_action::What;
use crate::api::update::ReturnValues;
use crate::error::{Invalid, Result};
use crate::expression::{Condition, Expressions, SortKeyTest, by_slot};
use crate::item_codec;
use crate::partiql::{
    self, Branch, KeyPart, Keys, MAX_READS, Order, Returning, Rule, Statement, StatementError, StatementKind,
    Translation,
};
use crate::types::{KeyAttribute, KeySchema};
use crate::value::AttributeValue;

/// A read.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    /// In the order in which they are read.
    pub(crate) ranges: Vec<Stretch>,
    pub(crate) filter: Option<Condition>,
    pub(crate) projection: Projection<'static>,
    pub(crate) look: Look,
}

/// Keys that follow each other.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) range: Range,
    /// The partition, empty for all of them.
    partition: Vec<u8>,
    /// Whether there is but one.
    pub(crate) is_item: bool,
}

/// A write of one item.
#[derive(Debug)]
pub(crate) struct WritePlan {
    pub(crate) what: What,
    /// The item that is inserted.
    pub(crate) item: Option<Vec<u8>>,
    /// The stored key of the item, if it is not inserted.
    pub(crate) key: Result<Vec<u8>>,
    pub(crate) expressions: Expressions,
    pub(crate) returns: ReturnValues,
}

/// The place that a statement reads.
pub(crate) fn place<'t>(statement: &Statement, table: &'t Table, consistent: bool) -> Result<Place<'t>> {
    let index = statement.source.index.as_deref();
    if index.is_some_and(|name| table.indexes.find(name).is_none()) {
        return Err(Rule::NoIndex.broken().into());
    }
    let place = table.place(index)?;
    let keys = &place.layout().keys;
    if keys.partition_attributes().len() > 1 || keys.sort_attributes().len() > 1 {
        return Err(Rule::MultiAttributeKey.broken().into());
    }
    if consistent && place.index.is_some_and(|index| index.kind == IndexKind::Global) {
        return Err(Rule::ConsistentGlobal.broken().into());
    }
    Ok(place)
}

/// What a SELECT reads of a place.
pub(crate) fn read(
    statement: &Statement,
    parameters: &[AttributeValue],
    place: Place<'_>,
    projection: Projection<'static>,
) -> Result<ReadPlan> {
    let layout = place.layout();
    let keys = keys_of(&layout.keys);
    let mut translation = Translation::new(statement, parameters);
    let expressions = condition(statement, &mut translation)?;
    let StatementKind::Select { order, .. } = &statement.kind else {
        return Err(Rule::ExistsAlone.broken().into());
    };
    let branches = match statement.condition {
        Some(root) => partiql::branches(statement, &translation, root, keys)?,
        None => None,
    };
    let (sort_descends, partition_descends) =
        directions(order, keys, statement.condition.is_some(), branches.as_deref())?;
    let is_exact = branches.iter().flatten().all(|branch| !branch.has_more) && branches.is_some();
    let mut ranges = match &branches {
        None => vec![Stretch { range: Range::all(), partition: Vec::new(), is_item: false }],
        Some(branches) => stretches(layout, branches)?,
    };
    check_held(place, branches.as_deref().unwrap_or_default())?;
    let look = Look::of(place, false, &projection, None)?;
    expressions.check_conditions(&place.table.keys, &place.table.index_keys())?;
    ranges.sort_by(|one, other| {
        let by = |order: Ordering, descends| if descends { order.reverse() } else { order };
        by(one.partition.cmp(&other.partition), partition_descends)
            .then_with(|| by(compare_from(&one.range.from, &other.range.from), sort_descends))
    });
    check_partitions(&ranges, order, keys)?;
    ranges.iter_mut().for_each(|stretch| stretch.range.reverse = sort_descends);
    let filter = expressions.condition.filter(|_| !is_exact);
    Ok(ReadPlan { ranges, filter, projection, look })
}

/// What is selected.
pub(crate) fn projection(statement: &Statement) -> Result<Projection<'static>> {
    match &statement.kind {
        StatementKind::Select { columns: Some(columns), .. } => {
            Ok(Projection::Columns(Box::new(partiql::columns(statement, columns)?)))
        }
        _ => Ok(Projection::All),
    }
}

/// Refuses a SELECT that nothing can be read by, whatever there is.
pub(crate) fn check(statement: &Statement, parameters: &[AttributeValue]) -> Result<()> {
    projection(statement)?;
    condition(statement, &mut Translation::new(statement, parameters)).map(drop)
}

/// What stands behind WHERE, as a condition.
fn condition(statement: &Statement, translation: &mut Translation<'_>) -> Result<Expressions> {
    translation.check_parameters()?;
    let text = statement.condition.map(|root| translation.condition_text(root)).transpose()?;
    Ok(translation.compile(text.as_deref(), None)?)
}

/// The key of a SELECT that is by its whole key and nothing else; `None` if it is another one.
pub(crate) fn whole_key(
    statement: &Statement,
    parameters: &[AttributeValue],
    table: &Table,
) -> Result<Option<Vec<(String, AttributeValue)>>> {
    let mut translation = Translation::new(statement, parameters);
    // What is wrong with the condition comes before what is missing in it.
    condition(statement, &mut translation)?;
    let Some(root) = statement.condition else { return Ok(None) };
    let keys = keys_of(&table.keys);
    let equal = partiql::equalities(statement, &translation, keys, true)?;
    if let Some(branches) = partiql::branches(statement, &translation, root, keys)? {
        match branches.len() {
            0..=MAX_READS => {}
            _ => return Err(Rule::TooManyReads.broken().into()),
        }
        // Types of keys are looked at by whoever asks for the item.
        if !equal.rest.is_empty() {
            stretches(table, &branches)?;
        }
    }
    let name = |part| if part == KeyPart::Partition { keys.partition } else { keys.sort.unwrap_or_default() };
    let is_whole = equal.rest.is_empty() && equal.values.len() == table.keys.attributes().count();
    Ok(is_whole
        .then(|| equal.values.into_iter().map(|(part, value)| (name(part).to_owned(), value)).collect()))
}

/// The change that a statement stands for.
pub(crate) fn write(
    statement: &Statement,
    parameters: &[AttributeValue],
    table: &Table,
) -> Result<WritePlan> {
    if statement.source.index.is_some() {
        let rule = match statement.kind {
            StatementKind::Exists => Rule::ExistsOfIndex,
            _ => Rule::IndexOfWrite,
        };
        return Err(rule.broken().into());
    }
    let mut translation = Translation::new(statement, parameters);
    translation.check_parameters()?;
    let partition = table.keys.partition_key().name();
    if let StatementKind::Insert { item } = &statement.kind {
        let item = item_codec::encode(&translation.item(*item)?)?;
        let condition = format!("attribute_not_exists({})", translation.name(partition));
        let expressions = translation.compile(Some(&condition), None)?;
        return Ok(WritePlan {
            what: What::Insert,
            item: Some(item),
            key: Err(Rule::NoKey.broken().into()),
            expressions,
            returns: ReturnValues::None,
        });
    }
    // What is wrong with the whole comes before what is wrong with its parts.
    statement.condition.map(|root| translation.condition_text(root)).transpose()?;
    let equal = partiql::equalities(statement, &translation, keys_of(&table.keys), false)?;
    let is_check = matches!(statement.kind, StatementKind::Exists);
    let key = key_of(table, &equal.values, is_check);
    let rest = equal.rest.iter().map(|id| Ok(format!("({})", translation.condition_text(*id)?)));
    let rest = rest.collect::<Result<Vec<_>>>()?;
    let text = (!rest.is_empty()).then(|| rest.join(" AND "));
    let (what, update, condition, returning) = match &statement.kind {
        StatementKind::Update { actions, returning } => {
            let update = translation.update_text(actions)?;
            let exists = format!("attribute_exists({})", translation.name(partition));
            let condition = text.map_or_else(|| exists.clone(), |text| format!("{exists} AND {text}"));
            (What::Update, Some(update), Some(condition), *returning)
        }
        StatementKind::Delete { returning } => {
            let name = translation.name(partition);
            // Of an item that is not there nothing is asked.
            let condition = text.map(|text| format!("attribute_not_exists({name}) OR {text}"));
            (What::Delete, None, condition, *returning)
        }
        _ => match (text, &key) {
            (Some(text), Ok(_)) => (What::Check, None, Some(text), None),
            _ => return Err(Rule::ExistsOfOne.broken().into()),
        },
    };
    let expressions = translation.compile(condition.as_deref(), update.as_deref())?;
    let returns = match returning {
        None => ReturnValues::None,
        Some(Returning::AllOld) => ReturnValues::AllOld,
        Some(Returning::AllNew) => ReturnValues::AllNew,
        Some(Returning::ModifiedOld) => ReturnValues::UpdatedOld,
        Some(Returning::ModifiedNew) => ReturnValues::UpdatedNew,
    };
    Ok(WritePlan { what, item: None, key, expressions, returns })
}

fn keys_of(keys: &KeySchema) -> Keys<'_> {
    Keys { partition: keys.partition_key().name(), sort: keys.sort_key().map(KeyAttribute::name) }
}

/// The stored key that equalities name. Of several values of one attribute a check takes the first, and a write none.
fn key_of(table: &Table, values: &[(KeyPart, AttributeValue)], is_check: bool) -> Result<Vec<u8>> {
    let of = |part| values.iter().filter(move |(other, _)| *other == part).map(|(_, value)| value);
    let one = |part, attribute: &KeyAttribute| -> Result<&AttributeValue, StatementError> {
        let value = of(part).next().ok_or_else(|| Rule::NoKey.broken())?;
        if !is_check && of(part).any(|other| other != value) {
            return Err(Rule::SeveralKeys { name: attribute.name().to_owned() }.broken());
        }
        check_type(attribute, value)?;
        Ok(value)
    };
    let partition = one(KeyPart::Partition, table.keys.partition_key())?;
    let arguments = match table.keys.sort_key() {
        None => KeyArguments::of(partition),
        Some(attribute) => KeyArguments::of_both(partition, one(KeyPart::Sort, attribute)?),
    };
    arguments.encode(table)
}

fn check_type(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), StatementError> {
    match value.attribute_type().as_str() == attribute.key_type().letter() {
        true => Ok(()),
        false => Err(Rule::KeyType { name: attribute.name().to_owned() }.broken()),
    }
}

/// Whether sort keys and partitions come in descending order. A sort key that an order does not mention does.
fn directions(
    order: &[Order],
    keys: Keys<'_>,
    has_condition: bool,
    branches: Option<&[Branch]>,
) -> Result<(bool, bool), StatementError> {
    if order.is_empty() {
        return Ok((false, false));
    }
    if !has_condition {
        return Err(Rule::OrderWithoutCondition.broken());
    }
    let is_key = |order: &&Order| order.attribute == keys.partition || Some(&*order.attribute) == keys.sort;
    if let Some(other) = order.iter().find(|order| !is_key(order)) {
        return Err(Rule::OrderByOther { name: other.attribute.clone() }.broken());
    }
    if branches.is_none() {
        return Err(Rule::OrderWithoutPartition.broken());
    }
    let descends = |name: Option<&str>| {
        order.iter().find(|order| Some(&*order.attribute) == name).map(|order| order.descending)
    };
    Ok((descends(keys.sort).unwrap_or(true), descends(Some(keys.partition)).unwrap_or(false)))
}

/// Refuses an order of several partitions that does not say how they follow each other.
fn check_partitions(ranges: &[Stretch], order: &[Order], keys: Keys<'_>) -> Result<(), StatementError> {
    let is_ordered = order.is_empty() || order.iter().any(|order| order.attribute == keys.partition);
    let has_several = ranges.windows(2).any(|pair| pair[0].partition != pair[1].partition);
    if has_several && !is_ordered { Err(Rule::OrderOfPartitions.broken()) } else { Ok(()) }
}

/// Refuses a read of an index by its key, if all its branches look at what the index does not hold.
fn check_held(place: Place<'_>, branches: &[Branch]) -> Result<(), StatementError> {
    let Some(index) = place.index.filter(|index| index.projection != Held::All) else { return Ok(()) };
    let mut told = Vec::new();
    for branch in branches {
        let mut names: Vec<&String> = Vec::new();
        for name in branch.names.iter().filter(|name| !index.holds(name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let partition = branch.tests.iter().find(|test| test.part == KeyPart::Partition);
        let partition = match partition.map(|test| &test.test) {
            Some(SortKeyTest::Eq(AttributeValue::S(text))) => text.as_str(),
            _ => "",
        };
        told.push((partition, names));
    }
    // One of them is told of: the first in the order of a hash.
    let count = told.len();
    by_slot(&mut told, count, |(partition, _)| partition);
    let Some((_, names)) = told.first_mut() else { return Ok(()) };
    let count = names.len();
    by_slot(names, count, |name| name.as_str());
    let names = names.iter().map(|name| (*name).clone()).collect();
    Err(Rule::NotInIndex { index: index.name.clone(), names }.broken())
}

/// The ranges of the branches, none of which is empty, or meets another one.
fn stretches(layout: &Layout, branches: &[Branch]) -> Result<Vec<Stretch>> {
    if branches.len() > MAX_READS {
        return Err(Rule::TooManyReads.broken().into());
    }
    let mut found: Vec<Stretch> = Vec::with_capacity(branches.len());
    // Where something of the sort key is denied, whole partitions are read, each once.
    let whole = branches.iter().any(|branch| branch.denies_sort);
    for branch in branches {
        let Some(stretch) = stretch(layout, branch, whole)? else { continue };
        if whole && found.iter().any(|other| other.partition == stretch.partition) {
            continue;
        }
        let meets = |other: &Stretch| !is_empty(&intersection(other.range.clone(), &stretch.range));
        if found.iter().any(meets) {
            return Err(Rule::Overlap.broken().into());
        }
        found.push(stretch);
    }
    Ok(found)
}

/// The range of a branch, unless its conditions contradict each other.
fn stretch(layout: &Layout, branch: &Branch, whole: bool) -> Result<Option<Stretch>> {
    let (mut partition, mut range, mut is_item) = (None::<&AttributeValue>, Range::all(), false);
    let attribute = layout.keys.partition_key();
    for test in branch.tests.iter().filter(|test| test.part == KeyPart::Partition) {
        let SortKeyTest::Eq(value) = &test.test else { continue };
        check_type(attribute, value)?;
        if partition.is_some_and(|other| other != value) {
            return Ok(None);
        }
        partition = Some(value);
    }
    let Some(partition) = partition else { return Err(Invalid::KeySchema.into()) };
    let (all, within) = key::partition_range(layout, KeyArguments::of(partition), Vec::new())?;
    range = intersection(range, &all);
    for test in branch.tests.iter().filter(|test| test.part == KeyPart::Sort) {
        let Some(attribute) = layout.keys.sort_key() else { continue };
        match &test.test {
            SortKeyTest::Between(low, high) => {
                check_type(attribute, low)?;
                check_type(attribute, high)?;
            }
            SortKeyTest::Eq(value)
            | SortKeyTest::Lt(value)
            | SortKeyTest::Le(value)
            | SortKeyTest::Gt(value)
            | SortKeyTest::Ge(value)
            | SortKeyTest::BeginsWith(value) => check_type(attribute, value)?,
        }
        is_item |= matches!(test.test, SortKeyTest::Eq(_));
        let (part, _) = key::partition_range(layout, KeyArguments::of(partition), vec![test.test.clone()])?;
        if !whole {
            range = intersection(range, &part);
        }
    }
    // Of an index, several items may have one key.
    let is_item = (is_item || layout.keys.sort_key().is_none()) && layout.table_keys.is_none() && !whole;
    let stretch = Stretch { range, partition: within.into_partition(), is_item };
    Ok((!is_empty(&stretch.range)).then_some(stretch))
}

/// The keys that are in both ranges.
fn intersection(one: Range, other: &Range) -> Range {
    let Range { from, to, reverse } = one;
    let from = if compare_from(&from, &other.from) == Ordering::Less { other.from.clone() } else { from };
    let to = if compare_to(&to, &other.to) == Ordering::Greater { other.to.clone() } else { to };
    Range { from, to, reverse }
}

/// Which of two ranges begins first.
fn compare_from(from: &Bound<Vec<u8>>, other: &Bound<Vec<u8>>) -> Ordering {
    match (from, other) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Less,
        (_, Bound::Unbounded) => Ordering::Greater,
        (Bound::Included(one) | Bound::Excluded(one), Bound::Included(two) | Bound::Excluded(two)) => {
            one.cmp(two).then(is_excluded(from).cmp(&is_excluded(other)))
        }
    }
}

/// Which of two ranges ends first.
fn compare_to(to: &Bound<Vec<u8>>, other: &Bound<Vec<u8>>) -> Ordering {
    match (to, other) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Greater,
        (_, Bound::Unbounded) => Ordering::Less,
        (Bound::Included(one) | Bound::Excluded(one), Bound::Included(two) | Bound::Excluded(two)) => {
            one.cmp(two).then(is_excluded(other).cmp(&is_excluded(to)))
        }
    }
}

fn is_excluded(bound: &Bound<Vec<u8>>) -> bool {
    matches!(bound, Bound::Excluded(_))
}

fn is_empty(range: &Range) -> bool {
    let (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) =
        (&range.from, &range.to)
    else {
        return false;
    };
    from > to || (from == to && (is_excluded(&range.from) || is_excluded(&range.to)))
}
