//! Attribute values: from the JSON of requests, with the service's texts for what is none.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dynamite_core::api::EncodedItem;
use dynamite_core::limits::ValueError;
use dynamite_core::{AttributeType, AttributeValue, Item, Number};

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::decode_blob;

/// Why JSON is no attribute value: a text, which some operations put in a sentence.
pub(crate) type Refusal = String;

/// An item, or a key, of a field that there must be.
pub(crate) fn item_of(request: &Json<'_>, field: &str) -> Answer<Item> {
    item(request.object(field).unwrap_or_default()).map_err(Failure::validation)
}

/// An item that is to be written, as far as it was read.
pub(crate) enum Given {
    Encoded(EncodedItem<'static>),
    /// One about which something is out of the ordinary.
    Item(Item),
}

impl Given {
    /// The item of a request.
    pub(crate) fn of(request: &Json<'_>) -> Answer<Given> {
        match request.field("Item") {
            Some(Json::Item(item)) => Ok(Given::Encoded(item.clone())),
            _ => item_of(request, "Item").map(Given::Item),
        }
    }

    /// The item within the limits of items.
    pub(crate) fn encode(self) -> Answer<EncodedItem<'static>> {
        match self {
            Given::Encoded(item) => Ok(item),
            Given::Item(item) => Ok(EncodedItem::of(item)?),
        }
    }
}

/// The attributes of an item.
pub(crate) fn item(entries: &[(Cow<'_, str>, Json<'_>)]) -> Result<Item, Refusal> {
    entries.iter().map(|(name, json)| Ok((name.clone().into_owned(), value(json)?))).collect()
}

/// What the question marks of a statement stand for.
pub(crate) fn parameters(request: &Json<'_>) -> Answer<Vec<AttributeValue>> {
    let values = request.array("Parameters").unwrap_or_default().iter().map(value);
    values.collect::<Result<_, _>>().map_err(Failure::validation)
}

/// An attribute value. The types of the JSON were checked.
pub(crate) fn value(json: &Json<'_>) -> Result<AttributeValue, Refusal> {
    let mut found = None;
    let mut count = 0;
    for (name, content) in json.as_object().unwrap_or_default() {
        let Some(kind) = AttributeType::from_name(name).filter(|_| *content != Json::Null) else { continue };
        found = Some(typed(kind, content)?);
        count += 1;
    }
    let several = || "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
    match found {
        None => Err("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
            .to_owned()),
        Some(_) if count > 1 => Err(several().to_owned()),
        Some(value) => Ok(value),
    }
}

fn typed(kind: AttributeType, content: &Json<'_>) -> Result<AttributeValue, Refusal> {
    Ok(match kind {
        AttributeType::S => AttributeValue::S(text(content).to_owned()),
        AttributeType::N => AttributeValue::N(number(text(content))?),
        AttributeType::B => AttributeValue::B(bytes(content)?),
        AttributeType::Bool => AttributeValue::Bool(content.as_bool().unwrap_or_default()),
        AttributeType::Null if content.as_bool() == Some(true) => AttributeValue::Null,
        AttributeType::Null => {
            let text = "One or more parameter values were invalid: Null attribute value types must have the value of true";
            return Err(text.to_owned());
        }
        AttributeType::M => AttributeValue::M(item(content.as_object().unwrap_or_default())?),
        AttributeType::L => {
            let elements = content.as_array().unwrap_or_default().iter().map(value);
            AttributeValue::L(elements.collect::<Result<_, _>>()?)
        }
        AttributeType::Ss => AttributeValue::Ss(set(kind, content, |member| Ok(text(member).to_owned()))?),
        AttributeType::Ns => AttributeValue::Ns(set(kind, content, |member| number(text(member)))?),
        AttributeType::Bs => AttributeValue::Bs(set(kind, content, bytes)?),
    })
}

fn text<'j>(json: &'j Json<'_>) -> &'j str {
    json.as_str().unwrap_or_default()
}

fn number(text: &str) -> Result<Number, Refusal> {
    text.parse::<Number>().map_err(|error| error.to_string())
}

fn bytes(json: &Json<'_>) -> Result<Vec<u8>, Refusal> {
    decode_blob(text(json)).map_err(|failure| failure.message().to_owned())
}

fn set<T: Ord>(
    kind: AttributeType,
    content: &Json<'_>,
    member: impl Fn(&Json<'_>) -> Result<T, Refusal>,
) -> Result<BTreeSet<T>, Refusal> {
    let given = content.as_array().unwrap_or_default();
    if given.is_empty() {
        return Err(ValueError::EmptySet { set: kind }.to_string());
    }
    let members = given.iter().map(member).collect::<Result<BTreeSet<T>, Refusal>>()?;
    if members.len() < given.len() {
        let members = given.iter().map(|member| text(member).to_owned()).collect();
        return Err(ValueError::DuplicateInSet { set: kind, members }.to_string());
    }
    Ok(members)
}
