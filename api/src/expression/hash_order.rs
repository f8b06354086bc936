//! The order in which DynamoDB lists several placeholders in one error: that of a `java.util.HashSet`.
//!
//! Programs and tests compare such texts whole, so the order counts. Source: the documentation of `String.hashCode` and
//! the rule by which `HashMap` spreads hash codes over a table of a power of two of slots.

/// Brings keys into that order. The set once held `total` keys, which makes its size.
pub(super) fn in_hash_order(mut keys: Vec<String>, total: usize) -> Vec<String> {
    keys.sort_unstable();
    by_slot(&mut keys, total, String::as_str);
    keys
}

/// The same of anything, by a text of it; what is in one slot stays in its order.
pub(crate) fn by_slot<T>(things: &mut [T], total: usize, text: impl Fn(&T) -> &str) {
    // A table is at most three quarters full, and has at least 16 slots.
    let slots = (total * 4 / 3 + 1).max(16).next_power_of_two();
    things.sort_by_key(|thing| {
        let hash = hash_code(text(thing));
        (hash ^ hash >> 16) as usize & (slots - 1)
    });
}

/// Java's `String.hashCode`.
fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_javas_hash_sets() {
        assert_eq!(hash_code("hello"), 99_162_322);
        let order =
            |keys: &[&str]| in_hash_order(keys.iter().map(|key| (*key).to_owned()).collect(), keys.len());
        assert_eq!(order(&["#b", "#a"]), ["#a", "#b"]);
        // They are in the slots 7, 1 and 0.
        assert_eq!(order(&[":a", ":k", ":z"]), [":z", ":k", ":a"].map(str::to_owned));
    }
}
