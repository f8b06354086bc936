//! What the tests of expressions share: requests and items as JSON.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;

use dynamite_core::Item;
use dynamite_core::expression::{ExpressionError, Expressions};
use dynamite_core::item_codec::{decode, encode_json};
use serde_json::Value;

/// The item of a JSON object.
#[track_caller]
pub(crate) fn item(json: Value) -> Item {
    decode(&encode_json(&json).unwrap()).unwrap()
}

/// Reads the expressions of a request: by the names of DynamoDB's parameters without `Expression`, and `names` and `values`.
pub(crate) fn build(request: &Value) -> Result<Expressions, ExpressionError> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let names: Option<BTreeMap<String, String>> = request.get("names").map(|names| {
        let names = names.as_object().unwrap().iter();
        names.map(|(key, name)| (key.clone(), name.as_str().unwrap().to_owned())).collect()
    });
    let values = request.get("values").map(|values| item(values.clone()));
    Expressions::builder()
        .condition(text("condition"))
        .filter(text("filter"))
        .key_condition(text("key"))
        .projection(text("projection"))
        .update(text("update"))
        .names(names.as_ref())
        .values(values.as_ref())
        .build()
}
