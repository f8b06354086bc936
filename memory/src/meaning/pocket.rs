//! The sentence encoder of the crate `pocket-encoder`: a MiniLM of three layers with its weights, which reads the first 128 tokens of a text and was
//! trained on English ones.

use std::thread;

use pocket_encoder::{Encoder as Model, model_info};

use crate::meaning::Encoder;

/// As much of a text is handed to the model: a good deal more than it reads.
const BYTES_READ: usize = 16 << 10;

/// The encoder. It holds the model's name; the weights, 70 MB, are the process's.
#[derive(Debug)]
pub(super) struct Pocket {
    name: String,
}

impl Pocket {
    /// The encoder, whose weights are not unpacked yet.
    pub(super) fn new() -> Pocket {
        let info = model_info();
        Pocket { name: format!("{} {}", info.id, info.revision) }
    }
}

impl Encoder for Pocket {
    fn name(&self) -> &str {
        &self.name
    }

    /// Unpacks the weights on a thread of its own, so that nobody waits who wants something else first.
    fn warm_up(&self) {
        // If there is no thread to be had, the first text pays for it.
        let _ = thread::Builder::new().name("dynamite-model".into()).spawn(|| Model::new().map(drop));
    }

    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let read = &text[..text.floor_char_boundary(BYTES_READ)];
        // It refuses what has no words.
        Model::new().ok()?.embed(&[read]).ok()?.pop()
    }
}
