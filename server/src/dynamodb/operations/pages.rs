//! What Query and Scan share: how pages are asked for, and how they are told.

use dynamite_core::api::EncodedItem;
use dynamite_core::api::{Consumed, Page, PageCount};
use dynamite_core::{Item, json};

use crate::dynamodb::attributes;
use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::reply::ReplyJson;

/// Which attributes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// Those that are named, or else those that there are.
    Default,
    All,
    Count,
}

impl Select {
    /// Refuses what contradicts itself.
    pub(crate) fn of(request: &Json<'_>) -> Answer<Select> {
        let names = ["AttributesToGet", "ProjectionExpression"].into_iter().find(|name| request.has(name));
        let refuse = |text: String| Err(Failure::validation(text));
        match (request.str("Select"), names) {
            (Some("SPECIFIC_ATTRIBUTES"), None) => refuse(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
                    .to_owned(),
            ),
            (Some("COUNT"), Some(name)) => {
                refuse(format!("Cannot specify the {name} when choosing to get only the Count"))
            }
            (Some(select @ ("ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES")), Some(name)) => {
                refuse(format!("Cannot specify the {name} when choosing to get {select}"))
            }
            (Some("ALL_PROJECTED_ATTRIBUTES"), None) if !request.has("IndexName") => {
                refuse("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName".to_owned())
            }
            (Some("ALL_ATTRIBUTES"), _) => Ok(Select::All),
            (Some("COUNT"), _) => Ok(Select::Count),
            _ => Ok(Select::Default),
        }
    }
}

/// The key to start behind.
pub(crate) fn start_key(request: &Json<'_>) -> Answer<Option<Item>> {
    let Some(key) = request.object("ExclusiveStartKey") else { return Ok(None) };
    // The service puts some of the texts into a sentence, and others not.
    const ALONE: &[&str] = &[
        "contains duplicates",
        "number set",
        "numeric value",
        "significant digits",
        "number with magnitude",
    ];
    let key = attributes::item(key).map_err(|text| match ALONE.iter().any(|words| text.contains(words)) {
        true => Failure::validation(text),
        false => Failure::validation(format!("The provided starting key is invalid: {text}")),
    });
    key.map(Some)
}

/// Says to a builder of a query or a scan what both may be told.
macro_rules! ask {
    ($builder:expr, $request:expr, $said:expr, $names:expr, $select:expr, $start:expr, $consumed:expr) => {{
        let mut builder = crate::dynamodb::expressions::with_placeholders!($builder, $said);
        if let Some(index) = $request.str("IndexName") {
            builder = builder.index(index);
        }
        if let Some(names) = $names {
            builder = builder.attributes(names);
        }
        if let Some(projection) = &$said.projection {
            builder = builder.projection(projection);
        }
        if let Some(filter) = &$said.filter {
            builder = builder.filter(filter);
        }
        if $select == crate::dynamodb::operations::pages::Select::All {
            builder = builder.all_attributes();
        }
        if let Some(limit) = $request.integer("Limit") {
            builder = builder.limit(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        if let Some(start) = $start {
            builder = builder.exclusive_start_key(start);
        }
        if crate::dynamodb::capacity::Wanted::of($request).is_any() {
            builder = builder.consumed($consumed);
        }
        builder.consistent($request.bool("ConsistentRead").unwrap_or_default())
    }};
}

/// Reads a page, or only counts one.
macro_rules! read {
    ($builder:expr, $select:expr) => {
        match $select {
            crate::dynamodb::operations::pages::Select::Count => {
                $builder.count_page().map(crate::dynamodb::operations::pages::Read::Counted)
            }
            _ => $builder.execute_encoded().map(crate::dynamodb::operations::pages::Read::Items),
        }
    };
}

pub(crate) use {ask, read};

/// What was read.
pub(crate) enum Read {
    Items(Page<EncodedItem<'static>>),
    Counted(PageCount),
}

/// Tells a page.
pub(crate) fn tell(request: &Json<'_>, read: Read, consumed: &Consumed) -> Answer {
    let (items, PageCount { count, scanned_count, last_evaluated_key, .. }) = match read {
        Read::Items(Page { items, scanned_count, last_evaluated_key }) => {
            let count = PageCount { count: items.len(), scanned_count, last_evaluated_key };
            (Some(items), count)
        }
        Read::Counted(count) => (None, count),
    };
    let last_evaluated_key = last_evaluated_key.map(json::item_from_json).transpose();
    let last_evaluated_key = last_evaluated_key.map_err(|error| Failure::internal(error.to_string()))?;
    let rate = Rate::of(request.bool("ConsistentRead").unwrap_or_default());
    let consumed_capacity = capacity::describe_one(&consumed.take(), Wanted::of(request), rate);
    let mut reply = ReplyJson::new();
    if let Some(items) = &items {
        reply.items("Items", items)?;
    }
    reply.field("Count", &count)?;
    reply.field("ScannedCount", &scanned_count)?;
    reply.optional("LastEvaluatedKey", last_evaluated_key.as_ref())?;
    reply.optional("ConsumedCapacity", consumed_capacity.as_ref())?;
    reply.end()
}
