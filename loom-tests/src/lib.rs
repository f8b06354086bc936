//! Loom models of the lock-free types.

#![forbid(unsafe_code)]
