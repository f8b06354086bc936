//! Remembering, correcting, forgetting: what is promised of each, against the owner's socket.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{DAY_MS, Owned, fact, keys, list, remember, run};
use dynamite_memory::MemoryError;
use dynamite_memory::client::Memory;
use dynamite_memory::request::{Answer, Mode, Past, PastVersion, Request, Scope};
use dynamite_memory::tools::{DiscoverInput, ForgetInput, RecallInput, RememberInput};

fn past(memory: &Memory, key: &str, version: Option<u64>) -> Past {
    Past { scopes: memory.scopes(), category: "c".into(), key: key.into(), version }
}

async fn history(memory: &Memory, key: &str) -> Vec<PastVersion> {
    match memory.ask(&Request::History(past(memory, key, None))).await {
        Ok(Answer::History(versions)) => versions,
        other => panic!("{other:?}"),
    }
}

async fn forget(memory: &Memory, key: &str, purge: bool) -> u64 {
    let input = ForgetInput {
        category: "c".into(),
        key: Some(key.into()),
        purge: Some(purge),
        ..ForgetInput::default()
    };
    memory.forget(input).await.unwrap().forgotten
}

#[test]
fn a_correction_replaces_and_what_was_there_is_history() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let first = remember(memory, "c", "db/port", "Postgres listens on 5432").await;
        assert_eq!((first.version, first.created, first.changed), (1, true, true));
        let second = remember(memory, "c", "db#port", "Postgres listens on 6543").await;
        assert_eq!((second.version, second.created, second.changed), (2, false, true));
        assert_eq!(second.key, "db/port", "# is taken for /");

        assert_eq!(common::ask(memory, "5432").await.items, [], "the old text is found by nothing");
        assert_eq!(keys(&common::ask(memory, "6543").await), ["db/port"]);
        let versions = history(memory, "db/port").await;
        assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
        assert!(versions[0].current && versions[1].content.contains("5432"));
        owned.check().await;
    });
}

#[test]
fn the_same_again_changes_nothing() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let whole = RememberInput {
            tags: Some(vec!["a".into(), "b".into()]),
            importance: Some(2),
            ..fact("c", "k", "the text")
        };
        memory.remember(whole, false).await.unwrap();
        let again = remember(memory, "c", "k", "  the text\n").await;
        assert_eq!((again.version, again.created, again.changed), (1, false, false));
        // What is not said stays; what is said anew is a change.
        let more = RememberInput { importance: Some(3), ..fact("c", "k", "the text") };
        assert!(memory.remember(more, false).await.unwrap().changed);
        assert_eq!(history(memory, "k").await[0].tags, ["a", "b"]);
        owned.check().await;
    });
}

#[test]
fn a_version_that_was_expected_and_is_not_there_is_a_conflict() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for version in 0..4 {
            let input =
                RememberInput { if_version: Some(version), ..fact("c", "k", &format!("text {version}")) };
            assert_eq!(memory.remember(input, false).await.unwrap().version, version + 1);
        }
        let late = RememberInput { if_version: Some(3), ..fact("c", "k", "too late") };
        let error = memory.remember(late, false).await.unwrap_err();
        assert_eq!(error, MemoryError::Conflict { stored: 4, passed: 3 });
        assert_eq!(error.to_string(), "version conflict: stored is 4, you passed 3; recall and merge");
        let new = RememberInput { mode: Some(Mode::Create), ..fact("c", "k", "new") };
        assert!(matches!(memory.remember(new, false).await, Err(MemoryError::Exists { version: 4, .. })));
        let forget = ForgetInput {
            category: "c".into(),
            key: Some("k".into()),
            if_version: Some(1),
            ..ForgetInput::default()
        };
        assert!(matches!(memory.forget(forget).await, Err(MemoryError::Conflict { stored: 4, passed: 1 })));
        assert_eq!(list(memory, "c").await.items[0].content, "text 3");
    });
}

#[test]
fn appends_of_many_at_once_are_all_there() {
    let owned = Owned::new();
    run(async {
        let append = |line: String| RememberInput { mode: Some(Mode::Append), ..fact("c", "log", &line) };
        let appends = (0..50).map(|number| owned.memory.remember(append(format!("line {number}")), false));
        let done = futures_of(appends).await;
        assert!(done.iter().all(|done| done.is_ok()));
        let content = &list(&owned.memory, "c").await.items[0].content;
        let mut lines: Vec<_> = content.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 50);
        owned.check().await;
    });
}

