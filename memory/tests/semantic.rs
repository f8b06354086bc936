//! Models from a directory. The tests make their own: a vocabulary of a few words, two heads, drawn weights; and hold it against a forward pass that is
//! written out here, slowly and plainly.
//!
//! ```text
//! cargo test -p dynamite-memory --features semantic --test semantic --test meaning
//! DYNAMITE_MEMORY_MODEL=DIR cargo test --release -p dynamite-memory --features semantic --test semantic -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "the numbers of a real model are what it is run for")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::{Home, Owned, ask, keys, remember, run};
use dynamite_memory::meaning::model::Model;
use dynamite_memory::meaning::{self, Encoder};
use serde_json::json;

const WORDS: [&str; 16] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "where",
    "are",
    "credentials",
    "secrets",
    "vault",
    "in",
    "the",
    "car",
    "##s",
    "is",
    "blue",
    ".",
];
const WIDTH: usize = 8;
const HEADS: usize = 2;
const INNER: usize = 12;
const POSITIONS: usize = 16;

/// Weights by their names, with their shapes.
type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Draws the weights of a model of so many layers.
fn draw(layers: usize) -> Weights {
    let mut weights = Weights::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut add = |name: String, shape: &[usize], base: f32, spread: f32| {
        let numbers = (0..shape.iter().product()).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            base + spread * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        });
        weights.insert(name, (shape.to_vec(), numbers.collect()));
    };
    add("embeddings.word_embeddings.weight".into(), &[WORDS.len(), WIDTH], 0.0, 1.0);
    add("embeddings.position_embeddings.weight".into(), &[POSITIONS, WIDTH], 0.0, 0.05);
    add("embeddings.token_type_embeddings.weight".into(), &[2, WIDTH], 0.0, 0.05);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..layers {
        let of = |part: &str| format!("encoder.layer.{layer}.{part}");
        for (part, to, from) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            add(of(&format!("{part}.weight")), &[to, from], 0.0, 0.4);
            add(of(&format!("{part}.bias")), &[to], 0.0, 0.2);
        }
        norms.extend([of("attention.output.LayerNorm"), of("output.LayerNorm")]);
    }
    for norm in norms {
        add(format!("{norm}.weight"), &[WIDTH], 1.0, 0.1);
        add(format!("{norm}.bias"), &[WIDTH], 0.0, 0.1);
    }
    weights
}

/// The bytes of a file of weights: the length of its head, the head, the numbers.
fn safetensors(weights: &Weights) -> Vec<u8> {
    let (mut head, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, numbers)) in weights {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        head.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let head = serde_json::to_vec(&head).unwrap();
    [&(head.len() as u64).to_le_bytes(), &head[..], &data].concat()
}

fn config(layers: usize) -> serde_json::Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "vocab_size": WORDS.len(), "hidden_size": WIDTH, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "intermediate_size": INNER, "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    })
}

fn write(directory: &Path, layers: usize, weights: &Weights) {
    std::fs::create_dir_all(directory).unwrap();
    let vocab: serde_json::Map<_, _> =
        WORDS.iter().zip(0..).map(|(word, number)| ((*word).to_owned(), number.into())).collect();
    let words = json!({"normalizer": {"type": "BertNormalizer", "lowercase": true}, "model": {"type": "WordPiece", "vocab": vocab}});
    std::fs::write(directory.join("config.json"), config(layers).to_string()).unwrap();
    std::fs::write(directory.join("tokenizer.json"), words.to_string()).unwrap();
    std::fs::write(directory.join("model.safetensors"), safetensors(weights)).unwrap();
}

