//! A sentence encoder of the BERT family, run on the processor.
//!
//! A text's pieces become vectors; each layer lets every piece look at all others (attention) and then at itself (feed-forward), adding what it finds to what
//! was there; in the end the vectors of the pieces become one. Nothing here learns: the weights come from a [directory](super::model), and their shapes
//! are checked when they are taken out of it, so that what comes after cannot fail.

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice, Zip, concatenate};

use crate::meaning::model::{Config, Pooling, Weights};

/// The model.
#[derive(Debug)]
pub(super) struct Bert {
    words: Array2<f32>,
    positions: Array2<f32>,
    /// The kind of all pieces: there is but one text at a time.
    kind: Array1<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    pooling: Pooling,
}

#[derive(Debug)]
struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    attended: Dense,
    attended_norm: Norm,
    wide: Dense,
    narrow: Dense,
    norm: Norm,
}

/// `x · weight + bias`.
#[derive(Debug)]
struct Dense {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

/// Brings each row to the mean 0 and the deviation 1, and then to what was learned.
#[derive(Debug)]
struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

impl Bert {
    /// Takes the weights of a model out of a file.
    pub(super) fn of(config: &Config, pooling: Pooling, weights: &Weights<'_>) -> Result<Bert, String> {
        let width = config.hidden_size;
        let norm = |name: &str| -> Result<Norm, String> {
            Ok(Norm {
                weight: weights.vector(&format!("{name}.weight"), width)?,
                bias: weights.vector(&format!("{name}.bias"), width)?,
                epsilon: config.layer_norm_eps,
            })
        };
        let dense = |name: &str, from: usize, to: usize| -> Result<Dense, String> {
            // It is stored the other way round.
            let weight = weights.matrix(&format!("{name}.weight"), to, from)?;
            let bias = weights.vector(&format!("{name}.bias"), to)?;
            Ok(Dense { weight: weight.reversed_axes(), bias })
        };
        let kinds =
            weights.matrix("embeddings.token_type_embeddings.weight", config.type_vocab_size, width)?;
        let mut layers = Vec::new();
        for number in 0..config.num_hidden_layers {
            let of = |part: &str| format!("encoder.layer.{number}.{part}");
            layers.push(Layer {
                query: dense(&of("attention.self.query"), width, width)?,
                key: dense(&of("attention.self.key"), width, width)?,
                value: dense(&of("attention.self.value"), width, width)?,
                attended: dense(&of("attention.output.dense"), width, width)?,
                attended_norm: norm(&of("attention.output.LayerNorm"))?,
                wide: dense(&of("intermediate.dense"), width, config.intermediate_size)?,
                narrow: dense(&of("output.dense"), config.intermediate_size, width)?,
                norm: norm(&of("output.LayerNorm"))?,
            });
        }
        Ok(Bert {
            words: weights.matrix("embeddings.word_embeddings.weight", config.vocab_size, width)?,
            positions: weights.matrix(
                "embeddings.position_embeddings.weight",
                config.max_position_embeddings,
                width,
            )?,
            kind: kinds.row(0).to_owned(),
            norm: norm("embeddings.LayerNorm")?,
            layers,
            heads: config.num_attention_heads,
            pooling,
        })
    }

    /// The vector of a text's pieces, of which there are no more than positions; each is one of the vocabulary.
    pub(super) fn vector(&self, pieces: &[u32]) -> Vec<f32> {
        let rows: Vec<usize> = pieces.iter().map(|piece| *piece as usize).collect();
        let mut x = self.words.select(Axis(0), &rows);
        x += &self.positions.slice_axis(Axis(0), Slice::from(..rows.len()));
        x += &self.kind;
        self.norm.apply(&mut x);
        for layer in &self.layers {
            x = layer.apply(x, self.heads);
        }
        match self.pooling {
            Pooling::First => x.row(0).to_vec(),
            Pooling::Mean => x.mean_axis(Axis(0)).map(|mean| mean.to_vec()).unwrap_or_default(),
        }
    }
}

impl Layer {
    fn apply(&self, x: Array2<f32>, heads: usize) -> Array2<f32> {
        let (query, key, value) = (self.query.apply(&x), self.key.apply(&x), self.value.apply(&x));
        let width = x.ncols() / heads;
        let of_heads: Vec<Array2<f32>> = (0..heads)
            .map(|head| {
                let columns = Slice::from(head * width..(head + 1) * width);
                let of = |x: &Array2<f32>| x.slice_axis(Axis(1), columns).to_owned();
                attention(&of(&query), &of(&key), &of(&value))
            })
            .collect();
        let views: Vec<ArrayView2<'_, f32>> = of_heads.iter().map(|one| one.view()).collect();
        let attended = concatenate(Axis(1), &views).expect("all heads have the rows of the text");
        let mut attended = self.attended.apply(&attended);
        attended += &x;
        self.attended_norm.apply(&mut attended);
        let mut wide = self.wide.apply(&attended);
        wide.mapv_inplace(gelu);
        let mut narrow = self.narrow.apply(&wide);
        narrow += &attended;
        self.norm.apply(&mut narrow);
        narrow
    }
}

/// What each piece finds in the others: their values, by how well their keys answer its query.
fn attention(query: &Array2<f32>, key: &Array2<f32>, value: &Array2<f32>) -> Array2<f32> {
    let mut shares = query.dot(&key.t());
    shares /= (query.ncols() as f32).sqrt();
    for mut row in shares.rows_mut() {
        let greatest = row.fold(f32::NEG_INFINITY, |greatest, x| greatest.max(*x));
        row.mapv_inplace(|x| (x - greatest).exp());
        let sum = row.sum();
        row /= sum;
    }
    shares.dot(value)
}

impl Dense {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        x.dot(&self.weight) + &self.bias
    }
}

impl Norm {
    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            let mean = row.sum() / row.len() as f32;
            let variance = row.fold(0.0, |sum, x| sum + (x - mean) * (x - mean)) / row.len() as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            let learned = Zip::from(&mut row).and(&self.weight).and(&self.bias);
            learned.for_each(|x, weight, bias| *x = (*x - mean) * scale * weight + bias);
        }
    }
}

/// `x · Φ(x)`.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function, to seven digits (Abramowitz and Stegun, 7.1.26).
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum =
        t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_the_one_of_the_tables() {
        for (x, expected) in
            [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (-1.0, -0.842_700_8)]
        {
            assert!((erf(x) - expected).abs() < 1e-6, "{x}: {}", erf(x));
        }
    }

    #[test]
    fn attention_is_a_mean_of_values_by_how_keys_answer() {
        let (query, value) = (ndarray::arr2(&[[1.0, 0.0]]), ndarray::arr2(&[[2.0, 4.0], [6.0, 8.0]]));
        let equal = ndarray::arr2(&[[0.5, 1.0], [0.5, -3.0]]);
        let found = attention(&query, &equal, &value);
        assert!((&found - &ndarray::arr2(&[[4.0, 6.0]])).iter().all(|x| x.abs() < 1e-6), "{found}");
        let one = ndarray::arr2(&[[100.0, 0.0], [0.0, 0.0]]);
        let found = attention(&query, &one, &value);
        assert!((&found - &ndarray::arr2(&[[2.0, 4.0]])).iter().all(|x| x.abs() < 1e-6), "{found}");
    }
}
