//! How far a transfer is, shown on a terminal and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so much of something, or a counter if nobody knows how much there is.
pub(crate) fn bar(total: Option<u64>, is_bytes: bool, is_quiet: bool) -> ProgressBar {
    if is_quiet {
        return ProgressBar::hidden();
    }
    let (counted, rate) = if is_bytes {
        ("{bytes}/{total_bytes}", "{bytes_per_sec}")
    } else {
        ("{pos}/{len} items", "{per_sec}")
    };
    let template = match total {
        Some(_) => format!("{{bar:40}} {counted}, {rate}, {{eta}} left, {{msg}}"),
        None => format!("{{spinner}} {}, {rate}, {{msg}}", if is_bytes { "{bytes}" } else { "{pos} items" }),
    };
    let style = ProgressStyle::with_template(&template).expect("the template is a constant");
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.with_style(style)
}