/// A forward pass, number by number.
fn forward(weights: &Weights, layers: usize, pieces: &[usize]) -> Vec<Vec<f64>> {
    let numbers = |name: &str| -> Vec<f64> { weights[name].1.iter().map(|x| f64::from(*x)).collect() };
    let norm = |rows: &mut Vec<Vec<f64>>, name: &str| {
        let (weight, bias) = (numbers(&format!("{name}.weight")), numbers(&format!("{name}.bias")));
        for row in rows {
            let mean = row.iter().sum::<f64>() / WIDTH as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / WIDTH as f64;
            for (column, x) in row.iter_mut().enumerate() {
                *x = (*x - mean) / (variance + 1e-12).sqrt() * weight[column] + bias[column];
            }
        }
    };
    let dense = |rows: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let (weight, bias) = (numbers(&format!("{name}.weight")), numbers(&format!("{name}.bias")));
        let one = |row: &Vec<f64>| {
            let to = |to: usize| {
                bias[to]
                    + row.iter().enumerate().map(|(from, x)| x * weight[to * row.len() + from]).sum::<f64>()
            };
            (0..bias.len()).map(to).collect()
        };
        rows.iter().map(one).collect()
    };
    let add = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    };
    let (words, positions, kinds) = (
        numbers("embeddings.word_embeddings.weight"),
        numbers("embeddings.position_embeddings.weight"),
        numbers("embeddings.token_type_embeddings.weight"),
    );
    let row = |(at, piece): (usize, &usize)| {
        (0..WIDTH)
            .map(|column| words[piece * WIDTH + column] + positions[at * WIDTH + column] + kinds[column])
            .collect()
    };
    let mut x: Vec<Vec<f64>> = pieces.iter().enumerate().map(row).collect();
    norm(&mut x, "embeddings.LayerNorm");
    for layer in 0..layers {
        let of = |part: &str| format!("encoder.layer.{layer}.{part}");
        let [query, key, value] =
            ["query", "key", "value"].map(|part| dense(&x, &of(&format!("attention.self.{part}"))));
        let mut attended = vec![vec![0.0; WIDTH]; x.len()];
        let width = WIDTH / HEADS;
        for head in 0..HEADS {
            let columns = head * width..(head + 1) * width;
            for (i, row) in attended.iter_mut().enumerate() {
                let answer = |j: usize| {
                    columns.clone().map(|c| query[i][c] * key[j][c]).sum::<f64>() / (width as f64).sqrt()
                };
                let shares: Vec<f64> = (0..x.len()).map(|j| answer(j).exp()).collect();
                let sum: f64 = shares.iter().sum();
                for c in columns.clone() {
                    row[c] = (0..x.len()).map(|j| shares[j] / sum * value[j][c]).sum();
                }
            }
        }
        let mut attended = add(&dense(&attended, &of("attention.output.dense")), &x);
        norm(&mut attended, &of("attention.output.LayerNorm"));
        let mut wide = dense(&attended, &of("intermediate.dense"));
        // Φ by its series, which is no way to compute it fast.
        let phi = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for n in 1..60 {
                term *= -x * x / (2.0 * f64::from(n));
                sum += term / f64::from(2 * n + 1);
            }
            0.5 + sum / (2.0 * std::f64::consts::PI).sqrt()
        };
        wide.iter_mut().flatten().for_each(|x| *x *= phi(*x));
        x = add(&dense(&wide, &of("output.dense")), &attended);
        norm(&mut x, &of("output.LayerNorm"));
    }
    x
}

#[track_caller]
fn check_near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{worst}: {found:?}, not {expected:?}");
}

#[test]
fn a_vector_is_what_the_forward_pass_written_out_makes() {
    let home = Home::new();
    for layers in [0, 1, 3] {
        let directory = home.path(&format!("m{layers}"));
        let weights = draw(layers);
        write(&directory, layers, &weights);
        let model = Model::load(&directory).unwrap();
        for (text, pieces) in [
            ("Where are the cars.", &[2, 4, 5, 10, 11, 12, 15, 3][..]),
            ("vault", &[2, 8, 3]),
            ("the unheard vault", &[2, 10, 1, 8, 3]),
        ] {
            let rows = forward(&weights, layers, pieces);
            let mean: Vec<f64> =
                (0..WIDTH).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / rows.len() as f64).collect();
            check_near(&model.encode(text).unwrap(), &mean);
        }
        // The first piece instead, and no more than six.
        std::fs::create_dir(directory.join("1_Pooling")).unwrap();
        std::fs::write(directory.join("1_Pooling/config.json"), "{\"pooling_mode_cls_token\": true}")
            .unwrap();
        std::fs::write(directory.join("sentence_bert_config.json"), "{\"max_seq_length\": 6}").unwrap();
        let first = Model::load(&directory).unwrap();
        let rows = forward(&weights, layers, &[2, 4, 5, 10, 11, 3]);
        check_near(&first.encode("Where are the cars.").unwrap(), &rows[0]);
        assert_ne!(first.name(), model.name(), "its vectors are others");
        assert_eq!(model.encode(" \n"), None);
    }
}

#[test]
fn a_model_is_known_by_what_is_in_its_files() {
    let home = Home::new();
    let directory = home.path("m");
    let mut weights = draw(1);
    write(&directory, 1, &weights);
    let name = Model::load(&directory).unwrap().name().to_owned();
    assert_eq!(Model::load(&directory).unwrap().name(), name);
    weights.get_mut("encoder.layer.0.output.dense.bias").unwrap().1[3] += 0.5;
    write(&directory, 1, &weights);
    assert_ne!(Model::load(&directory).unwrap().name(), name);
}

