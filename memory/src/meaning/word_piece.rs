//! How texts are taken apart for a [model](super::bert): words, and where the vocabulary has not the whole word, the longest pieces of it.
//!
//! First a text is made plain: what cannot be seen is dropped, Chinese characters stand by themselves, and where the model knows no capitals, letters are small
//! and without accents. Then it is cut at spaces and before and behind each sign. A piece that goes on within a word has `##` before it.

use std::collections::HashMap;

use serde::Deserialize;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

/// Characters of a word that are looked at: what is longer is no word.
const LONGEST: usize = 100;

/// A vocabulary, and how a text is made plain.
#[derive(Debug)]
pub(super) struct WordPiece {
    vocabulary: HashMap<String, u32>,
    without_capitals: bool,
    without_accents: bool,
    /// What a text begins and ends with, and what stands for what is not known.
    first: u32,
    last: u32,
    unknown: u32,
}

/// What is read of `tokenizer.json`.
#[derive(Debug, Deserialize)]
struct File {
    normalizer: Option<Normalizer>,
    model: Model,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    lowercase: bool,
    /// As with capitals, if it is not said.
    strip_accents: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    vocab: serde_json::Value,
}

impl WordPiece {
    /// Reads `tokenizer.json`, for a model that knows so many pieces.
    pub(super) fn read(bytes: &[u8], known: usize) -> Result<WordPiece, String> {
        let File { normalizer, model } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let normalizer = normalizer.unwrap_or_default();
        if !["WordPiece", ""].contains(&model.kind.as_str())
            || !["BertNormalizer", ""].contains(&normalizer.kind.as_str())
        {
            return Err(format!(
                "it is {} behind {}, not WordPiece as BERT has it",
                model.kind, normalizer.kind
            ));
        }
        let vocabulary: HashMap<String, u32> =
            serde_json::from_value(model.vocab).map_err(|error| format!("the vocabulary: {error}"))?;
        if let Some((piece, number)) = vocabulary.iter().find(|(_, number)| **number as usize >= known) {
            return Err(format!(
                "the model knows {known} pieces, and not {piece:?}, which is number {number}"
            ));
        }
        let special =
            |piece: &str| vocabulary.get(piece).copied().ok_or(format!("the vocabulary has no {piece}"));
        Ok(WordPiece {
            first: special("[CLS]")?,
            last: special("[SEP]")?,
            unknown: special("[UNK]")?,
            without_capitals: normalizer.lowercase,
            without_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
            vocabulary,
        })
    }

    /// The pieces of a text, at most so many; those at both ends count.
    pub(super) fn pieces(&self, text: &str, most: usize) -> Vec<u32> {
        let mut pieces = vec![self.first];
        let plain = self.plain(text);
        for word in plain.split_whitespace() {
            let mut rest = word;
            while !rest.is_empty() && pieces.len() < most {
                let end = rest.find(is_sign).map_or(rest.len(), |at| match at {
                    0 => rest.chars().next().map_or(0, char::len_utf8),
                    at => at,
                });
                self.pieces_of(&rest[..end], &mut pieces);
                rest = &rest[end..];
            }
        }
        pieces.truncate(most - 1);
        pieces.push(self.last);
        pieces
    }

    /// The longest beginning that the vocabulary has, and so on with the rest. A word that cannot be had so is not known at all.
    fn pieces_of(&self, word: &str, pieces: &mut Vec<u32>) {
        let had = pieces.len();
        let (mut rest, mut piece) = (word, String::new());
        if word.chars().count() > LONGEST {
            pieces.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let mut ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let found = ends.find_map(|end| {
                piece.clear();
                piece.push_str(if rest.len() < word.len() { "##" } else { "" });
                piece.push_str(&rest[..end]);
                self.vocabulary.get(&piece).map(|number| (*number, end))
            });
            let Some((number, end)) = found else {
                pieces.truncate(had);
                pieces.push(self.unknown);
                return;
            };
            pieces.push(number);
            rest = &rest[end..];
        }
    }

