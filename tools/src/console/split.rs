//! Where a statement ends in a text of several.
//!
//! With its line, or at a semicolon; unless a bracket, a single quote or a backquote is open, or the line ends with a backslash. A text
//! in double quotes is JSON's, and ends with its line at the latest: what is missing then is its quote, and not more lines.

/// The first statement of a text, up to where it ends, and what stands behind it; `None` if it goes on behind the text.
pub(crate) fn split_first(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut is_escaped = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let ends = || Some((&text[..at], &text[at + character.len_utf8()..]));
        match (quote, character) {
            (Some('"'), '\n') => return ends(),
            (Some('"'), _) if is_escaped => is_escaped = false,
            (Some('"'), '\\') => is_escaped = true,
            (Some(open), found) if open == found => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '-') if text[at..].starts_with("--") => {
                while characters.next_if(|&(_, character)| character != '\n').is_some() {}
            }
            (None, '\\') if text[at + 1..].trim_start_matches([' ', '\t', '\r']).starts_with('\n') => {
                // The line goes on behind its end.
                while characters.next_if(|&(_, character)| character != '\n').is_some() {}
                characters.next();
            }
            (None, '\n' | ';') if depth == 0 => return ends(),
            (None, _) => {}
        }
    }
    None
}

/// A statement without the backslashes that only say that it goes on. Every byte stays where it was.
pub(crate) fn joined(statement: &str) -> String {
    let line = |line: &str| {
        let content = line.trim_end();
        match content.strip_suffix('\\') {
            Some(before) => format!("{before} {}", &line[content.len()..]),
            None => line.to_owned(),
        }
    };
    match statement.rsplit_once('\n') {
        Some((lines, last)) => lines.split('\n').map(line).collect::<Vec<_>>().join("\n") + "\n" + last,
        None => statement.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, statements: &[&str], rest: &str) {
        let (mut found, mut left) = (Vec::new(), text);
        while let Some((statement, behind)) = split_first(left) {
            found.push(joined(statement));
            left = behind;
        }
        assert_eq!(
            (&found[..], left),
            (&statements.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()[..], rest)
        );
    }

    #[test]
    fn a_statement_ends_with_its_line_or_at_a_semicolon() {
        check("GET a \"x;y\"; GET b 'p;q'\nMORE", &["GET a \"x;y\"", " GET b 'p;q'"], "MORE");
        check("\n\n", &["", ""], "");
        check("a -- b; c ( \nd\n", &["a -- b; c ( ", "d"], "");
    }

    #[test]
    fn what_is_open_goes_on() {
        check("PUT t {\"a\":\n1}\nx", &["PUT t {\"a\":\n1}"], "x");
        check("CREATE TABLE t (\na S\n)\n", &["CREATE TABLE t (\na S\n)"], "");
        check("a 'b\nc'\n", &["a 'b\nc'"], "");
        check("a \\\n b \\ \nc\n", &["a  \n b   \nc"], "");
        check("PUT t {\"a\": [1, (", &[], "PUT t {\"a\": [1, (");
    }

    #[test]
    fn what_cannot_go_on_ends() {
        check("GET \"abc\nGET 1\n", &["GET \"abc", "GET 1"], "");
        check("a )]}\nb\n", &["a )]}", "b"], "");
        check(r#"GET "a\"b;" ; c"#, &[r#"GET "a\"b;" "#], " c");
        check("GET '}' \n", &["GET '}' "], "");
    }
}
