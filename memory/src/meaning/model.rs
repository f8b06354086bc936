//! A model in a directory, as `sentence-transformers` writes it.
//!
//! | file | what is read of it |
//! |---|---|
//! | `config.json` | the shape of the model, which must be a BERT |
//! | `tokenizer.json` | how texts are [taken apart](super::word_piece) |
//! | `model.safetensors` | its weights, of 32 or 16 bits |
//! | `1_Pooling/config.json`, if it is there | whether the vector of the first piece is the text's (`pooling_mode_cls_token`); else the mean of all is |
//! | `sentence_bert_config.json`, if it is there | how many pieces of a text are read (`max_seq_length`); else 256 |
//!
//! A text is given to the model as it is. Models that want a word before it, to tell a question from a passage, do less well than they could.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{MemoryError, Result};
use crate::meaning::Encoder;
use crate::meaning::bert::Bert;
use crate::meaning::word_piece::WordPiece;
use crate::text::hash;

/// Pieces of a text that are read, if the model does not say.
const MOST_PIECES: usize = 256;

/// A model, and how texts are taken apart for it.
#[derive(Debug)]
pub struct Model {
    name: String,
    bert: Bert,
    words: WordPiece,
    most: usize,
}

/// The shape of a model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f32,
}

/// How the vectors of the pieces become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    First,
    Mean,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PoolingFile {
    pooling_mode_cls_token: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LimitsFile {
    max_seq_length: Option<usize>,
}

impl Model {
    /// Loads the model in a directory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Invalid`], with the file and what is wrong with it.
    pub fn load(directory: &Path) -> Result<Model> {
        let read =
            |name: &str| fs::read(directory.join(name)).map_err(|error| wrong(&directory.join(name), error));
        let (shape, words, weights) =
            (read("config.json")?, read("tokenizer.json")?, read("model.safetensors")?);
        let in_file = |name: &str| {
            let path = directory.join(name);
            move |error: String| wrong(&path, error)
        };
        let config = Config::read(&shape).map_err(in_file("config.json"))?;
        let pooling = match setting::<PoolingFile>(&directory.join("1_Pooling/config.json"))? {
            PoolingFile { pooling_mode_cls_token: true } => Pooling::First,
            PoolingFile { pooling_mode_cls_token: false } => Pooling::Mean,
        };
        let limits: LimitsFile = setting(&directory.join("sentence_bert_config.json"))?;
        let most = limits.max_seq_length.unwrap_or(MOST_PIECES).min(config.max_position_embeddings).max(2);
        Ok(Model {
            name: name(&[&shape, &words, &weights], pooling, most),
            bert: Weights::read(&weights)
                .and_then(|weights| Bert::of(&config, pooling, &weights))
                .map_err(in_file("model.safetensors"))?,
            words: WordPiece::read(&words, config.vocab_size).map_err(in_file("tokenizer.json"))?,
            most,
        })
    }
}

impl Encoder for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let pieces = self.words.pieces(text, self.most);
        // The two at the ends are in every text.
        (pieces.len() > 2).then(|| self.bert.vector(&pieces))
    }
}

/// What makes a model's vectors what they are: its files, and how they are used.
fn name(files: &[&[u8]], pooling: Pooling, most: usize) -> String {
    let hashes: String = files.iter().map(|file| hash::short(file)).collect();
    let pooling = if pooling == Pooling::First { "first" } else { "mean" };
    format!("bert {}, {pooling} of {most}", hash::short(hashes.as_bytes()))
}

fn wrong(path: &Path, why: impl Display) -> MemoryError {
    MemoryError::Invalid(format!("{}: {why}; docs/memory.md says which models can be used", path.display()))
}

/// The settings in a file; the usual ones where there is none.
fn setting<T: Default + DeserializeOwned>(path: &Path) -> Result<T> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| wrong(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(wrong(path, error)),
    }
}

impl Config {
    fn read(bytes: &[u8]) -> Result<Config, String> {
        let config: Config = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let positions = config.position_embedding_type.as_deref().unwrap_or("absolute");
        for (what, is, must) in [
            ("model_type", config.model_type.as_str(), "bert"),
            ("hidden_act", &config.hidden_act, "gelu"),
            ("position_embedding_type", positions, "absolute"),
        ] {
            if is != must {
                return Err(format!("{what} is {is:?}, and only {must:?} is known here"));
            }
        }
        let Config { hidden_size, num_attention_heads: heads, .. } = config;
        if heads == 0 || hidden_size == 0 || hidden_size % heads != 0 {
            return Err(format!("{hidden_size} columns are not for {heads} heads"));
        }
        Ok(config)
    }
}

/// The weights in a file.
pub(super) struct Weights<'a>(SafeTensors<'a>);

impl<'a> Weights<'a> {
    fn read(bytes: &'a [u8]) -> Result<Weights<'a>, String> {
        SafeTensors::deserialize(bytes).map(Weights).map_err(|error| error.to_string())
    }

    /// Weights of this name and shape.
    pub(super) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, String> {
        let numbers = self.numbers(name, &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), numbers).map_err(|error| format!("{name}: {error}"))
    }

    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Array1<f32>, String> {
        self.numbers(name, &[len]).map(Array1::from)
    }

    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        // A model of its own has its names as they are; within a larger one they stand behind the model's.
        let found = self.0.tensor(name).or_else(|_| self.0.tensor(&format!("bert.{name}")));
        let found = found.map_err(|_| format!("{name} is not there"))?;
        if found.shape() != shape {
            return Err(format!("{name} has the shape {:?}, not {shape:?}", found.shape()));
        }
        let bytes = found.data();
        let halves = || bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        let numbers: Vec<f32> = match found.dtype() {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::BF16 => halves().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
            Dtype::F16 => halves().map(of_half).collect(),
            other => return Err(format!("{name} is of {other:?}, not of F32, F16 or BF16")),
        };
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(numbers),
            false => Err(format!("{name} has what is no number")),
        }
    }
}

/// The number that 16 bits are: a sign, 5 bits of exponent, 10 of fraction.
fn of_half(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2.0_f32.powi(-14),
        31 => f32::NAN,
        exponent => (1.0 + fraction) * 2.0_f32.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::of_half;

    #[test]
    fn halves_are_the_numbers_that_they_are() {
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x7bff, 65504.0),
            (0, 0.0),
        ] {
            assert_eq!(of_half(bits), number);
        }
        assert!(of_half(0x7c00).is_nan() && of_half(0x7e00).is_nan());
    }
}