    fn plain(&self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                _ if c.is_whitespace() => plain.push(' '),
                '\u{fffd}' => {}
                _ if is_unseen(c) => {}
                _ if is_chinese(c) => plain.extend([' ', c, ' ']),
                _ => plain.push(c),
            }
        }
        if self.without_accents {
            plain =
                plain.nfd().filter(|c| get_general_category(*c) != GeneralCategory::NonspacingMark).collect();
        }
        if self.without_capitals { plain.to_lowercase() } else { plain }
    }
}

fn is_unseen(c: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse, Surrogate, Unassigned};
    matches!(get_general_category(c), Control | Format | PrivateUse | Surrogate | Unassigned)
}

fn is_sign(c: char) -> bool {
    use GeneralCategory::{
        ClosePunctuation, ConnectorPunctuation, DashPunctuation, FinalPunctuation, InitialPunctuation,
        OpenPunctuation, OtherPunctuation,
    };
    c.is_ascii_punctuation()
        || matches!(
            get_general_category(c),
            ClosePunctuation
                | ConnectorPunctuation
                | DashPunctuation
                | FinalPunctuation
                | InitialPunctuation
                | OpenPunctuation
                | OtherPunctuation
        )
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lowercase: bool) -> WordPiece {
        let words = [
            "[CLS]", "[SEP]", "[UNK]", "deploy", "##ment", "##s", "the", ",", "'", "s", "cafe", "数", "据",
            "Deploy",
        ];
        let vocab: serde_json::Map<_, _> =
            words.iter().zip(0..).map(|(word, number)| ((*word).to_owned(), number.into())).collect();
        let file = serde_json::json!({"normalizer": {"type": "BertNormalizer", "lowercase": lowercase, "strip_accents": null}, "model": {"type": "WordPiece", "vocab": vocab}});
        WordPiece::read(&serde_json::to_vec(&file).unwrap(), words.len()).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &[u32]) {
        let pieces = read(true).pieces(text, 32);
        assert_eq!(pieces, [&[0], expected, &[1]].concat(), "{text}");
    }

    #[test]
    fn words_become_the_longest_pieces_that_are_known() {
        check("deployments", &[3, 4, 5]);
        check("The  DEPLOY,deploys\tthe's", &[6, 3, 7, 3, 5, 6, 8, 9]);
        check("deployed the", &[2, 6]);
        check("", &[]);
    }

    #[test]
    fn texts_are_made_plain() {
        check("Cafe\u{301} café\u{200b} ca\u{0}fe", &[10, 10, 10]);
        check("数据", &[11, 12]);
        assert_eq!(read(false).pieces("Deploy deploy THE", 9), [0, 13, 3, 2, 1]);
    }

    #[test]
    fn no_more_pieces_than_a_model_has_places() {
        assert_eq!(read(true).pieces("the deployments the the the", 4), [0, 6, 3, 1]);
        check(&"x".repeat(LONGEST + 1), &[2]);
    }

    #[test]
    fn another_tokenizer_is_refused() {
        let refused =
            |file: serde_json::Value| WordPiece::read(&serde_json::to_vec(&file).unwrap(), 2).unwrap_err();
        let special = serde_json::json!({"[CLS]": 0, "[SEP]": 1, "[UNK]": 1});
        assert!(refused(serde_json::json!({"model": {"type": "BPE", "vocab": special}})).contains("BPE"));
        assert!(
            refused(serde_json::json!({"model": {"type": "Unigram", "vocab": [["a", 0.5]]}}))
                .contains("Unigram")
        );
        assert!(refused(serde_json::json!({"model": {"vocab": {"[CLS]": 0}}})).contains("[SEP]"));
        assert!(
            refused(serde_json::json!({"model": {"vocab": {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2}}}))
                .contains("knows 2")
        );
    }
}
