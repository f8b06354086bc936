//! CSV: attributes as columns, with a hint of the type in each heading.
//!
//! A heading is `name:TYPE`, where the type is one of DynamoDB's ten, or `JSON` for a column of several. Without a type it is `S`. A cell that
//! is empty is an attribute that the item does not have. So that every item comes back as it was, texts and bytes that are empty, and
//! attributes of more than one type, go into columns of JSON.
//!
//! ```text
//! type            cell
//! --------------  -------------------------------------------------
//! S, N            the text, the number
//! B               base64
//! BOOL, NULL      true or false; null
//! M, L            JSON, as dynamite_core::json has it
//! SS, NS, BS      a JSON array of the members; bytes in base64
//! JSON            JSON, as dynamite_core::json has it, sets marked
//! ```

use std::collections::BTreeMap;

use csv::StringRecord;
use dynamite_core::api::EncodedItem;
use dynamite_core::item_codec::{ItemDamage, ValueView};
use dynamite_core::{AttributeType, AttributeValue, Item};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::json_text;

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellType {
    One(AttributeType),
    Json,
}

impl CellType {
    fn of_name(name: &str) -> Option<CellType> {
        if name == "JSON" { Some(CellType::Json) } else { AttributeType::from_name(name).map(CellType::One) }
    }

    fn as_str(self) -> &'static str {
        match self {
            CellType::One(one) => one.as_str(),
            CellType::Json => "JSON",
        }
    }
}

/// The columns of a file: names and types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<(String, CellType)>);

impl Columns {
    /// The columns of these headings; `hints` are `name=TYPE`, and count more than what stands in a heading.
    pub(crate) fn of_headings(headings: &StringRecord, hints: &[String]) -> Result<Columns, String> {
        let mut types = BTreeMap::new();
        for hint in hints {
            let parts = hint.rsplit_once('=');
            let parts = parts.and_then(|(name, cell_type)| Some((name, CellType::of_name(cell_type)?)));
            let (name, cell_type) = parts
                .ok_or_else(|| format!("{hint:?} is no name=TYPE with one of DynamoDB's types, or JSON"))?;
            types.insert(name.to_owned(), cell_type);
        }
        let mut columns: Vec<(String, CellType)> = Vec::new();
        for heading in headings {
            let hinted = heading.rsplit_once(':');
            let hinted = hinted.and_then(|(name, cell_type)| Some((name, CellType::of_name(cell_type)?)));
            let (name, cell_type) = hinted.unwrap_or((heading, CellType::One(AttributeType::S)));
            if name.is_empty() || columns.iter().any(|(other, _)| other == name) {
                return Err(format!("the heading {heading:?} names no column, or one that is there already"));
            }
            columns.push((name.to_owned(), types.remove(name).unwrap_or(cell_type)));
        }
        if let Some(name) = types.keys().next() {
            return Err(format!("there is no column {name:?}"));
        }
        if columns.is_empty() { Err("there are no headings".to_owned()) } else { Ok(Columns(columns)) }
    }

    pub(crate) fn headings(&self) -> StringRecord {
        self.0.iter().map(|(name, cell_type)| format!("{name}:{}", cell_type.as_str())).collect()
    }

    /// The item of a record.
    pub(crate) fn item(&self, record: &StringRecord) -> Result<Item, String> {
        if record.len() != self.0.len() {
            return Err(format!("there are {} columns, and {} cells here", self.0.len(), record.len()));
        }
        let cells = self.0.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
        let attribute = |((name, cell_type), cell): (&(String, CellType), &str)| {
            let value = value_of(*cell_type, cell).map_err(|reason| format!("column {name}: {reason}"))?;
            Ok((name.clone(), value))
        };
        cells.map(attribute).collect()
    }

    /// The record of an item, from which the item comes back as it is.
    ///
    /// # Errors
    ///
    /// An attribute that has no column, or one of another type.
    pub(crate) fn record(&self, item: &EncodedItem<'_>) -> Result<StringRecord, Unfit> {
        let view = item.view()?;
        let mut told = 0;
        let cell = |(name, cell_type): &(String, CellType)| {
            let Some(value) = view.get(name)? else { return Ok(String::new()) };
            told += 1;
            let found = cell_type_of(&value)?;
            if *cell_type != CellType::Json && found != *cell_type {
                let column = format!("{name}:{}", cell_type.as_str());
                return Err(Unfit::OtherType { column, found: value.attribute_type() });
            }
            Ok(cell_of(*cell_type, value.to_value()?))
        };
        let record = self.0.iter().map(cell).collect::<Result<_, Unfit>>()?;
        if told < view.iter().count() {
            for entry in view.iter() {
                let (name, _) = entry?;
                if self.0.iter().all(|(column, _)| column != name) {
                    return Err(Unfit::NoColumn { name: name.to_owned() });
                }
            }
        }
        Ok(record)
    }
}

