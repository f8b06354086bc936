//! What of an item is wanted, and as what: all of it or a part, as JSON, with exact values or as a type of the user's.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::encoded::EncodedItem;
use crate::api::layout::Layout;
use crate::api::table::Table;
use crate::api::terms::Terms;
use crate::error::{Error, Invalid, Result};
use crate::expression::{self, Columns, Expressions};
use crate::item_codec::{self, DecodeError, ItemError, ItemView, ItemWriter};
use crate::json;
use crate::limits::{MAX_NAME_LEN, ValueError};
use crate::value::Item;

/// Makes of a stored item what was asked for.
pub(crate) struct Decode<T> {
    whole: fn(&[u8]) -> Result<T, DecodeError>,
    /// Only these attributes.
    part: fn(ItemView<'_>, &[Cow<'_, str>]) -> Result<T, DecodeError>,
}

impl<T> Clone for Decode<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Decode<T> {}

/// As JSON.
pub(crate) const AS_VALUE: Decode<Value> = Decode {
    whole: |item| Ok(item_codec::decode_json(item)?),
    part: |item, names| {
        let mut part = Map::new();
        for name in names {
            if let Some(value) = item.get(name)? {
                part.insert(name.clone().into_owned(), value.to_json()?);
            }
        }
        // An only attribute with such a name would be taken for a marker.
        if part.len() == 1 && part.keys().any(|name| name.starts_with('$')) {
            return (AS_ITEM.part)(item, names).map(json::item_to_json);
        }
        Ok(Value::Object(part))
    },
};

/// With exact attribute values.
pub(crate) const AS_ITEM: Decode<Item> = Decode {
    // Not `decode`, which holds the size against the limit: columns together may be larger than an item.
    whole: |item| Ok(ItemView::new(item)?.to_item()?),
    part: |item, names| {
        let mut part = Item::new();
        for name in names {
            if let Some(value) = item.get(name)? {
                part.insert(name.clone().into_owned(), value.to_value()?);
            }
        }
        Ok(part)
    },
};

/// In the stored form.
pub(crate) const AS_ENCODED: Decode<EncodedItem<'static>> = Decode {
    whole: |item| Ok(EncodedItem::stored(item.to_vec())),
    part: |item, names| write_part(item, names).map(EncodedItem::stored),
};

/// As a type of the user's.
pub(crate) const fn as_type<T: DeserializeOwned>() -> Decode<T> {
    Decode {
        whole: |item| item_codec::from_bytes(item),
        part: |item, names| item_codec::from_bytes(&write_part(item, names)?),
    }
}

/// The stored form of a part of an item.
fn write_part(item: ItemView<'_>, names: &[Cow<'_, str>]) -> Result<Vec<u8>, DecodeError> {
    let mut part = ItemWriter::new();
    for name in names {
        if let Some(value) = item.get(name)? {
            part.copy(name, value).map_err(unfit)?;
        }
    }
    part.finish().map_err(unfit)
}

/// A part of a stored item could be stored as well, so no other error than damage is to be expected.
fn unfit(error: ItemError) -> DecodeError {
    match error {
        ItemError::Damage(damage) => DecodeError::Damage(damage),
        ItemError::Value(error) => DecodeError::Mismatch(error.to_string()),
    }
}

/// Which part of an item is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) enum Projection<'a> {
    #[default]
    All,
    /// Attributes by their names, in order, each once.
    Attributes(Vec<Cow<'a, str>>),
    /// What is at the paths of an expression, some of which lead into attributes.
    Paths(Box<expression::Projection>),
    /// What is at some paths, each under a name of its own.
    Columns(Box<Columns>),
}

impl<'a> Projection<'a> {
    pub(crate) fn of<N: Into<Cow<'a, str>>>(names: impl IntoIterator<Item = N>) -> Projection<'a> {
        let mut names = names.into_iter().map(Into::into).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        Projection::Attributes(names)
    }

