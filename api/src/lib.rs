//! DynaMite: an embedded document database for Linux, compatible with DynamoDB's data model.
//!
//! [`api::DynaMite`] is the database; its items are JSON objects, exact [`AttributeValue`]s, or values of one's own types.
//!
//! # The modules, in reading order
//!
//! [`types`], [`number`] and [`value`] are the data model, [`limits`] what DynamoDB refuses of it; [`json`] and
//! [`dynamodb_json`] are how programs and tools write it, [`typed_fields`] how serde writes fields of exact types.
//! [`key_codec`] and [`item_codec`] are how it is stored, [`expression`] is the language that finds and changes it, [`partiql`]
//! another one. [`calendar`] is for those who write times.
//! [`api`] is the database, one operation a file, and [`error`] what can go wrong.

#![forbid(unsafe_code)]

pub mod types;

pub mod number;

pub mod value;

pub mod limits;

pub mod json;

mod typed;

mod word;

pub mod dynamodb_json;

pub mod typed_fields;

pub mod key_codec;

pub mod item_codec;

pub mod expression;

pub mod partiql;

pub mod calendar;

pub mod api;

pub mod error;

pub use crate::error::{Error, Result};
pub use crate::number::Number;
pub use crate::value::{AttributeType, AttributeValue, Item};
