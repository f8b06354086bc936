//! Reads paths.
//!
//! ```text
//! path  = name | path . name | path [ index ]
//! index = digits | - digits | 'name' | *
//! ```
//!
//! What no path of an item has is read all the same, and refused where the path is used.

use super::error::StatementError;
use super::lexer::{TokenKind, Tokens};
use super::syntax::{NodeId, Step, Tree, What};

/// The path in front, which must begin with a name.
pub(super) fn parse_path(tree: &mut Tree, tokens: &mut Tokens<'_>) -> Result<NodeId, StatementError> {
    let token = tokens.advance();
    if !matches!(token.kind, TokenKind::Identifier | TokenKind::Quoted) {
        return Err(StatementError::malformed("Expected identifier for simple path"));
    }
    let mut steps = vec![Step::Name(tokens.unquoted(token))];
    loop {
        if tokens.advance_if(TokenKind::Dot) {
            let next = tokens.advance();
            steps.push(match next.kind {
                TokenKind::Identifier | TokenKind::Quoted => Step::Name(tokens.unquoted(next)),
                TokenKind::Operator if tokens.text_of(next) == "*" => Step::Unpivot,
                _ => return Err(StatementError::malformed("Invalid path dot component")),
            });
        } else if tokens.advance_if(TokenKind::OpenBracket) {
            steps.push(read_index(tokens)?);
            if !tokens.advance_if(TokenKind::CloseBracket) {
                return Err(StatementError::malformed("Expected RIGHT_BRACKET"));
            }
        } else {
            return Ok(tree.push(token.span, What::Path(steps)));
        }
    }
}

/// What stands between the brackets of a path.
fn read_index(tokens: &mut Tokens<'_>) -> Result<Step, StatementError> {
    let mut token = tokens.advance();
    let mut is_negative = false;
    if token.kind == TokenKind::Operator && tokens.text_of(token) == "-" {
        is_negative = true;
        token = tokens.advance();
    }
    let text = tokens.text_of(token);
    match token.kind {
        TokenKind::Number => {
            let index = text.parse::<i32>().ok().and_then(|index| usize::try_from(index).ok());
            let value = index.filter(|index| !is_negative || *index == 0);
            let text = format!("{}{text}", if is_negative { "-" } else { "" });
            Ok(Step::Index { text, value, span: token.span })
        }
        TokenKind::String if !is_negative => Ok(Step::Name(tokens.unquoted(token))),
        TokenKind::Operator if text == "*" && !is_negative => Ok(Step::Wildcard),
        _ => Err(StatementError::malformed("Invalid path component")),
    }
}
