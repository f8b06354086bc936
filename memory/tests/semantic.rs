//! The sentence encoder that comes with the feature `semantic`.
//!
//! ```text
//! cargo test --release -p dynamite-memory --features semantic --test semantic --test meaning -- --nocapture
//! ```

#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "the numbers are what it is run for")]

mod common;

use common::{Home, Owned, ask, keys, remember, run};
use dynamite_memory::meaning;
use rustix::process::Signal;

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[test]
fn texts_that_mean_alike_point_alike() {
    let encoder = meaning::encoder().unwrap();
    let [asked, alike, other] =
        ["Who may sign in?", "The list of authorized users", "Bread is baked at five"]
            .map(|text| encoder.encode(text).unwrap());
    assert!(dot(&asked, &alike) > dot(&asked, &other) + 0.1);
    assert_eq!(asked, encoder.encode("Who may sign in?").unwrap(), "the same text, the same vector");
}

#[test]
fn any_text_is_read_or_says_nothing() {
    let encoder = meaning::encoder().unwrap();
    for text in ["", "  \n", "\u{0}"] {
        // Whatever it makes of these, it is no panic.
        drop(encoder.encode(text));
    }
    for text in ["é".repeat(100_000), "word ".repeat(100_000), format!("a{}", "\u{1f980}".repeat(50_000))] {
        assert_eq!(encoder.encode(&text).unwrap().len(), 384);
    }
}

#[test]
fn the_program_finds_what_shares_no_word() {
    let home = Home::new();
    home.json(&["remember", "c", "vault", "Passwords are kept in the vault on the second floor"]);
    home.json(&["remember", "c", "bread", "Bread is baked at five in the morning"]);
    let (_, found) = home.json(&["recall", "login credentials"]);
    assert_eq!(found["items"][0]["key"], "vault", "{found}");
    let (_, said) = home.json(&["doctor"]);
    let findings = said["findings"].as_array().unwrap();
    let model = findings.iter().find(|finding| finding["what"] == "model").unwrap();
    assert!(model["seen"].as_str().unwrap().starts_with("pocket-encoder/"), "{said}");
    home.end_owners(Signal::TERM);
}

/// How well the questions of the retrieval test are answered, and what it costs.
#[test]
fn nine_of_ten_questions_find_their_fact_among_five() {
    let encoder = meaning::encoder().unwrap();
    let facts: Vec<Vec<&str>> =
        include_str!("data/facts.tsv").lines().map(|line| line.split('\t').collect()).collect();
    let begun = std::time::Instant::now();
    facts.iter().for_each(|fact| drop(encoder.encode(fact[2])));
    println!("{}: a fact takes {:?}", encoder.name(), begun.elapsed() / facts.len() as u32);
    let owned = Owned::with_encoder(Some(encoder));
    run(async {
        for fact in &facts {
            remember(&owned.memory, fact[0], fact[1], fact[2]).await;
        }
        let (mut first, mut five) = (0, 0);
        for fact in &facts {
            let found = ask(&owned.memory, fact[3]).await;
            let place = keys(&found).iter().position(|key| *key == fact[1]);
            first += usize::from(place == Some(0));
            five += usize::from(place.is_some_and(|place| place < 5));
            if place.is_none_or(|place| place >= 5) {
                println!("missed: {} ({}, place {place:?})", fact[3], fact[1]);
            }
        }
        println!("hit@1 {first} of {}, hit@5 {five} of {}", facts.len(), facts.len());
        assert!(five * 100 >= facts.len() * 90);
    });
}
