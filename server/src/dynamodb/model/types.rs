//! The types of a body: the first value of a type that its shape does not allow is refused, in the service's words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Field, Shape};
use crate::dynamodb::errors::Failure;
use crate::dynamodb::json::{Json, bool_of_text};

/// Where a value stands: the service words it differently for fields of a structure and for members of lists and maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    Member,
}

/// The fields of an attribute value.
const TYPES: &[(&str, Content)] = &[
    ("S", Content::Of(Shape::String)),
    ("B", Content::Of(Shape::Blob)),
    ("N", Content::Of(Shape::String)),
    ("BOOL", Content::Of(Shape::Boolean)),
    ("NULL", Content::Of(Shape::Boolean)),
    ("BS", Content::List(Shape::Blob)),
    ("NS", Content::List(Shape::String)),
    ("SS", Content::List(Shape::String)),
    ("L", Content::List(Shape::AttributeValue)),
    ("M", Content::Map),
];

enum Content {
    Of(Shape),
    List(Shape),
    Map,
}

const NOT_EXPECTED: &str = "Start of structure or map found where not expected";
const FIELD_TYPE: &str = "Unexpected field type";
const VALUE_TYPE: &str = "Unexpected value type in payload";
const NO_CLASS: &str = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class \
    java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base \
    of loader 'bootstrap')";

/// Refuses a body with a value of a wrong type.
pub(crate) fn check_types(body: &Json<'_>, fields: &'static [Field]) -> Result<(), Failure> {
    match body {
        Json::Object(_) => {}
        Json::Array(_) => return refuse("Unrecognized collection type class java.lang.Object"),
        _ => return refuse("Unexpected token received from parser"),
    }
    fields.iter().try_for_each(|field| check(body.field(field.name), field.shape, Place::Field))
}

fn refuse(text: impl Into<String>) -> Result<(), Failure> {
    Err(Failure::serialization(text))
}

fn check(value: Option<&Json<'_>>, shape: Shape, place: Place) -> Result<(), Failure> {
    let Some(value) = value.filter(|value| **value != Json::Null) else { return Ok(()) };
    match shape {
        Shape::String | Shape::Boolean | Shape::Integer | Shape::Long => check_scalar(value, shape),
        Shape::Blob => check_blob(value),
        Shape::AttributeValue => check_attribute_value(value, place),
        Shape::List(member) => check_list(value, member.shape, place),
        Shape::Map(member) => check_map(value, member.shape, place),
        Shape::Item => check_map(value, Shape::AttributeValue, place),
        Shape::Structure(structure) => {
            check_structure(value, shape, place)?;
            let check = |field: &Field| check(value.field(field.name), field.shape, Place::Field);
            structure.fields.iter().try_for_each(check)
        }
    }
}

fn check_scalar(value: &Json<'_>, shape: Shape) -> Result<(), Failure> {
    let found = match value {
        Json::Array(_) => return refuse(format!("Unrecognized collection type class {}", shape.class())),
        Json::Object(_) | Json::Item(_) => return refuse(NOT_EXPECTED),
        Json::Null => return Ok(()),
        Json::String(text) => match shape {
            Shape::String => return Ok(()),
            Shape::Boolean if bool_of_text(text).is_some() => return Ok(()),
            Shape::Boolean => return refuse("Unexpected token received from parser"),
            _ => "STRING_VALUE",
        },
        Json::Bool(_) if matches!(shape, Shape::Boolean) => return Ok(()),
        Json::Bool(true) => "TRUE_VALUE",
        Json::Bool(false) => "FALSE_VALUE",
        Json::Integer(_) | Json::Decimal(_) if matches!(shape, Shape::Integer | Shape::Long) => {
            return Ok(());
        }
        Json::Decimal(value) if value.fract() != 0.0 => "DECIMAL_VALUE",
        Json::Integer(_) | Json::Decimal(_) => "NUMBER_VALUE",
    };
    let to = match shape {
        Shape::Boolean => "Boolean",
        Shape::Integer => "Integer",
        Shape::Long => "Long",
        _ => "String",
    };
    refuse(format!("{found} cannot be converted to {to}"))
}

fn check_blob(value: &Json<'_>) -> Result<(), Failure> {
    match value {
        Json::Array(_) => refuse("Unrecognized collection type class java.nio.ByteBuffer"),
        Json::Object(_) => refuse(NOT_EXPECTED),
        Json::String(text) => decode_blob(text).map(drop),
        _ => refuse("only base-64-encoded strings are convertible to bytes"),
    }
}

/// The bytes that base64 stands for.
pub(crate) fn decode_blob(text: &str) -> Result<Vec<u8>, Failure> {
    if !text.len().is_multiple_of(4) {
        let text =
            format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len());
        return Err(Failure::serialization(text));
    }
    STANDARD
        .decode(text)
        .map_err(|_| Failure::serialization("Invalid last non-pad Base64 character dectected"))
}

fn check_list(value: &Json<'_>, member: Shape, place: Place) -> Result<(), Failure> {
    match value {
        Json::Array(elements) => {
            elements.iter().try_for_each(|element| check(Some(element), member, Place::Member))
        }
        Json::Object(_) => refuse(NOT_EXPECTED),
        _ => refuse(if place == Place::Field { FIELD_TYPE } else { NO_CLASS }),
    }
}

fn check_map(value: &Json<'_>, member: Shape, place: Place) -> Result<(), Failure> {
    match value {
        Json::Object(entries) => {
            entries.iter().try_for_each(|(_, value)| check(Some(value), member, Place::Member))
        }
        // All was checked while it was encoded.
        Json::Item(_) => Ok(()),
        Json::Array(_) => refuse(format!(
            "Unrecognized collection type java.util.Map<java.lang.String, {}>",
            member.class()
        )),
        _ => refuse(if place == Place::Field { FIELD_TYPE } else { NO_CLASS }),
    }
}

fn check_structure(value: &Json<'_>, shape: Shape, place: Place) -> Result<(), Failure> {
    match value {
        Json::Object(_) => Ok(()),
        Json::Array(_) => refuse(format!("Unrecognized collection type class {}", shape.class())),
        _ => refuse(if place == Place::Field { FIELD_TYPE } else { VALUE_TYPE }),
    }
}

/// The depth of values is bounded by that of the JSON.
fn check_attribute_value(value: &Json<'_>, place: Place) -> Result<(), Failure> {
    check_structure(value, Shape::AttributeValue, place)?;
    for (name, content) in value.as_object().unwrap_or_default() {
        let Some((_, shape)) = TYPES.iter().find(|(other, _)| other == name) else { continue };
        match (shape, content) {
            (_, Json::Null) => {}
            (Content::Of(shape), content) => check(Some(content), *shape, Place::Field)?,
            (Content::List(shape), content) => check_list(content, *shape, Place::Field)?,
            (Content::Map, content) => check_map(content, Shape::AttributeValue, Place::Field)?,
        }
    }
    Ok(())
}
