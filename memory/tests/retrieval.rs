//! How well questions find their facts, and how rarely a prompt is interrupted by what does not concern it. The facts, the questions and the
//! prompts were written for this project, and stand in `tests/data`.

#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "the numbers are what it is run for")]

mod common;

use common::{Owned, ask, remember, run};
use dynamite_memory::request::{Answer, Prompt, Request};

fn facts() -> impl Iterator<Item = [&'static str; 4]> {
    let lines = include_str!("data/facts.tsv").lines();
    lines.map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
}

async fn filled() -> Owned {
    let owned = Owned::new();
    for [category, key, fact, _] in facts() {
        remember(&owned.memory, category, key, fact).await;
    }
    owned
}

/// What the hook would show with something that is said.
async fn shown(owned: &Owned, text: &str) -> Vec<String> {
    let prompt =
        Prompt { scopes: owned.memory.scopes(), prompt: text.to_owned(), session: "s".into(), limit: 5 };
    match owned.memory.ask(&Request::Prompt(prompt)).await.unwrap() {
        Answer::Opened(opened) => opened.entries.into_iter().map(|entry| entry.key).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_finds_its_fact_among_the_first_five() {
    run(async {
        let owned = filled().await;
        let (mut first, mut five, mut all) = (0, 0, 0);
        for [_, key, _, question] in facts() {
            let found = ask(&owned.memory, question).await;
            let place = found.items.iter().position(|item| item.key == key);
            first += usize::from(place == Some(0));
            five += usize::from(place.is_some_and(|place| place < 5));
            all += 1;
            if place.is_none_or(|place| place >= 5) {
                println!("missed: {question} ({key}, place {place:?})");
            }
        }
        println!("hit@1 {first} of {all}, hit@5 {five} of {all}");
        // What is missed shares no word with its question.
        assert!(five * 100 >= all * 90, "hit@5 {five} of {all}");
        assert!(first * 100 >= all * 84, "hit@1 {first} of {all}");
    });
}

#[test]
fn prompts_that_concern_nothing_remembered_are_left_alone() {
    run(async {
        let owned = filled().await;
        let mut silent = 0;
        let prompts: Vec<_> = include_str!("data/unrelated.txt").lines().collect();
        for prompt in &prompts {
            let shown = shown(&owned, prompt).await;
            silent += usize::from(shown.is_empty());
            if !shown.is_empty() {
                println!("spoke: {prompt} {shown:?}");
            }
        }
        println!("silent {silent} of {}", prompts.len());
        assert_eq!(prompts.len(), 100);
        assert!(silent >= 90);
    });
}

#[test]
fn prompts_that_concern_a_fact_are_told_of_it() {
    run(async {
        let owned = filled().await;
        let (mut told, mut all) = (0, 0);
        for [_, key, _, question] in facts() {
            told += usize::from(shown(&owned, question).await.iter().any(|shown| shown == key));
            all += 1;
        }
        println!("told {told} of {all}");
        assert!(told * 100 >= all * 78, "told {told} of {all}");
    });
}
