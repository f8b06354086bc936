//! What its writer marked as not to be kept: `<private>…</private>` is dropped before anything else looks at a text.

/// A text without what is private in it, and whether there was any. What is not closed is private to the end.
pub fn strip(text: &str) -> (String, bool) {
    strip_elements(text, &|rest| tag_at(rest, "private"))
}

/// A text without the elements whose tags `tag` finds: whether one begins at a `<`, whether it closes, and where it ends. They nest.
pub(crate) fn strip_elements(text: &str, tag: &dyn Fn(&str) -> Option<(bool, usize)>) -> (String, bool) {
    let (mut left, mut depth, mut found, mut rest) =
        (String::with_capacity(text.len()), 0_usize, false, text);
    while let Some(at) = rest.find('<') {
        if depth == 0 {
            left.push_str(&rest[..at]);
        }
        rest = &rest[at..];
        let len = match tag(rest) {
            Some((closes, len)) => {
                found = true;
                depth = if closes { depth.saturating_sub(1) } else { depth + 1 };
                len
            }
            None => {
                if depth == 0 {
                    left.push('<');
                }
                1
            }
        };
        rest = &rest[len..];
    }
    if depth == 0 {
        left.push_str(rest);
    }
    (left, found)
}

/// Whether a tag of a name begins a text: whether it closes an element, and where it ends. Case and spaces do not matter, and an unfinished
/// tag ends with the text.
pub(crate) fn tag_at(text: &str, name: &str) -> Option<(bool, usize)> {
    let inner = text.strip_prefix('<')?.trim_start();
    let (closes, inner) = match inner.strip_prefix('/') {
        Some(inner) => (true, inner.trim_start()),
        None => (false, inner),
    };
    let matches = inner.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let after = matches.then(|| &inner[name.len()..])?;
    let ends = after.chars().next().is_none_or(|c| c == '>' || c == '/' || c.is_whitespace());
    let start = text.len() - after.len();
    ends.then(|| (closes, after.find('>').map_or(text.len(), |end| start + end + 1)))
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn private_parts_are_dropped() {
        for (text, left) in [
            ("a <private>b</private> c", "a  c"),
            ("a <PRIVATE reason=x>b</ private > c", "a  c"),
            ("a <private>b <private>c</private> d</private> e", "a  e"),
            ("a <private>b", "a "),
            ("<private>all</private>", ""),
            ("<privateer>b</privateer> x < y", "<privateer>b</privateer> x < y"),
        ] {
            assert_eq!(strip(text).0, left, "{text}");
        }
    }
}
