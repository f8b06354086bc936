//! Documents that look like an application's and are the same in every run: people, in some 400 bytes of JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;

/// Bytes of an `id`.
pub const KEY_BYTES: usize = 24;

/// Numbered people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct People {
    /// How many a database begins with.
    pub count: usize,
    /// Other seeds give other people.
    pub seed: u64,
}

/// A document as a type of an application's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The key: 24 hexadecimal digits.
    pub id: String,
    /// First and last name.
    pub name: String,
    /// Not twice the same.
    pub email: String,
    /// In years.
    pub age: u32,
    /// A number that is no integer.
    pub score: f64,
    /// True or false.
    pub active: bool,
    /// Eight words.
    pub tags: Vec<String>,
    /// A map within the document.
    pub address: Address,
}

/// Where somebody lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// With the number of the house.
    pub street: String,
    /// The town.
    pub city: String,
    /// What the town is a part of.
    pub region: String,
    /// Digits, but no number.
    pub postal_code: String,
    /// What the region is a part of.
    pub country: String,
}

const FIRST: [&str; 8] = ["Ada", "Barbara", "Christopher", "Donald", "Edsger", "Frances", "Grace", "Hedy"];
const LAST: [&str; 8] = ["Allen", "Dijkstra", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Strachey"];
const WORDS: [&str; 12] = [
    "early-adopter",
    "newsletter",
    "beta",
    "verified",
    "premium",
    "trial",
    "mobile",
    "desktop",
    "referral",
    "churn-risk",
    "enterprise",
    "support-tier-2",
];
const STREETS: [&str; 6] =
    ["Church Lane", "Station Road", "High Street", "Mill Hill", "Victoria Avenue", "Great Northern Way"];
const CITIES: [&str; 6] =
    ["Amsterdam", "Cambridge", "Lisbon", "Rotterdam", "Santiago de Compostela", "Zürich"];
const COUNTRIES: [&str; 5] = ["Netherlands", "United Kingdom", "Portugal", "Spain", "Switzerland"];

impl People {
    /// The key of a person. Different numbers have different ones, in no order that the numbers would tell.
    pub fn id(&self, number: usize) -> String {
        let mut random = Random(self.seed.wrapping_add(number as u64));
        // The first of SplitMix64's numbers depends on its state one to one, so they already differ in 16 digits.
        let (first, second) = (random.next(), random.next());
        format!("{first:016x}{:08x}", second as u32)
    }

    /// A person, in one of the versions that the same person may have.
    pub fn person(&self, number: usize, version: u64) -> Person {
        let mut random = Random(!self.seed.wrapping_add(number as u64) ^ (version << 40));
        let (first, last) = (choose(&mut random, &FIRST), choose(&mut random, &LAST));
        Person {
            id: self.id(number),
            name: format!("{first} {last}"),
            email: format!(
                "{}.{}.{number:08}@customers.mail.example.org",
                first.to_lowercase(),
                last.to_lowercase()
            ),
            age: 18 + random.below(70) as u32,
            score: fraction(&mut random, 10_000_000, 6),
            active: random.below(2) == 0,
            tags: (0..8).map(|_| choose(&mut random, &WORDS).to_owned()).collect(),
            address: Address {
                street: format!("{} {}", 1 + random.below(2000), choose(&mut random, &STREETS)),
                city: choose(&mut random, &CITIES).to_owned(),
                region: format!("Administrative region {}", random.below(50)),
                postal_code: format!("{:05}", random.below(100_000)),
                country: choose(&mut random, &COUNTRIES).to_owned(),
            },
        }
    }

    /// The same as a document.
    pub fn document(&self, number: usize, version: u64) -> Value {
        serde_json::to_value(self.person(number, version)).expect("strings, numbers and booleans are JSON")
    }

    /// A document of one of several groups: those of a group have an `id` in common, and each an `email` of its own.
    pub fn member(&self, number: usize, group_size: usize) -> Value {
        let mut document = self.document(number, 0);
        document["id"] = json!(self.id(number / group_size));
        document
    }

    /// A document of so many bytes of JSON, and a little less: a person with a history of many small maps.
    pub fn large_of_parts(&self, number: usize, version: u64, bytes: usize) -> Value {
        let mut document = self.document(number, version);
        let mut random = Random(version.wrapping_add(number as u64));
        let part = |nth: usize, random: &mut Random| {
            json!({"at": nth, "kind": choose(random, &WORDS), "amount": fraction(random, 1_000_000, 3),
                   "address": self.person(nth, version).address})
        };
        let length = |value: &Value| value.to_string().len() + 1;
        let mut left = bytes.saturating_sub(length(&document) + r#""history":[],"#.len());
        let mut history = Vec::new();
        loop {
            let next = part(history.len(), &mut random);
            let Some(rest) = left.checked_sub(length(&next)) else { break };
            left = rest;
            history.push(next);
        }
        document["history"] = Value::Array(history);
        document
    }

    /// A document of so many bytes of JSON: a person with one long text.
    pub fn large_of_text(&self, number: usize, version: u64, bytes: usize) -> Value {
        let mut document = self.document(number, version);
        let mut random = Random(version.wrapping_add(number as u64));
        let length = bytes.saturating_sub(document.to_string().len() + r#""text":"","#.len());
        let mut text = String::with_capacity(length + 32);
        while text.len() < length {
            text.push_str(choose(&mut random, &WORDS));
            text.push(' ');
        }
        text.truncate(length);
        document["text"] = json!(text);
        document
    }

    /// The numbers of all people in ascending order of their ids.
    pub fn ascending(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.count).collect();
        numbers.sort_by_cached_key(|number| self.id(*number));
        numbers
    }

    /// Bytes of all keys, and of all documents as JSON, about: of a thousand, and then so many times as much.
    pub fn raw_bytes(&self) -> u64 {
        let some = self.count.min(1000);
        let bytes: usize =
            (0..some).map(|number| self.document(number, 0).to_string().len() + KEY_BYTES).sum();
        bytes as u64 * self.count as u64 / some.max(1) as u64
    }
}

/// A number with so many digits behind the point, and never an integer: of those, some engines return an integer, as DynamoDB does.
fn fraction(random: &mut Random, bound: usize, digits: i32) -> f64 {
    (random.below(bound) * 10 + 7) as f64 / 10_f64.powi(digits)
}

fn choose(random: &mut Random, from: &[&'static str]) -> &'static str {
    from[random.below(from.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PEOPLE: People = People { count: 2_000, seed: 3 };

    #[test]
    fn a_document_has_eight_attributes_and_some_400_bytes() {
        assert_eq!(PEOPLE.document(1, 0).as_object().map(serde_json::Map::len), Some(8));
        let mean = PEOPLE.raw_bytes() / 2_000 - KEY_BYTES as u64;
        assert!((380..=420).contains(&mean), "{mean}");
    }

    #[test]
    fn ids_are_24_bytes_and_no_two_are_alike() {
        let ids: BTreeSet<String> = (0..PEOPLE.count).map(|number| PEOPLE.id(number)).collect();
        assert_eq!(ids.len(), PEOPLE.count);
        assert!(ids.iter().all(|id| id.len() == KEY_BYTES));
        let ascending: Vec<String> = PEOPLE.ascending().into_iter().map(|number| PEOPLE.id(number)).collect();
        assert!(ascending.iter().eq(&ids));
    }

    #[test]
    fn members_of_a_group_share_its_id_and_nothing_else() {
        let members: Vec<Value> = (200..300).map(|number| PEOPLE.member(number, 100)).collect();
        assert!(members.iter().all(|member| member["id"] == PEOPLE.id(2)));
        let emails: BTreeSet<&str> = members.iter().filter_map(|member| member["email"].as_str()).collect();
        assert_eq!(emails.len(), 100);
    }

    #[test]
    fn large_documents_are_as_large_as_was_asked_for_and_hardly_less() {
        for version in [0, 1] {
            let of_parts = PEOPLE.large_of_parts(1, version, 380_000).to_string().len();
            let of_text = PEOPLE.large_of_text(1, version, 380_000).to_string().len();
            assert!((379_000..=380_000).contains(&of_parts), "{of_parts}");
            assert_eq!(of_text, 380_000);
        }
    }

    #[test]
    fn each_version_is_another_document_with_the_same_id() {
        let versions = [0, 1, 2].map(|version| PEOPLE.person(5, version));
        assert!(versions.iter().all(|person| person.id == PEOPLE.id(5)));
        assert!(versions[0] != versions[1] && versions[1] != versions[2]);
    }
}