/// Awaits all, under way at once.
async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| (Some(Box::pin(one)), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_waiting = false;
        for (future, output) in &mut all {
            if let Some(running) = future {
                match running.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => (*future, *output) = (None, Some(done)),
                    std::task::Poll::Pending => is_waiting = true,
                }
            }
        }
        if is_waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    all.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[test]
fn what_says_nearly_the_same_is_reported_and_not_merged() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let text =
            "Integration tests need Postgres on port 5433, which docker compose starts before they run.";
        remember(memory, "c", "tests/postgres", text).await;
        remember(memory, "c", "deploy", "Deploys go to staging first, and to production on Tuesdays.").await;
        remember(memory, "d", "elsewhere", text).await;
        let near = remember(memory, "c", "ci/postgres", &text.replace("they run", "that")).await;
        assert_eq!(near.similar.len(), 1, "{:?}", near.similar);
        assert_eq!(near.similar[0].key, "tests/postgres");
        assert!(near.similar[0].score >= 0.8 && near.similar[0].score < 1.0);
        assert_eq!(list(memory, "c").await.items.len(), 3);
    });
}

#[test]
fn the_last_twenty_versions_can_be_restored_and_older_ones_are_gone() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 1..=30 {
            remember(memory, "c", "k", &format!("text number {number}")).await;
        }
        let versions = history(memory, "k").await;
        assert_eq!(
            versions.iter().map(|version| version.version).collect::<Vec<_>>(),
            (10..=30).rev().collect::<Vec<_>>()
        );
        memory.ask(&Request::Restore(past(memory, "k", Some(12)))).await.unwrap();
        let restored = &list(memory, "c").await.items[0];
        assert_eq!((restored.content.as_str(), restored.version), ("text number 12", 31));
        let gone = memory.ask(&Request::Restore(past(memory, "k", Some(3)))).await;
        assert!(matches!(gone, Err(MemoryError::NotFound { .. })), "{gone:?}");
        owned.check().await;
    });
}

#[test]
fn the_last_twenty_versions_are_kept_also_of_what_is_forgotten_again_and_again() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 1..=30 {
            remember(memory, "c", "k", &format!("text number {number}")).await;
            forget(memory, "k", false).await;
        }
        let versions = history(memory, "k").await;
        assert_eq!(
            versions.iter().map(|version| version.version).collect::<Vec<_>>(),
            (11..=30).rev().collect::<Vec<_>>()
        );
        owned.check().await;
    });
}

/// What is put back is one of the versions that the history shows.
#[test]
fn what_a_project_has_is_not_put_back_from_what_holds_everywhere() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let global = |content: &str| RememberInput { scope: Some(Scope::Global), ..fact("c", "k", content) };
        memory.remember(global("global, once"), false).await.unwrap();
        memory.remember(global("global, now"), false).await.unwrap();
        remember(memory, "c", "k", "the project's own").await;
        assert_eq!(history(memory, "k").await.len(), 1);
        for version in [None, Some(1)] {
            let refused = memory.ask(&Request::Restore(past(memory, "k", version))).await;
            assert!(matches!(refused, Err(MemoryError::NotFound { .. })), "{refused:?}");
        }
        assert_eq!(list(&owned.elsewhere(), "c").await.items[0].content, "global, now");
        // Where the project has nothing, what holds everywhere is meant.
        owned.elsewhere().ask(&Request::Restore(past(&owned.elsewhere(), "k", None))).await.unwrap();
        assert_eq!(list(&owned.elsewhere(), "c").await.items[0].content, "global, once");
        owned.check().await;
    });
}

#[test]
fn what_is_forgotten_is_found_by_nothing_and_can_be_restored_for_thirty_days() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "k", "an unusual zebra").await;
        assert_eq!(forget(memory, "k", false).await, 1);
        assert_eq!(forget(memory, "k", false).await, 0, "once is enough");
        assert_eq!(common::ask(memory, "zebra").await.items, []);
        assert_eq!(list(memory, "c").await.items, []);
        owned.check().await;

        memory.ask(&Request::Restore(past(memory, "k", None))).await.unwrap();
        let back = remember(memory, "c", "k", "an unusual zebra").await;
        assert_eq!((back.version, back.changed), (2, false), "a version is never given twice");
        forget(memory, "k", false).await;
        owned.clock.advance(31 * DAY_MS);
        memory.ask(&Request::Sweep { most: 100 }).await.unwrap();
        let gone = memory.ask(&Request::Restore(past(memory, "k", None))).await;
        assert!(matches!(gone, Err(MemoryError::NotFound { .. })), "{gone:?}");
        owned.check().await;
    });
}

