//! Sets and binaries in users' structs.
//!
//! `serde` knows no sets, and takes a `Vec<u8>` for a sequence of numbers: without a word from the user, both become
//! lists. These modules are that word, as `#[serde(with = "…")]`:
//!
//! ```
//! use std::collections::{BTreeSet, HashSet};
//!
//! use dynamite_core::item_codec::{decode_json, from_bytes, to_bytes};
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! struct Photo {
//!     id: u32,
//!     #[serde(with = "dynamite_core::typed_fields::binary")]
//!     thumbnail: Vec<u8>,
//!     #[serde(with = "dynamite_core::typed_fields::string_set")]
//!     tags: HashSet<String>,
//!     #[serde(with = "dynamite_core::typed_fields::number_set", default, skip_serializing_if = "BTreeSet::is_empty")]
//!     years: BTreeSet<i32>,
//! }
//!
//! let photo = Photo {
//!     id: 1,
//!     thumbnail: vec![1, 2, 3],
//!     tags: ["sea".to_owned()].into(),
//!     years: [2020, 2015].into(),
//! };
//! let bytes = to_bytes(&photo)?;
//! let json = json!({
//!     "id": 1,
//!     "thumbnail": {"$binary": "AQID"},
//!     "tags": {"$ss": ["sea"]},
//!     "years": {"$ns": [2015, 2020]},
//! });
//! assert_eq!(decode_json(&bytes)?, json);
//! assert_eq!(from_bytes::<Photo>(&bytes)?, photo);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A set cannot be stored empty: leave the field out then, as above. Reading needs no such word for sets of strings and
//! numbers; the modules read lists as well. In other formats than our own, sets are sequences and binaries are base64 or
//! bytes.

/// A collection of strings as a set.
pub mod string_set {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::typed::{self, TypedSet};

    /// For `#[serde(with)]`.
    pub fn serialize<'a, T, M, S>(members: &'a T, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a T: IntoIterator<Item = &'a M>,
        M: AsRef<str> + 'a,
        S: Serializer,
    {
        let members: BTreeSet<&str> = members.into_iter().map(AsRef::as_ref).collect();
        serde::Serialize::serialize(&TypedSet(typed::STRING_SET, || &members), serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// A collection of numbers as a set.
pub mod number_set {
    use std::collections::BTreeSet;
    use std::fmt::Display;

    use serde::ser::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::number::Number;
    use crate::typed::{self, TypedSet};

    /// For `#[serde(with)]`.
    pub fn serialize<'a, T, M, S>(members: &'a T, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a T: IntoIterator<Item = &'a M>,
        M: Copy + 'a,
        Number: TryFrom<M, Error: Display>,
        S: Serializer,
    {
        let members: Result<BTreeSet<Number>, _> =
            members.into_iter().map(|member| Number::try_from(*member)).collect();
        let members = members.map_err(S::Error::custom)?;
        serde::Serialize::serialize(&TypedSet(typed::NUMBER_SET, || &members), serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// A collection of binaries as a set.
pub mod binary_set {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::typed::{self, Bytes, TypedSet};

    /// For `#[serde(with)]`.
    pub fn serialize<'a, T, M, S>(members: &'a T, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a T: IntoIterator<Item = &'a M>,
        M: AsRef<[u8]> + 'a,
        S: Serializer,
    {
        let members: BTreeSet<&[u8]> = members.into_iter().map(AsRef::as_ref).collect();
        let members = TypedSet(typed::BINARY_SET, || members.iter().map(|member| Bytes(*member)));
        serde::Serialize::serialize(&members, serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromIterator<Vec<u8>>,
        D: Deserializer<'de>,
    {
        let members = Vec::<Bytes<Vec<u8>>>::deserialize(deserializer)?;
        Ok(members.into_iter().map(|member| member.0).collect())
    }
}

/// Bytes as a binary.
pub mod binary {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::typed::Bytes;

    /// For `#[serde(with)]`.
    pub fn serialize<T: AsRef<[u8]> + ?Sized, S: Serializer>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&Bytes(bytes.as_ref()), serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Ok(Bytes::deserialize(deserializer)?.0.into())
    }
}
