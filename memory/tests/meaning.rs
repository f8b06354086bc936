//! Searching by meaning, with an encoder that knows a few: what is found so, and that a vector never outlives the text that it is of.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{DAY_MS, Owned, ask, fact, keys, remember, run};
use dynamite_memory::meaning::Encoder;
use dynamite_memory::request::{Answer, Past, Request, Swept};
use dynamite_memory::tools::{ForgetInput, RecallInput, RememberInput};

/// Words that mean the same stand on a line; a text's vector counts its words of each.
const MEANINGS: [&[&str]; 4] = [
    &["car", "automobile", "vehicle"],
    &["physician", "doctor", "surgeon"],
    &["ocean", "sea", "waves"],
    &["bread", "loaf", "baker"],
];

#[derive(Debug)]
struct Toy(&'static str);

impl Encoder for Toy {
    fn name(&self) -> &str {
        self.0
    }

    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let text = text.to_lowercase();
        let words: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
        let count = |meaning: &&[&str]| words.iter().filter(|word| meaning.contains(word)).count() as f32;
        let mut vector: Vec<f32> = MEANINGS.iter().map(count).collect();
        if self.0 == "turned" {
            vector.reverse();
        }
        vector.iter().any(|x| *x > 0.0).then_some(vector)
    }
}

fn toy(name: &'static str) -> Option<Arc<dyn Encoder>> {
    Some(Arc::new(Toy(name)))
}

fn vectors(owned: &Owned) -> u64 {
    owned.db.describe_table("vectors").unwrap().item_count
}

async fn sweep(owned: &Owned) -> Swept {
    match owned.memory.ask(&Request::Sweep { most: 100 }).await {
        Ok(Answer::Swept(swept)) => swept,
        other => panic!("{other:?}"),
    }
}

async fn forget(owned: &Owned, key: &str, purge: bool) {
    let input = ForgetInput {
        category: "c".into(),
        key: Some(key.into()),
        purge: Some(purge),
        ..ForgetInput::default()
    };
    assert_eq!(owned.memory.forget(input).await.unwrap().forgotten, 1);
}

#[test]
fn what_shares_no_word_with_a_question_is_found_by_its_meaning() {
    let owned = Owned::with_encoder(toy("toy"));
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "garage", "The automobile is washed on Sundays.").await;
        remember(memory, "c", "clinic", "The surgeon comes at nine.").await;
        remember(memory, "d", "beach", "Waves are high in winter.").await;
        assert_eq!(keys(&ask(memory, "when does my doctor arrive?").await), ["clinic"]);
        assert_eq!(keys(&ask(memory, "which vehicle?").await), ["garage"]);
        assert_eq!(ask(memory, "of nothing known").await.items, []);
        let narrowed = RecallInput {
            query: Some("the sea".into()),
            category: Some("c".into()),
            ..RecallInput::default()
        };
        assert_eq!(memory.recall(narrowed).await.unwrap().items, []);
        owned.check().await;
    });
}

#[test]
fn words_and_meaning_together_outdo_either() {
    let owned = Owned::with_encoder(toy("toy"));
    run(async {
        let memory = &owned.memory;
        remember(memory, "c", "words", "The parking lot is behind the house.").await;
        remember(memory, "c", "meaning", "An automobile needs oil, and a vehicle needs a physician.").await;
        remember(
            memory,
            "c",
            "both",
            "The automobile stands in the parking lot, which is wide and long and new.",
        )
        .await;
        assert_eq!(keys(&ask(memory, "car parking").await), ["both", "words", "meaning"]);
        // The exact key is first, whatever anything means.
        assert_eq!(keys(&ask(memory, "meaning").await)[0], "meaning");
    });
}

#[test]
fn a_vector_goes_with_the_text_that_it_is_of() {
    let owned = Owned::with_encoder(toy("toy"));
    run(async {
        let memory = &owned.memory;
        for key in ["a", "b", "e"] {
            remember(memory, "c", key, "A vehicle.").await;
        }
        let passing = RememberInput { ttl: Some("1d".into()), ..fact("c", "d", "A vehicle.") };
        memory.remember(passing, false).await.unwrap();
        assert_eq!(vectors(&owned), 4);
        remember(memory, "c", "a", "A loaf.").await;
        assert_eq!(keys(&ask(memory, "baker").await), ["a"]);
        assert!(!keys(&ask(memory, "car").await).contains(&"a"), "the old text means nothing any more");
        remember(memory, "c", "a", "What has no meaning.").await;
        assert_eq!((vectors(&owned), ask(memory, "baker").await.items.len()), (3, 0));

        forget(&owned, "b", false).await;
        assert_eq!((vectors(&owned), keys(&ask(memory, "car").await).len()), (2, 2));
        let past = Past { scopes: memory.scopes(), category: "c".into(), key: "b".into(), version: None };
        memory.ask(&Request::Restore(past)).await.unwrap();
        assert_eq!((vectors(&owned), ask(memory, "car").await.items.len()), (3, 3));
        forget(&owned, "b", true).await;
        forget(&owned, "e", true).await;
        assert_eq!(vectors(&owned), 1);
        owned.clock.advance(2 * DAY_MS);
        assert_eq!(ask(memory, "car").await.items, [], "what has expired is not found by its meaning either");
        sweep(&owned).await;
        assert_eq!(vectors(&owned), 0);
        owned.check().await;
    });
}

#[test]
fn with_another_encoder_all_vectors_are_made_anew() {
    let mut owned = Owned::with_encoder(toy("toy"));
    run(async {
        for number in 0..70 {
            remember(&owned.memory, "c", &format!("k/{number}"), "A vehicle.").await;
        }
    });
    owned.serve(toy("turned"));
    assert_eq!(vectors(&owned), 0, "those of another cannot be compared with");
    run(async {
        assert_eq!(ask(&owned.memory, "car").await.items, []);
        remember(&owned.memory, "c", "new", "A loaf.").await;
        assert!(vectors(&owned) > 1, "some are made with what is written");
        let mut encoded = 0;
        loop {
            let swept = sweep(&owned).await;
            encoded += swept.encoded;
            if !swept.more {
                break;
            }
        }
        assert!(encoded > 32, "{encoded}");
        assert_eq!(vectors(&owned), 71);
        assert!(!ask(&owned.memory, "car").await.items.is_empty());
        owned.check().await;
    });
    owned.serve(toy("turned"));
    assert_eq!(vectors(&owned), 71, "the same again has nothing to do");
    run(async { assert_eq!(sweep(&owned).await.encoded, 0) });
}

#[test]
fn what_was_written_without_an_encoder_is_encoded_by_the_next_that_has_one() {
    let mut owned = Owned::with_encoder(toy("toy"));
    run(async {
        remember(&owned.memory, "c", "kept", "A vehicle.").await;
        remember(&owned.memory, "c", "changed", "A vehicle.").await;
    });
    owned.serve(None);
    run(async {
        assert_eq!(ask(&owned.memory, "car").await.items, [], "words only");
        remember(&owned.memory, "c", "changed", "A loaf.").await;
        remember(&owned.memory, "c", "new", "A physician.").await;
    });
    assert_eq!(vectors(&owned), 1, "no vector is of another text");
    owned.serve(toy("toy"));
    run(async {
        assert_eq!(keys(&ask(&owned.memory, "car").await), ["kept"]);
        assert_eq!(sweep(&owned).await.encoded, 2);
        assert_eq!(keys(&ask(&owned.memory, "doctor").await), ["new"]);
        assert_eq!(keys(&ask(&owned.memory, "baker").await), ["changed"]);
        owned.check().await;
    });
}
