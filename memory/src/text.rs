//! What is done with text: taking it apart for the search, comparing it, cleaning it on its way in, fencing it on its way out, naming it by its hash.

pub mod fence;
pub mod hash;
pub mod private;
pub mod secrets;
pub mod shingles;
pub mod stem;
pub mod stop_words;
pub mod time;
pub mod tokens;
pub mod words;
