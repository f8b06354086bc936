//! A name for what is too long to be one.

use sha2::{Digest, Sha256};

/// Sixteen hexadecimal digits that are the same for the same bytes, and by all that is known for no others.
pub fn short(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_and_projects_are_found_again_by_it() {
        assert_eq!(super::short(b"abc"), "ba7816bf8f01cfea");
    }
}
