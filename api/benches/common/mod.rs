//! The documents that both benchmarks store: some 400 bytes of JSON with eight attributes, the same in every run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A document as a type of an application's own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) age: u32,
    pub(crate) score: f64,
    pub(crate) active: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) address: Address,
}

/// A map within the document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) street: String,
    pub(crate) city: String,
    pub(crate) region: String,
    pub(crate) postal_code: String,
    pub(crate) country: String,
}

/// A number that looks random and belongs to this one (SplitMix64's).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The key of a user, in no order that the numbers would tell.
pub(crate) fn id(number: u64) -> String {
    format!("user-{:019x}", u128::from(scatter(number)))
}

/// A user.
pub(crate) fn user(number: u64) -> Value {
    let random = scatter(number ^ 0xf00d);
    json!({
        "id": id(number),
        "name": format!("Grace {} Hopper", random % 1000),
        "email": format!("grace.hopper.{number:08}@customers.mail.example.org"),
        "age": 18 + random % 70,
        "score": ((random >> 8) as u32 | 1) as f64 / 1e6,
        "active": random.is_multiple_of(2),
        "tags": ["early-adopter", "newsletter", "verified", "support-tier-2", "mobile", "beta", "premium", "referral"],
        "address": {
            "street": format!("{} Great Northern Way", random % 2000),
            "city": "Santiago de Compostela",
            "region": format!("Administrative region {}", random % 50),
            "postal_code": format!("{:05}", random % 100_000),
            "country": "Switzerland",
        },
    })
}
