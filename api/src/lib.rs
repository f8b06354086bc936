//! DynaMite: an embedded document database for Linux, compatible with DynamoDB's data model.
//!
//! # The modules, in reading order
//!
//! `types`, `number` and `value` are the data model; `key_codec` and `item_codec` are how it is stored.

#![forbid(unsafe_code)]

pub mod types;

pub mod number;

pub mod key_codec;
