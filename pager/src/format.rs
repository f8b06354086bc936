//! What the bytes in the file mean: page ids and pointers, pages, checksums, the header and its manifest.
//!
//! `docs/format.md` has all of it in one place; the byte tables here are the ones that tests hold to the code. The
//! pages of the free-space structure are described with it, in `space/page.rs`.

pub mod page_id;

pub mod page;

pub mod checksum;

pub mod header;

pub mod manifest;

pub mod describe;