#[test]
fn a_purge_leaves_nothing() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 0..5 {
            remember(memory, "c", "k", &format!("text {number}")).await;
        }
        remember(memory, "c", "l", "another").await;
        forget(memory, "l", false).await;
        assert_eq!(forget(memory, "k", true).await, 1);
        assert_eq!(forget(memory, "l", true).await, 1, "also of what was forgotten before");
        for table in
            ["memories", "versions", "tombstones", "postings", "documents", "vectors", "categories", "queue"]
        {
            assert_eq!(owned.db.describe_table(table).unwrap().item_count, 0, "{table}");
        }
        owned.check().await;
    });
}

#[test]
fn a_path_is_forgotten_with_all_below_it_and_nothing_beside_it() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 0..230 {
            remember(memory, "c", &format!("db/table/{number}"), "a row").await;
        }
        for key in ["db", "dbx", "dbx/a", "other"] {
            remember(memory, "c", key, "a text").await;
        }
        let input = |recursive| ForgetInput {
            category: "c".into(),
            prefix: Some("db/".into()),
            recursive: Some(recursive),
            ..ForgetInput::default()
        };
        assert!(matches!(memory.forget(input(false)).await, Err(MemoryError::Invalid(_))));
        let forgot = memory.forget(input(true)).await.unwrap();
        assert_eq!(forgot.forgotten, 231);
        assert!(forgot.restorable_until.is_some_and(|until| until.starts_with("2026-12-26")));
        assert_eq!(keys(&list(memory, "c").await), ["dbx", "dbx/a", "other"]);
        owned.check().await;
    });
}

#[test]
fn of_a_path_what_holds_everywhere_stays_where_the_project_has_its_own() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 0..100 {
            remember(memory, "c", &format!("db/{number}"), "the project's own").await;
        }
        for key in ["db/1", "db/global"] {
            let global = RememberInput { scope: Some(Scope::Global), ..fact("c", key, "a global text") };
            memory.remember(global, false).await.unwrap();
        }
        let input = |purge| ForgetInput {
            category: "c".into(),
            prefix: Some("db".into()),
            recursive: Some(true),
            purge: Some(purge),
            ..ForgetInput::default()
        };
        assert_eq!(memory.forget(input(false)).await.unwrap().forgotten, 100);
        assert_eq!(keys(&list(memory, "c").await), ["db/1", "db/global"]);
        owned.check().await;
        // The project has none any more.
        assert_eq!(memory.forget(input(true)).await.unwrap().forgotten, 2);
        assert_eq!(memory.forget(input(true)).await.unwrap().forgotten, 100, "what was forgotten before");
        for table in ["memories", "versions", "tombstones", "queue"] {
            assert_eq!(owned.db.describe_table(table).unwrap().item_count, 0, "{table}");
        }
        owned.check().await;
    });
}

#[test]
fn what_has_expired_is_returned_by_nothing_and_limits_do_not_count_it() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 0..20 {
            let short = RememberInput {
                ttl: Some("1h".into()),
                ..fact("c", &format!("a/{number}"), "a short walrus")
            };
            memory.remember(short, false).await.unwrap();
        }
        remember(memory, "c", "b", "a long walrus").await;
        remember(memory, "d", "e", "nothing").await;
        owned.clock.advance(2 * DAY_MS / 24);
        let limited = RecallInput { query: Some("walrus".into()), limit: Some(1), ..RecallInput::default() };
        let found = memory.recall(limited).await.unwrap();
        assert_eq!((keys(&found), found.more), (vec!["b"], false));
        assert_eq!(keys(&list(memory, "c").await), ["b"]);
        let tree = memory.discover(DiscoverInput::default()).await.unwrap().categories.unwrap();
        let counts: Vec<_> = tree.iter().map(|category| (category.name.as_str(), category.count)).collect();
        assert_eq!(counts, [("c", 1), ("d", 1)]);
        let again = remember(memory, "c", "a/0", "a short walrus").await;
        assert!(again.created, "what has expired was not there");
        memory.ask(&Request::Sweep { most: 100 }).await.unwrap();
        assert_eq!(owned.db.describe_table("memories").unwrap().item_count, 3);
        owned.check().await;
    });
}

