//! `dynamite-copy` against the endpoint that `DYNAMODB_ENDPOINT` names, which is empty at first, and against one that misbehaves.
//!
//! `clients/run endpoints` runs this with our own server, with dynalite and with moto.

#[path = "../common/mod.rs"]
mod common;
mod interrupted;
mod misbehaving;
mod refused;
mod support;
mod there_and_back;
