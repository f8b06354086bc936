//! The AWS SDK for Rust against a server: see `tests/`.
