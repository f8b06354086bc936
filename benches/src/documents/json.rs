//! Documents as JSON text in an engine of keys and values. What is wanted as a [`Value`] is parsed as one, what is wanted as a type
//! is parsed as that, without a `Value` in between, and one attribute as a type with one field, so that the parser skips the rest.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{DocumentSession, Documents, FoundBy, Person};
use crate::peers::{Config, Database, Engine, Failure, KINDS, Outcome, Row, Session};

/// More than any byte of UTF-8: with it a key ends that is behind all keys with the same beginning.
const BEHIND_TEXT: u8 = 0xff;

pub(super) fn open(name: &str, directory: &Path, config: &Config) -> Outcome<Box<dyn Documents>> {
    let kind = KINDS.iter().find(|kind| kind.name == name).ok_or("no such engine")?;
    Ok(Box::new(JsonDocuments((kind.open)(directory, config)?)))
}

struct JsonDocuments(Box<dyn Engine>);

impl Database for JsonDocuments {
    fn close(self: Box<Self>) -> Outcome<()> {
        self.0.close()
    }
}

impl Documents for JsonDocuments {
    fn session(&self) -> Outcome<Box<dyn DocumentSession + '_>> {
        Ok(Box::new(JsonSession(self.0.session()?)))
    }
}

struct JsonSession<'a>(Box<dyn Session + 'a>);

/// What is asked for when only one attribute is.
#[derive(Deserialize)]
struct Contact {
    email: String,
}

impl JsonSession<'_> {
    #[inline]
    fn find<T: for<'de> Deserialize<'de>>(&mut self, id: &str) -> Outcome<Option<T>> {
        let mut found = None;
        self.0.get(id.as_bytes(), &mut |text| found = Some(serde_json::from_slice(text)))?;
        Ok(found.transpose()?)
    }
}

impl DocumentSession for JsonSession<'_> {
    fn get(&mut self, id: &str) -> Outcome<Option<Value>> {
        self.find(id)
    }

    fn email(&mut self, id: &str) -> Outcome<Option<String>> {
        Ok(self.find::<Contact>(id)?.map(|contact| contact.email))
    }

    fn person(&mut self, id: &str) -> Outcome<Option<Person>> {
        self.find(id)
    }

    fn put(&mut self, document: &Value) -> Outcome<()> {
        let key = key(FoundBy::Id, document)?;
        self.0.put(&key, &serde_json::to_vec(document)?)
    }

    fn put_many(&mut self, found_by: FoundBy, documents: &[Value]) -> Outcome<()> {
        let encode = |document: &Value| Ok((key(found_by, document)?, serde_json::to_vec(document)?));
        let mut rows = documents.iter().map(encode).collect::<Outcome<Vec<(Vec<u8>, Vec<u8>)>>>()?;
        // In the order of the keys, so that each page is come to once; DynaMite does it for its users.
        rows.sort_unstable();
        self.0.put_many(&rows.iter().map(|(key, text)| -> Row<'_> { (key, text) }).collect::<Vec<_>>())
    }

    fn query(&mut self, id: &str) -> Outcome<Vec<Value>> {
        let end = [id.as_bytes(), &[BEHIND_TEXT]].concat();
        let (mut found, mut failed) = (Vec::new(), Ok(()));
        self.0.range(id.as_bytes(), &end, &mut |_, text| match serde_json::from_slice(text) {
            Ok(document) => found.push(document),
            Err(error) => failed = Err(Failure::from(error)),
        })?;
        failed.map(|()| found)
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&Value)) -> Outcome<()> {
        let mut failed = Ok(());
        self.0.for_each(&mut |_, text| match serde_json::from_slice(text) {
            Ok(document) => visit(&document),
            Err(error) => failed = Err(Failure::from(error)),
        })?;
        failed
    }

    fn count(&mut self) -> Outcome<u64> {
        Ok(self.0.scan()?.rows)
    }
}

fn key(found_by: FoundBy, document: &Value) -> Outcome<Vec<u8>> {
    let part = |name: &str| document[name].as_str().ok_or_else(|| format!("the document has no {name}"));
    Ok(match found_by {
        FoundBy::Id => part("id")?.as_bytes().to_vec(),
        FoundBy::IdAndEmail => [part("id")?, part("email")?].concat().into_bytes(),
    })
}
