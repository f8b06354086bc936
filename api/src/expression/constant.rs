//! Values that a request brings along, encoded once for all the items that they are compared with.

use crate::item_codec::{ItemError, ItemView, ItemWriter, ValueView};
use crate::limits::ValueError;
use crate::value::{AttributeType, AttributeValue};

/// A value in its stored form.
#[derive(Debug)]
pub(super) struct Constant {
    /// An item whose only attribute is the value.
    item: Vec<u8>,
    kind: AttributeType,
}

const NAME: &str = "v";

impl Constant {
    pub(super) fn new(value: &AttributeValue) -> Result<Constant, ValueError> {
        let mut writer = ItemWriter::new();
        let item = writer.put(NAME, value).and_then(|()| writer.finish()).map_err(|error| match error {
            ItemError::Value(error) => error,
            ItemError::Damage(damage) => unreachable!("nothing was copied, but there is damage: {damage}"),
        })?;
        Ok(Constant { item, kind: value.attribute_type() })
    }

    pub(super) fn attribute_type(&self) -> AttributeType {
        self.kind
    }

    pub(super) fn view(&self) -> ValueView<'_> {
        let value = ItemView::new(&self.item).and_then(|item| item.get(NAME));
        value.ok().flatten().expect("the item was encoded with this attribute")
    }

    pub(super) fn to_value(&self) -> AttributeValue {
        self.view().to_value().expect("it was encoded from a value")
    }
}

/// As DynamoDB prints values in its errors.
pub(crate) fn describe(value: &AttributeValue) -> String {
    let text = match value {
        AttributeValue::S(text) => text.clone(),
        AttributeValue::N(number) => number.to_string(),
        AttributeValue::B(bytes) => {
            let len = bytes.len();
            format!("java.nio.HeapByteBuffer[pos=0 lim={len} cap={len}]")
        }
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Null => "true".to_owned(),
        other => format!("{other:?}"),
    };
    format!("AttributeValue: {{{}:{text}}}", value.attribute_type())
}
