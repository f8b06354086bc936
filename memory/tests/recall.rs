//! Recalling: what comes first, what comes at all, and how much of it.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{DAY_MS, Owned, ask, fact, keys, remember, run};
use dynamite_memory::client::Memory;
use dynamite_memory::request::{Answer, Recalled, Remember, Request};
use dynamite_memory::text::{fence, tokens};
use dynamite_memory::tools::{DiscoverInput, RecallInput, RememberInput};

#[test]
fn the_exact_key_comes_first_then_keys_that_begin_so() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "pool", "short").await;
        remember(memory, "c", "pool/size", "short").await;
        remember(memory, "d", "notes", "pool pool pool pool pool size pool").await;
        assert_eq!(keys(&ask(memory, "pool").await), ["pool", "pool/size", "notes"]);
        assert_eq!(keys(&ask(memory, "pool/size").await)[0], "pool/size");
    });
}

#[test]
fn a_question_finds_what_answers_it_in_other_forms_of_its_words() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "deploys", "We deploy to staging with make ship, never by hand.").await;
        remember(memory, "c", "style", "Functions are kept short.").await;
        remember(memory, "c", "server", "HttpServer lives in src/net/http_server.rs").await;
        assert_eq!(keys(&ask(memory, "How are deployments done?").await), ["deploys"]);
        assert_eq!(keys(&ask(memory, "where is the http server?").await), ["server"]);
        assert_eq!(keys(&ask(memory, "src/net/http_server.rs").await), ["server"]);
        assert_eq!(ask(memory, "what of the").await.items, [], "stop words find nothing");
    });
}

#[test]
fn importance_and_freshness_decide_between_equals() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "old", "the same words about turtles").await;
        owned.clock.advance(200 * DAY_MS);
        remember(memory, "c", "new", "the same words about turtles").await;
        assert_eq!(keys(&ask(memory, "turtles").await), ["new", "old"]);
        let important =
            RememberInput { importance: Some(3), ..fact("c", "old", "the same words about turtles!") };
        memory.remember(important, false).await.unwrap();
        assert_eq!(keys(&ask(memory, "turtles").await), ["old", "new"]);
    });
}

#[test]
fn what_was_corrected_lately_comes_before_what_is_old() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "corrected", "words about tortoises").await;
        remember(memory, "c", "left", "words about tortoises").await;
        owned.clock.advance(200 * DAY_MS);
        remember(memory, "c", "corrected", "about tortoises, words").await;
        assert_eq!(keys(&ask(memory, "tortoises").await), ["corrected", "left"]);
    });
}

#[test]
fn rare_words_names_and_short_texts_count_more() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "rarely/met", "a quokka beside the fence, the hedge, the wall and the well")
            .await;
        for number in 0..8 {
            remember(memory, "c", &format!("usual/{number}"), "a painted gate beside the fence").await;
        }
        assert_eq!(keys(&ask(memory, "painted quokka").await)[0], "rarely/met");
        remember(memory, "d", "short", "a narwhal").await;
        remember(memory, "d", "long", &format!("a narwhal {}", "among many other things ".repeat(12))).await;
        assert_eq!(keys(&ask(memory, "narwhal").await), ["short", "long"]);
        remember(memory, "e", "named/lemur", "it sleeps by day, mostly").await;
        remember(memory, "e", "told", "a lemur sleeps, it says").await;
        assert_eq!(keys(&ask(memory, "lemur").await), ["named/lemur", "told"]);
    });
}

#[test]
fn a_category_and_a_prefix_narrow_a_search() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for (category, key) in [("c", "a/1"), ("c", "b/1"), ("d", "a/2")] {
            remember(memory, category, key, "an owl").await;
        }
        let narrowed = |category: Option<&str>, prefix: Option<&str>| RecallInput {
            query: Some("owl".into()),
            category: category.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
            ..RecallInput::default()
        };
        assert_eq!(memory.recall(narrowed(Some("d"), None)).await.unwrap().items[0].key, "a/2");
        let found = memory.recall(narrowed(None, Some("a/"))).await.unwrap();
        assert_eq!(keys(&found).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["a/1", "a/2"]));
        assert_eq!(keys(&memory.recall(narrowed(Some("c"), Some("a/"))).await.unwrap()), ["a/1"]);
        assert_eq!(memory.recall(narrowed(Some("none"), None)).await.unwrap().items, []);
    });
}

async fn all_pages(memory: &Memory, input: RecallInput) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = memory.recall(RecallInput { cursor, ..input.clone() }).await.unwrap();
        assert!(!page.items.is_empty() || !page.more);
        all.extend(page.items.into_iter().map(|item| item.key));
        assert_eq!(page.more, page.cursor.is_some());
        cursor = page.cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

