//! Progress on a terminal: how much is done, how fast, and how long it will take.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts `what`, or one that is not seen. On what is no terminal it never is.
pub(crate) fn progress_bar(what: &str, is_shown: bool) -> ProgressBar {
    if !is_shown {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left");
    with_template(&template)
}

/// A bar for pages of a file, which are counted as bytes.
pub(crate) fn byte_bar(what: &str, is_shown: bool) -> ProgressBar {
    if !is_shown {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:40}} {{bytes}}/{{total_bytes}} {what}, {{bytes_per_sec}}, {{eta}} left");
    with_template(&template)
}

fn with_template(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is made of constants");
    ProgressBar::no_length().with_style(style)
}