/// Why an item cannot be a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Damaged(#[from] ItemDamage),

    #[error("an item has an attribute {name:?}, for which there is no column")]
    NoColumn { name: String },

    #[error("an item has a value for the column {column:?} that does not fit it: {found}, or empty")]
    OtherType { column: String, found: AttributeType },
}

/// What the columns of items must be, as far as items have been seen.
#[derive(Debug, Default)]
pub(crate) struct Survey(BTreeMap<String, CellType>);

impl Survey {
    pub(crate) fn add(&mut self, item: &EncodedItem<'_>) -> Result<(), ItemDamage> {
        for entry in item.view()?.iter() {
            let (name, value) = entry?;
            let seen = cell_type_of(&value)?;
            match self.0.get_mut(name) {
                Some(known) if *known != seen => *known = CellType::Json,
                Some(_) => {}
                None => drop(self.0.insert(name.to_owned(), seen)),
            }
        }
        Ok(())
    }

    /// The columns, those of the key first.
    pub(crate) fn columns<'k>(mut self, keys: impl Iterator<Item = &'k str>) -> Columns {
        let mut columns: Vec<(String, CellType)> =
            keys.filter_map(|name| Some((name.to_owned(), self.0.remove(name)?))).collect();
        columns.extend(self.0);
        Columns(columns)
    }
}

/// The type of a column of this value alone.
fn cell_type_of(value: &ValueView<'_>) -> Result<CellType, ItemDamage> {
    let is_empty =
        value.as_str()?.is_some_and(str::is_empty) || value.as_bytes().is_some_and(<[u8]>::is_empty);
    Ok(if is_empty { CellType::Json } else { CellType::One(value.attribute_type()) })
}

fn cell_of(cell_type: CellType, value: AttributeValue) -> String {
    match (cell_type, value) {
        (CellType::One(AttributeType::S), AttributeValue::S(text)) => text,
        (CellType::One(AttributeType::N), AttributeValue::N(number)) => number.to_string(),
        (CellType::One(AttributeType::Bool), AttributeValue::Bool(value)) => value.to_string(),
        (CellType::One(AttributeType::Null), AttributeValue::Null) => "null".to_owned(),
        (CellType::One(AttributeType::M | AttributeType::L) | CellType::Json, value) => {
            Value::from(value).to_string()
        }
        // What is marked in JSON stands here without its mark.
        (CellType::One(_), value) => match Value::from(value) {
            Value::Object(marked) => match marked.into_values().next() {
                Some(Value::String(text)) => text,
                Some(members) => members.to_string(),
                None => String::new(),
            },
            other => other.to_string(),
        },
    }
}

fn value_of(cell_type: CellType, cell: &str) -> Result<AttributeValue, String> {
    let CellType::One(one) = cell_type else { return of_json(cell) };
    let marked = |mark: &str, value: Value| {
        let object = Map::from_iter([(mark.to_owned(), value)]);
        AttributeValue::try_from(Value::Object(object)).map_err(|error| error.to_string())
    };
    let members = || json_text::read(cell).map_err(|error| error.to_string());
    match one {
        AttributeType::S => Ok(AttributeValue::S(cell.to_owned())),
        AttributeType::N => cell.trim().parse().map(AttributeValue::N).map_err(|error| format!("{error}")),
        AttributeType::B => marked("$binary", cell.into()),
        AttributeType::Bool => match cell.to_ascii_lowercase().as_str() {
            "true" => Ok(AttributeValue::Bool(true)),
            "false" => Ok(AttributeValue::Bool(false)),
            _ => Err(format!("{cell:?} is neither true nor false")),
        },
        AttributeType::Null => match cell.to_ascii_lowercase().as_str() {
            "null" | "true" => Ok(AttributeValue::Null),
            _ => Err(format!("{cell:?} is not null")),
        },
        AttributeType::Ss => marked("$ss", members()?),
        AttributeType::Ns => marked("$ns", members()?),
        AttributeType::Bs => marked("$bs", members()?),
        AttributeType::M | AttributeType::L => match of_json(cell)? {
            value if value.attribute_type() == one => Ok(value),
            value => Err(format!("the JSON is {}, not {one}", value.attribute_type())),
        },
    }
}