    /// What an expression says, where nothing was said by names.
    pub(crate) fn or(self, expression: Option<expression::Projection>) -> Projection<'a> {
        match expression {
            None => self,
            Some(paths) if paths.paths().all(expression::Path::is_top_level) => {
                Projection::of(paths.paths().map(|path| path.attribute().to_owned()))
            }
            Some(paths) => Projection::Paths(Box::new(paths)),
        }
    }

    /// Refuses names beside an expression, and such as no attribute has.
    #[inline]
    pub(crate) fn check(&self, expression: Option<&str>) -> Result<()> {
        match (self, expression) {
            (Projection::All, _) => Ok(()),
            (Projection::Attributes(names), None) => check_names(names),
            (_, None) => Ok(()),
            _ => Err(Invalid::Mixed { method: "AttributesToGet", expression: "ProjectionExpression" }.into()),
        }
    }

    /// The attributes that it needs of an item, as far as they are named.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        let (names, paths, columns) = match self {
            Projection::All => (&[][..], None, None),
            Projection::Attributes(names) => (&names[..], None, None),
            Projection::Paths(paths) => (&[][..], Some(paths), None),
            Projection::Columns(columns) => (&[][..], None, Some(columns)),
        };
        let paths = paths.into_iter().flat_map(|paths| paths.paths());
        let columns = columns.into_iter().flat_map(|columns| columns.paths());
        names.iter().map(|name| &**name).chain(paths.chain(columns).map(expression::Path::attribute))
    }

    pub(crate) fn into_owned(self) -> Projection<'static> {
        let owned = |name: Cow<'a, str>| Cow::Owned(name.into_owned());
        match self {
            Projection::All => Projection::All,
            Projection::Attributes(names) => Projection::Attributes(names.into_iter().map(owned).collect()),
            Projection::Paths(paths) => Projection::Paths(paths),
            Projection::Columns(columns) => Projection::Columns(columns),
        }
    }

    /// Decodes what is wanted of an item.
    #[inline]
    pub(crate) fn decode<T>(&self, layout: &Layout, item: &[u8], decode: Decode<T>) -> Result<T> {
        let decoded = match self {
            Projection::All => (decode.whole)(item),
            Projection::Attributes(names) => {
                ItemView::new(item).map_err(Into::into).and_then(|item| (decode.part)(item, names))
            }
            Projection::Paths(paths) => decode_part(item, decode, |item| paths.project(item)),
            Projection::Columns(columns) => decode_part(item, decode, |item| columns.take(item)),
        };
        decoded.map_err(|error| match error {
            DecodeError::Damage(damage) => layout.damaged(damage),
            DecodeError::Mismatch(reason) => Error::Decode(reason),
        })
    }
}

fn check_names(names: &[Cow<'_, str>]) -> Result<()> {
    match names.iter().find(|name| name.len() > MAX_NAME_LEN) {
        Some(name) => Err(Error::Value(ValueError::NameTooLong { len: name.len() })),
        None => Ok(()),
    }
}

/// Decodes what is at the paths. (By itself, so that what decodes whole items stays small.)
#[inline(never)]
fn decode_part<T>(
    item: &[u8],
    decode: Decode<T>,
    part: impl FnOnce(ItemView<'_>) -> Result<Vec<u8>, ItemError>,
) -> Result<T, DecodeError> {
    let part = ItemView::new(item).map_err(ItemError::from).and_then(part);
    part.map_err(unfit).and_then(|part| (decode.whole)(&part))
}

/// The part of an item that is wanted, as a builder is told of it.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) projection: Projection<'a>,
    pub(crate) terms: Terms<'a>,
}

/// A [`Wanted`] whose expression was read, and not yet held against a table.
#[derive(Debug)]
pub(crate) struct Compiled<'a> {
    projection: Projection<'a>,
    expressions: Option<Box<Expressions>>,
}

impl<'a> Wanted<'a> {
    #[inline]
    pub(crate) fn compile(self) -> Result<Compiled<'a>> {
        self.projection.check(self.terms.projection())?;
        let expressions = self.terms.compile()?.map(Box::new);
        Ok(Compiled { projection: self.projection, expressions })
    }
}

impl<'a> Compiled<'a> {
    /// A projection that is what it is.
    pub(crate) fn of(projection: Projection<'a>) -> Compiled<'a> {
        Compiled { projection, expressions: None }
    }

    #[inline]
    pub(crate) fn resolve(self, table: &Table) -> Result<Projection<'a>> {
        match self.expressions {
            None => Ok(self.projection),
            Some(expressions) => resolve(self.projection, *expressions, table),
        }
    }
}

#[inline(never)]
fn resolve<'a>(
    projection: Projection<'a>,
    expressions: Expressions,
    table: &Table,
) -> Result<Projection<'a>> {
    expressions.check_projection(&table.keys, &table.index_keys())?;
    Ok(projection.or(expressions.projection))
}

/// The methods of a builder with the field `wanted`.
macro_rules! projects {
    ($($wanted:tt).+) => {
        /// Only these attributes: the others are not decoded.
        pub fn attributes<N: Into<std::borrow::Cow<'a, str>>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.$($wanted).+.projection = crate::api::projection::Projection::of(names);
            self
        }

        /// Only what is at these paths, in DynamoDB's language: `age, address.city, tags[0]`.
        pub fn projection(mut self, expression: &'a str) -> Self {
            self.$($wanted).+.terms.say().projection = Some(expression);
            self
        }

        crate::api::terms::name_placeholders!($($wanted).+.terms);
    };
}

pub(crate) use projects;
