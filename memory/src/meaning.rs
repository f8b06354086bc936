//! Searching by meaning: a text becomes a vector, and texts that mean alike have vectors that point alike.
//!
//! What makes the vectors is an [`Encoder`], and that is all that the [store](crate::store) knows of it. The one that there is, `pocket` (feature
//! `semantic`), is a small sentence encoder within the program. Without one the search is by words alone.
//!
//! Vectors are kept with a byte for each coordinate, scaled so that the largest is 127. Only where they point counts, so the scale is not kept.

#[cfg(feature = "semantic")]
mod pocket;

use std::fmt::Debug;
use std::sync::Arc;

/// Turns texts into vectors.
pub trait Encoder: Debug + Send + Sync {
    /// What makes its vectors what they are: those of encoders with different names cannot be compared.
    fn name(&self) -> &str;

    /// Makes ready for the first text, beside whatever the caller does. For those who will have many; without it the first text pays.
    fn warm_up(&self) {}

    /// The vector of a text, of any length but zero; `None` if the text says nothing to it.
    fn encode(&self, text: &str) -> Option<Vec<f32>>;
}

/// The encoder that this build has, if it has one.
pub fn encoder() -> Option<Arc<dyn Encoder>> {
    #[cfg(feature = "semantic")]
    return Some(Arc::new(pocket::Pocket::new()));
    #[cfg(not(feature = "semantic"))]
    None
}

/// A vector as it is kept. `None` for one that points nowhere.
pub(crate) fn quantised(vector: &[f32]) -> Option<Vec<u8>> {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = 127.0 / largest;
    // The cast takes what is not a number for 0, but nothing of such a vector can be believed.
    let is_sound = largest > 0.0 && scale.is_finite() && vector.iter().all(|x| x.is_finite());
    is_sound.then(|| vector.iter().map(|x| ((x * scale).round() as i8).cast_unsigned()).collect())
}

/// How nearly two vectors point the same way: their cosine. Vectors of different lengths have nothing to do with each other.
pub(crate) fn closeness(one: &[u8], other: &[u8]) -> f32 {
    if one.len() != other.len() {
        return 0.0;
    }
    let (mut product, mut of_one, mut of_other) = (0_i32, 0_i32, 0_i32);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (i32::from(a.cast_signed()), i32::from(b.cast_signed()));
        product += a * b;
        of_one += a * a;
        of_other += b * b;
    }
    let lengths = (of_one as f32 * of_other as f32).sqrt();
    if lengths > 0.0 { product as f32 / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_points_where_the_vector_did() {
        let vector = |angle: f32| vec![angle.cos() * 0.01, angle.sin() * 0.01, 0.0];
        for step in 0..12 {
            let angle = step as f32 * 0.5;
            let (one, other) = (quantised(&vector(0.3)).unwrap(), quantised(&vector(0.3 + angle)).unwrap());
            assert!((closeness(&one, &other) - angle.cos()).abs() < 0.02, "{angle}");
        }
    }

    #[test]
    fn what_points_nowhere_is_no_vector() {
        for wrong in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN], &[f32::INFINITY, 1.0]] {
            assert_eq!(quantised(wrong), None, "{wrong:?}");
        }
        assert_eq!(closeness(&[1, 2], &[1, 2, 3]), 0.0);
        assert_eq!(closeness(&[0, 0], &[1, 2]), 0.0);
    }
}
