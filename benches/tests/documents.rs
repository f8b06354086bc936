//! Every engine that stores documents gives back what was put: otherwise the fastest would be the one that does least.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use dynamite_benches::documents::{DocumentSession, Documents, FoundBy, KINDS, People};
use dynamite_benches::peers::Config;
use dynamite_benches::scratch::Scratch;
use serde_json::Value;

const PEOPLE: People = People { count: 500, seed: 11 };

const CONFIG: Config = Config { cache_bytes: 8 << 20, sessions: 4, exceeds_memory: false };

#[test]
fn a_document_is_found_whole_in_part_and_as_a_type() {
    each_engine(|engine| {
        let mut session = engine.session().unwrap();
        load(&mut *session);
        for number in 0..PEOPLE.count {
            let (id, person) = (PEOPLE.id(number), PEOPLE.person(number, 0));
            assert_eq!(session.get(&id).unwrap(), Some(PEOPLE.document(number, 0)));
            assert_eq!(session.email(&id).unwrap().as_ref(), Some(&person.email));
            assert_eq!(session.person(&id).unwrap(), Some(person));
        }
        let missing = PEOPLE.id(PEOPLE.count);
        assert_eq!(session.get(&missing).unwrap(), None);
        assert_eq!(session.email(&missing).unwrap(), None);
        assert_eq!(session.person(&missing).unwrap(), None);
    });
}

#[test]
fn a_put_replaces_the_document_of_its_id_and_no_other() {
    each_engine(|engine| {
        let mut session = engine.session().unwrap();
        load(&mut *session);
        session.put(&PEOPLE.document(7, 1)).unwrap();
        assert_eq!(session.get(&PEOPLE.id(7)).unwrap(), Some(PEOPLE.document(7, 1)));
        assert_eq!(session.get(&PEOPLE.id(8)).unwrap(), Some(PEOPLE.document(8, 0)));
        assert_eq!(session.count().unwrap(), PEOPLE.count as u64);
    });
}

#[test]
fn a_scan_shows_every_document_once_in_the_order_of_the_ids() {
    each_engine(|engine| {
        let mut session = engine.session().unwrap();
        load(&mut *session);
        let mut found = Vec::new();
        session.scan(&mut |document| found.push(document.clone())).unwrap();
        let expected: Vec<Value> =
            PEOPLE.ascending().into_iter().map(|number| PEOPLE.document(number, 0)).collect();
        assert_eq!(found, expected);
        assert_eq!(session.count().unwrap(), PEOPLE.count as u64);
    });
}

#[test]
fn a_query_shows_a_whole_group_by_email_and_no_other() {
    const GROUP: usize = 100;
    each_engine(|engine| {
        let mut session = engine.session().unwrap();
        let members: Vec<Value> = (0..PEOPLE.count).map(|number| PEOPLE.member(number, GROUP)).collect();
        session.put_many(FoundBy::IdAndEmail, &members).unwrap();
        for group in 0..PEOPLE.count / GROUP {
            let mut expected = members[group * GROUP..][..GROUP].to_vec();
            expected.sort_by_key(|document| document["email"].as_str().unwrap().to_owned());
            assert_eq!(session.query(&PEOPLE.id(group)).unwrap(), expected);
        }
        assert_eq!(session.query(&PEOPLE.id(PEOPLE.count)).unwrap(), Vec::<Value>::new());
    });
}

#[test]
fn large_documents_come_back_as_they_were_put() {
    each_engine(|engine| {
        let mut session = engine.session().unwrap();
        for version in [0, 1] {
            for large in
                [PEOPLE.large_of_parts(1, version, 380_000), PEOPLE.large_of_text(2, version, 380_000)]
            {
                session.put(&large).unwrap();
                assert!(session.get(large["id"].as_str().unwrap()).unwrap().as_ref() == Some(&large));
            }
        }
    });
}

#[test]
fn documents_are_there_after_a_reopen() {
    for kind in KINDS {
        let scratch = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let directory = scratch.file(kind.name);
        let engine = (kind.open)(&directory, &CONFIG).unwrap();
        load(&mut *engine.session().unwrap());
        engine.session().unwrap().put(&PEOPLE.document(3, 1)).unwrap();
        engine.close().unwrap();
        let engine = (kind.open)(&directory, &Config { exceeds_memory: true, ..CONFIG }).unwrap();
        let mut session = engine.session().unwrap();
        for number in 0..PEOPLE.count {
            let document = PEOPLE.document(number, u64::from(number == 3));
            assert_eq!(session.get(&PEOPLE.id(number)).unwrap(), Some(document), "{}", kind.name);
        }
        drop(session);
        engine.close().unwrap();
    }
}

#[test]
fn threads_that_put_at_once_lose_nothing() {
    each_engine(|engine| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let mut session = engine.session().unwrap();
                    for number in (thread..80).step_by(4) {
                        session.put(&PEOPLE.document(number, 0)).unwrap();
                    }
                });
            }
        });
        assert_eq!(engine.session().unwrap().count().unwrap(), 80);
    });
}

/// Runs it on a new database of each engine.
fn each_engine(check: impl Fn(&dyn Documents)) {
    for kind in KINDS {
        let scratch = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let engine = (kind.open)(&scratch.file(kind.name), &CONFIG).unwrap();
        check(&*engine);
        engine.close().unwrap();
    }
}

fn load(session: &mut dyn DocumentSession) {
    let documents: Vec<Value> = (0..PEOPLE.count).map(|number| PEOPLE.document(number, 0)).collect();
    session.put_many(FoundBy::Id, &documents).unwrap();
}