#[test]
fn projects_are_apart_and_share_what_is_global() {
    let owned = Owned::new();
    run(async {
        let (here, there) = (&owned.memory, owned.elsewhere());
        remember(here, "c", "k", "a local gnu").await;
        let global = RememberInput { scope: Some(Scope::Global), ..fact("c", "g", "a global gnu") };
        here.remember(global, false).await.unwrap();
        assert_eq!(keys(&common::ask(&there, "gnu").await), ["g"]);
        assert_eq!(common::ask(here, "gnu").await.items.len(), 2);
        // What a project says itself hides what holds everywhere.
        remember(&there, "c", "g", "their own gnu").await;
        let found = common::ask(&there, "gnu").await;
        assert_eq!((found.items.len(), found.items[0].content.as_str()), (1, "their own gnu"));
        assert_eq!(forget(&there, "g", false).await, 1);
        assert_eq!(common::ask(&there, "gnu").await.items[0].content, "a global gnu");
        owned.check().await;
    });
}

#[test]
fn malformed_input_is_refused_in_one_sentence() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let long = "x".repeat((16 << 10) + 1);
        for (category, key, content) in
            [("C", "k", "x"), ("c", "../k", "x"), ("c", "", "x"), ("c", "k", "  "), ("c", "k", long.as_str())]
        {
            let error = memory.remember(fact(category, key, content), false).await.unwrap_err();
            assert!(matches!(error, MemoryError::Invalid(_)), "{error}");
            assert!(!error.to_string().contains('\n') && error.to_string().len() < 250, "{error}");
        }
        let most = "é".repeat(8 << 10);
        remember(memory, "c", "most", &most).await;
        let more = RememberInput { mode: Some(Mode::Append), ..fact("c", "most", "more") };
        assert!(memory.remember(more, false).await.is_err());
        let wrong = RememberInput { ttl: Some("soon".into()), ..fact("c", "k", "x") };
        assert!(memory.remember(wrong, false).await.is_err());
        let wrong = RememberInput { importance: Some(4), ..fact("c", "k", "x") };
        assert!(memory.remember(wrong, false).await.is_err());
        assert!(memory.recall(RecallInput::default()).await.is_err());
        owned.check().await;
    });
}

/// Random operations, against a map; and whatever they were, the index says what the memories say.
#[test]
fn random_operations_leave_what_a_map_has_and_a_sound_index() {
    const WORDS: [&str; 12] = [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "HttpServer",
        "db/pool",
        "snake_case",
        "port",
        "tests",
        "running",
        "x1",
        "the",
    ];
    for seed in 1..=6_u64 {
        let owned = Owned::new();
        run(async {
            let memory = &owned.memory;
            let mut model: BTreeMap<(String, String), String> = BTreeMap::new();
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut draw = |most: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % most as u64) as usize
            };
            for _ in 0..300 {
                let place =
                    (["c", "d", "e"][draw(3)].to_owned(), format!("{}/{}", ["a", "b"][draw(2)], draw(12)));
                match draw(10) {
                    0 => {
                        let input = ForgetInput {
                            category: place.0.clone(),
                            key: Some(place.1.clone()),
                            purge: Some(draw(2) == 0),
                            ..ForgetInput::default()
                        };
                        let forgot = memory.forget(input).await.unwrap().forgotten;
                        let was_there = model.remove(&place).is_some();
                        assert!(!was_there || forgot == 1, "seed {seed}");
                    }
                    1 => {
                        let input = RememberInput {
                            ttl: Some("1m".into()),
                            ..fact(&place.0, &place.1, "passing words")
                        };
                        memory.remember(input, false).await.unwrap();
                        model.remove(&place);
                        owned.clock.advance(61_000);
                    }
                    _ => {
                        let len = 1 + draw(30);
                        let words: Vec<_> = (0..len).map(|_| WORDS[draw(WORDS.len())]).collect();
                        let mut input = fact(&place.0, &place.1, &words.join(" "));
                        if draw(3) == 0 {
                            input.importance = Some(draw(4) as u8);
                            input.tags = Some(vec![WORDS[draw(WORDS.len())].to_owned()]);
                        }
                        memory.remember(input, false).await.unwrap();
                        model.insert(place, words.join(" "));
                    }
                }
            }
            for category in ["c", "d", "e"] {
                let input = RecallInput {
                    category: Some(category.into()),
                    limit: Some(50),
                    max_tokens: Some(20_000),
                    ..RecallInput::default()
                };
                let found = memory.recall(input).await.unwrap();
                let found: Vec<_> = found.items.into_iter().map(|item| (item.key, item.content)).collect();
                let expected: Vec<_> = model
                    .iter()
                    .filter(|((of, _), _)| of == category)
                    .map(|((_, key), content)| (key.clone(), content.clone()))
                    .collect();
                assert_eq!(found, expected, "seed {seed}, {category}");
            }
            owned.check().await;
            memory.ask(&Request::Reindex).await.unwrap();
            owned.check().await;
        });
    }
}
