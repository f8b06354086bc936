//! DynaMite: an embedded document database for Linux, compatible with DynamoDB's data model.
//!
//! # The modules, in reading order
//!
//! [`types`], [`number`] and [`value`] are the data model, [`limits`] is what DynamoDB refuses of it. [`json`] is how most
//! programs write it. [`key_codec`] is how keys are stored.

#![forbid(unsafe_code)]

pub mod types;

pub mod number;

pub mod value;

pub mod limits;

pub mod json;

pub mod key_codec;

pub use crate::number::Number;
pub use crate::value::{AttributeType, AttributeValue, Item};