fn of_json(cell: &str) -> Result<AttributeValue, String> {
    let json = json_text::read(cell).map_err(|error| error.to_string())?;
    AttributeValue::try_from(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every kind of value, alone in its column, with others, and where it is empty.
    #[test]
    fn every_item_comes_back_as_it_was() {
        let items = [
            json!({"id": 1, "s": "a,\"b\"\n", "n": 0.5, "b": {"$binary": "AQID"}, "t": true, "z": null, "mixed": "1"}),
            json!({"id": 2, "m": {"x": [1, {"$ss": ["a"]}]}, "l": [null, {"$number": "1.00000000000000000001"}]}),
            json!({"id": 3, "ss": {"$ss": ["a", ""]}, "ns": {"$ns": [1, {"$number": "1E+50"}]}, "mixed": 1}),
            json!({"id": 4, "bs": {"$bs": ["AA==", ""]}, "empty": "", "void": {"$binary": ""}, "mixed": {"$ss": ["1"]}}),
            json!({"id": 5, "empty": "text", "void": {"$binary": "AA=="}, "m": {"$$ss": 1}, "odd:name:N": 1, "z": null}),
        ];
        let encoded: Vec<EncodedItem<'_>> =
            items.iter().map(|item| EncodedItem::of(item).expect("it is an item")).collect();
        let mut survey = Survey::default();
        encoded.iter().for_each(|item| survey.add(item).expect("it is whole"));
        let columns = survey.columns(["id"].into_iter());
        let headings = columns.headings();
        assert_eq!(headings.get(0), Some("id:N"));
        for heading in ["mixed:JSON", "empty:JSON", "void:JSON", "odd:name:N:N", "ns:NS", "m:M"] {
            assert!(headings.iter().any(|found| found == heading), "{heading} in {headings:?}");
        }
        assert_eq!(Columns::of_headings(&headings, &[]), Ok(columns.clone()));
        for item in encoded {
            let record = columns.record(&item).expect("it is whole");
            let back = EncodedItem::of(columns.item(&record).expect("it is an item")).expect("it is an item");
            assert_eq!(back, item, "{record:?}");
        }
    }

    /// Columns that were chosen for other items leave nothing out, and make nothing something else.
    #[test]
    fn an_item_that_does_not_fit_its_columns_is_no_record() {
        let headings = StringRecord::from(vec!["id:S", "s:S", "n:N", "b:B", "any:JSON"]);
        let columns = Columns::of_headings(&headings, &[]).expect("they are headings");
        let record = |item: Value| columns.record(&EncodedItem::of(item).expect("it is an item"));
        assert!(record(json!({"id": "x", "any": {"$ss": ["a"]}})).is_ok());
        assert!(record(json!({"id": "x", "s": "a", "n": 1, "b": {"$binary": "AA=="}})).is_ok());
        let none = Unfit::NoColumn { name: "more".to_owned() };
        assert_eq!(record(json!({"id": "x", "s": "a", "more": 1, "n": 1})), Err(none));
        for (item, column, found) in [
            (json!({"id": "x", "s": 1}), "s:S", AttributeType::N),
            (json!({"id": "x", "n": "1"}), "n:N", AttributeType::S),
            (json!({"id": "x", "b": "AA=="}), "b:B", AttributeType::S),
            (json!({"id": "x", "s": ""}), "s:S", AttributeType::S),
            (json!({"id": "x", "b": {"$binary": ""}}), "b:B", AttributeType::B),
        ] {
            assert_eq!(record(item), Err(Unfit::OtherType { column: column.to_owned(), found }));
        }
    }

    #[test]
    fn hints_count_more_than_headings() {
        let headings = StringRecord::from(vec!["id", "age", "a:b"]);
        let columns = Columns::of_headings(&headings, &["age=N".to_owned()]).expect("they are headings");
        let item = columns.item(&StringRecord::from(vec!["x", " 7 ", ""])).expect("it is an item");
        assert_eq!(item, Item::from([("id".to_owned(), "x".into()), ("age".to_owned(), 7.into())]));
        for (hint, reason) in [("age=X", "no name=TYPE"), ("age", "no name=TYPE"), ("years=N", "no column")] {
            let error = Columns::of_headings(&headings, &[hint.to_owned()]).expect_err(hint);
            assert!(error.contains(reason), "{error}");
        }
        assert!(Columns::of_headings(&StringRecord::from(vec!["a", "a:N"]), &[]).is_err());
    }

    #[test]
    fn a_cell_that_is_not_of_its_type_is_refused_by_its_column() {
        for (heading, cell) in [
            ("x:N", "one"),
            ("x:B", "?"),
            ("x:BOOL", "yes"),
            ("x:NULL", "nil"),
            ("x:SS", "a"),
            ("x:NS", "[\"a\"]"),
            ("x:M", "[]"),
            ("x:L", "{}"),
            ("x:JSON", "a"),
            ("x:SS", "[]"),
        ] {
            let columns =
                Columns::of_headings(&StringRecord::from(vec![heading]), &[]).expect("it is a heading");
            let error = columns.item(&StringRecord::from(vec![cell])).expect_err(heading);
            assert!(error.starts_with("column x: "), "{error}");
        }
    }
}