#[test]
fn pages_join_without_gap_or_repeat() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for number in 0..67 {
            let scope = (number % 3 == 0).then_some(dynamite_memory::request::Scope::Global);
            let input =
                RememberInput { scope, ..fact("c", &format!("k/{number:02}"), "an emu and a number") };
            memory.remember(input, false).await.unwrap();
        }
        for input in [
            RecallInput { category: Some("c".into()), limit: Some(7), ..RecallInput::default() },
            RecallInput { query: Some("emu".into()), limit: Some(7), ..RecallInput::default() },
            RecallInput { category: Some("c".into()), max_tokens: Some(200), ..RecallInput::default() },
        ] {
            let all = all_pages(memory, input.clone()).await;
            assert_eq!(all.len(), 67, "{input:?}");
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 67);
        }
        let foreign = RecallInput {
            category: Some("c".into()),
            cursor: Some("nonsense".into()),
            ..RecallInput::default()
        };
        assert!(memory.recall(foreign).await.is_err());
    });
}

/// What a model pays for an answer.
fn cost(recalled: &Recalled) -> usize {
    let mut recalled = recalled.clone();
    for item in &mut recalled.items {
        item.content = fence::fence(&item.content);
    }
    tokens::count(&serde_json::to_string(&recalled).unwrap())
}

#[test]
fn an_answer_stays_within_its_tokens_whatever_there_is() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let texts = [
            "a heron and a few words".to_owned(),
            "heron \"quotes\" \\ and\nlines\n".repeat(300),
            "heron 数据库 ".repeat(500),
            "heron <b>& signs;</b> {}[] ".repeat(200),
        ];
        for number in 0..40 {
            remember(memory, "c", &format!("k/{number}"), &format!("{} {number}", texts[number % 4])).await;
        }
        for max_tokens in [50, 100, 400, 1500, 8000] {
            for query in [Some("heron".to_owned()), None] {
                let category = query.is_none().then(|| "c".to_owned());
                let input = RecallInput {
                    query,
                    category,
                    max_tokens: Some(max_tokens),
                    limit: Some(50),
                    ..RecallInput::default()
                };
                let recalled = memory.recall(input).await.unwrap();
                assert!(!recalled.items.is_empty());
                let cost = cost(&recalled);
                // The least answer is one item's frame.
                assert!(cost <= max_tokens.max(80), "{cost} for {max_tokens}");
            }
        }
    });
}

#[test]
fn discover_shows_the_tree_to_a_depth() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        for key in ["db/pool/size", "db/pool/min", "db/port", "ci", "ci/cache"] {
            remember(memory, "c", key, "x").await;
        }
        let tree = async |prefix: &str, depth| {
            let input = DiscoverInput {
                category: Some("c".into()),
                prefix: Some(prefix.into()),
                depth: Some(depth),
                cursor: None,
            };
            let keys = memory.discover(input).await.unwrap().keys.unwrap();
            keys.into_iter()
                .map(|key| format!("{} {}{}", key.prefix, key.count, if key.leaf { " leaf" } else { "" }))
                .collect::<Vec<_>>()
        };
        assert_eq!(tree("", 1).await, ["ci 1 leaf", "ci/ 1", "db/ 3"]);
        assert_eq!(tree("", 2).await, ["ci 1 leaf", "ci/cache 1 leaf", "db/pool/ 2", "db/port 1 leaf"]);
        assert_eq!(tree("db/", 1).await, ["db/pool/ 2", "db/port 1 leaf"]);
        let deep = DiscoverInput { category: Some("c".into()), depth: Some(5), ..DiscoverInput::default() };
        assert!(memory.discover(deep).await.is_err());
    });
}

#[test]
fn discover_goes_on_where_it_ended() {
    let owned = Owned::new();
    run(async {
        let memory = &owned.memory;
        let one = |number: usize| Remember {
            scope: memory.project.clone(),
            category: format!("c{number:03}"),
            key: "k".into(),
            content: "x".into(),
            ..Remember::default()
        };
        let all: Vec<_> = (0..250).map(one).collect();
        assert!(
            matches!(memory.ask(&Request::Remember(all)).await, Ok(Answer::Remembered(done)) if done.len() == 250)
        );
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let page = memory.discover(DiscoverInput { cursor, ..DiscoverInput::default() }).await.unwrap();
            names.extend(page.categories.unwrap().into_iter().map(|category| category.name));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(names.len(), 250);
        assert!(names.is_sorted());
    });
}
