//! How alike two texts are: the Jaccard index of their shingles, the runs of four characters that occur in them.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Texts that are at least so alike say the same.
pub const ALIKE: f64 = 0.8;

/// Characters of a shingle.
const WIDTH: usize = 4;

/// The shingles of a text, as hashes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shingles(Vec<u32>);

impl Shingles {
    /// Takes a text apart. Case, and what stands between words, does not matter.
    pub fn of(text: &str) -> Shingles {
        let mut characters = vec![' '];
        for c in text.chars().flat_map(char::to_lowercase) {
            match c.is_alphanumeric() {
                true => characters.push(c),
                false if characters.last() != Some(&' ') => characters.push(' '),
                false => {}
            }
        }
        if characters.last() != Some(&' ') {
            characters.push(' ');
        }
        let mut hashes: Vec<u32> = characters.windows(WIDTH.min(characters.len())).map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// What they have in common, of all that they have: 0 to 1.
    pub fn jaccard(&self, other: &Shingles) -> f64 {
        let (mut common, mut i, mut j) = (0_u32, 0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            common += u32::from(a == b);
            i += usize::from(a <= b);
            j += usize::from(b <= a);
        }
        let all = self.0.len() + other.0.len() - common as usize;
        if all == 0 { 1.0 } else { f64::from(common) / all as f64 }
    }
}

fn hash(shingle: &[char]) -> u32 {
    let mut hasher = DefaultHasher::new();
    shingle.hash(&mut hasher);
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(one: &str, other: &str) -> f64 {
        Shingles::of(one).jaccard(&Shingles::of(other))
    }

    #[test]
    fn the_same_in_other_clothes_is_the_same() {
        assert_eq!(alike("Use tabs, not spaces!", "use TABS   not spaces"), 1.0);
        assert_eq!(alike("", "  "), 1.0);
    }

    #[test]
    fn a_word_changed_in_a_sentence_is_nearly_the_same_and_another_sentence_is_not() {
        let sentence = "The integration tests need a running Postgres on port 5433, which docker compose starts before them.";
        assert!(alike(sentence, &sentence.replace("5433", "5434")) >= ALIKE);
        assert!(
            alike(
                sentence,
                "Deploys go through the staging cluster on Fridays, never straight to production."
            ) < 0.2
        );
    }
}
