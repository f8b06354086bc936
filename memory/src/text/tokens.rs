//! How many tokens of a model a text costs, as a guess that is rather too high: budgets are promises.

/// The tokens of a text: one for three and a half bytes of Latin letters, one for each character of other scripts, and one for each two signs.
pub fn count(text: &str) -> usize {
    let (mut plain, mut signs, mut wide) = (0_usize, 0_usize, 0);
    for c in text.chars() {
        match c {
            _ if !c.is_ascii() => wide += 1,
            _ if c.is_ascii_alphanumeric() || c == ' ' => plain += 1,
            _ => signs += 1,
        }
    }
    (plain * 2).div_ceil(7) + signs.div_ceil(2) + wide
}

/// The longest beginning of a text that costs at most so much; it ends between two words if there are any.
pub fn cut(text: &str, most: usize) -> &str {
    if count(text) <= most {
        return text;
    }
    let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fitting = boundaries.partition_point(|&at| count(&text[..at]) <= most);
    let end = boundaries[fitting.saturating_sub(1)];
    let cut = &text[..end];
    match cut.rfind(char::is_whitespace) {
        Some(space) if space > end / 2 => cut[..space].trim_end(),
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_fits_and_ends_with_a_word() {
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(40);
        for most in [1, 5, 50, 300] {
            let cut = cut(&text, most);
            assert!(count(cut) <= most && text.starts_with(cut), "{most}: {cut}");
        }
        assert_eq!(cut(&text, 10_000), text);
        assert!(cut(&text, 50).ends_with(|c: char| c.is_alphanumeric() || c == '.'));
        assert!(count(cut(&"数据库".repeat(50), 7)) <= 7);
    }
}