#[test]
fn what_is_no_model_is_refused_with_the_file_and_the_reason() {
    let home = Home::new();
    let directory = home.path("m");
    #[track_caller]
    fn check(directory: &Path, file: &str, reason: &str) {
        let error = Model::load(directory).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(reason) && !error.contains('\n'), "{error}");
    }
    check(&directory, "config.json", "No such file");
    write(&directory, 1, &draw(0));
    check(&directory, "model.safetensors", "encoder.layer.0.attention.self.query.weight is not there");
    let mut weights = draw(1);
    weights.get_mut("embeddings.LayerNorm.bias").unwrap().1[0] = f32::NAN;
    write(&directory, 1, &weights);
    check(&directory, "model.safetensors", "no number");
    let mut weights = draw(1);
    weights.get_mut("embeddings.LayerNorm.bias").unwrap().0 = vec![2, WIDTH / 2];
    write(&directory, 1, &weights);
    check(&directory, "model.safetensors", "shape");
    write(&directory, 1, &draw(1));
    let bytes = std::fs::read(directory.join("model.safetensors")).unwrap();
    for len in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(directory.join("model.safetensors"), &bytes[..len]).unwrap();
        check(&directory, "model.safetensors", "");
    }
    write(&directory, 1, &draw(1));
    for (what, value, reason) in [
        ("model_type", json!("mpnet"), "mpnet"),
        ("hidden_act", json!("relu"), "relu"),
        ("position_embedding_type", json!("relative_key"), "relative_key"),
        ("num_attention_heads", json!(3), "3 heads"),
        ("num_attention_heads", json!(0), "0 heads"),
        ("vocab_size", json!(15), "15"),
        ("hidden_size", json!("wide"), "invalid type"),
    ] {
        let mut config = config(1);
        config[what] = value;
        std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
        let error = Model::load(&directory).unwrap_err().to_string();
        assert!(error.contains(reason), "{what}: {error}");
    }
}

#[test]
fn a_model_in_the_store_finds_what_shares_no_word() {
    let home = Home::new();
    let mut weights = draw(1);
    // Two words that mean the same.
    let words = &mut weights.get_mut("embeddings.word_embeddings.weight").unwrap().1;
    words.copy_within(7 * WIDTH..8 * WIDTH, 6 * WIDTH);
    write(&home.path("m"), 1, &weights);
    let owned = Owned::with_encoder(Some(Arc::new(Model::load(&home.path("m")).unwrap())));
    run(async {
        remember(&owned.memory, "c", "vault", "secrets").await;
        remember(&owned.memory, "c", "blue", "the car is blue").await;
        let found = ask(&owned.memory, "credentials").await;
        assert_eq!(keys(&found)[0], "vault", "{found:?}");
    });
}

#[test]
fn the_program_uses_the_model_beside_its_file() {
    let home = Home::new();
    let mut weights = draw(1);
    let words = &mut weights.get_mut("embeddings.word_embeddings.weight").unwrap().1;
    words.copy_within(7 * WIDTH..8 * WIDTH, 6 * WIDTH);
    home.json(&["remember", "c", "vault", "secrets"]);
    home.end_owners(rustix::process::Signal::TERM);
    let directory = home.db().with_extension("model");
    assert!(meaning::beside(&home.db()).unwrap().is_none());
    write(&directory, 1, &weights);
    assert_eq!(home.json(&["recall", "credentials"]).0, 3, "it has no vector yet");
    assert_eq!(home.json(&["gc"]).1["encoded"], 1);
    assert_eq!(home.json(&["recall", "credentials"]).1["items"][0]["key"], "vault");
    let (_, said) = home.json(&["doctor"]);
    let model = |said: &serde_json::Value| {
        said["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == "model")
            .unwrap()
            .clone()
    };
    assert!(model(&said)["seen"].as_str().unwrap().starts_with("bert "), "{said}");

    std::fs::write(directory.join("config.json"), "{}").unwrap();
    let (_, said) = home.json(&["doctor"]);
    assert!(
        model(&said)["ok"] == false && model(&said)["seen"].as_str().unwrap().contains("config.json"),
        "{said}"
    );
    home.end_owners(rustix::process::Signal::TERM);
    assert_eq!(home.json(&["recall", "secrets"]).0, 0, "without a model it is found by its words");
}

/// With `DYNAMITE_MEMORY_MODEL=DIR`: how well the questions of the retrieval test are answered, and what it costs.
#[test]
#[ignore = "wants a real model"]
fn a_real_model_answers_the_questions() {
    let directory = std::env::var_os("DYNAMITE_MEMORY_MODEL").unwrap();
    let begun = std::time::Instant::now();
    let model = Model::load(Path::new(&directory)).unwrap();
    println!("{} loaded in {:?}", model.name(), begun.elapsed());
    let facts: Vec<Vec<&str>> =
        include_str!("data/facts.tsv").lines().map(|line| line.split('\t').collect()).collect();
    let begun = std::time::Instant::now();
    facts.iter().for_each(|fact| drop(model.encode(fact[2])));
    println!("a fact takes {:?}", begun.elapsed() / facts.len() as u32);
    let begun = std::time::Instant::now();
    facts.iter().for_each(|fact| drop(model.encode(fact[3])));
    println!("a question takes {:?}", begun.elapsed() / facts.len() as u32);
    let owned = Owned::with_encoder(Some(Arc::new(model)));
    run(async {
        for fact in &facts {
            remember(&owned.memory, fact[0], fact[1], fact[2]).await;
        }
        let (mut first, mut five) = (0, 0);
        for fact in &facts {
            let found = ask(&owned.memory, fact[3]).await;
            let place = found.items.iter().position(|item| item.key == fact[1]);
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
