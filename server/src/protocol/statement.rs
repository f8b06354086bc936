//! Statements of PartiQL: sent as texts, with what their question marks stand for.
//!
//! Who works on a request is known before its body is read, and reads are worked on by others than writes. So each operation is there
//! twice, and the client, which can read a statement, says which it is.

use dynamite_core::partiql;
use serde::{Deserialize, Serialize};

use crate::protocol::fault::Fault;
use crate::protocol::terms::same_terms;
use crate::protocol::text::{Bytes, Text, WireValue};

/// A statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Statement<'a> {
    #[serde(borrow)]
    pub(crate) text: Text<'a>,
    /// What its question marks stand for.
    #[serde(borrow)]
    pub(crate) parameters: Vec<WireValue<'a>>,
}

/// What a statement by itself is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatementTerms<'a> {
    #[serde(borrow)]
    pub(crate) statement: Statement<'a>,
    pub(crate) limit: Option<u64>,
    #[serde(borrow)]
    pub(crate) next_token: Option<Text<'a>>,
    pub(crate) consistent: bool,
}

/// Statements, each for itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BatchTerms<'a> {
    #[serde(borrow)]
    pub(crate) statements: Vec<Statement<'a>>,
}

/// Statements, all or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TransactionTerms<'a> {
    /// Each with whether the reason of a cancellation is to carry its item.
    #[serde(borrow)]
    pub(crate) statements: Vec<(Statement<'a>, bool)>,
    #[serde(borrow)]
    pub(crate) token: Option<Text<'a>>,
}

same_terms! {
    ReadStatement of StatementTerms;
    WriteStatement of StatementTerms;
    ReadStatementBatch of BatchTerms;
    WriteStatementBatch of BatchTerms;
    ReadStatementTransaction of TransactionTerms;
    WriteStatementTransaction of TransactionTerms;
}

/// What a statement gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatementPage<'b> {
    #[serde(borrow)]
    pub(crate) items: Vec<Bytes<'b>>,
    pub(crate) scanned_count: u64,
    #[serde(borrow)]
    pub(crate) next_token: Option<Text<'b>>,
    /// The last key, as an item.
    #[serde(borrow)]
    pub(crate) last: Option<Bytes<'b>>,
}

/// What came of a statement of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome<'b> {
    /// The table that it names, if it can be read.
    #[serde(borrow)]
    pub(crate) table: Option<Text<'b>>,
    #[serde(borrow)]
    pub(crate) item: Result<Option<Bytes<'b>>, Fault<'b>>,
}

/// Whether statements that are sent together are a matter of those who read. They are if one of them reads: reads and writes do not
/// mix, so nothing is written then; and if none of them can be read.
pub(crate) fn are_reads<'s>(texts: impl Iterator<Item = &'s str>) -> bool {
    let mut is_write = false;
    for reads in texts.filter_map(|text| partiql::reads(text).ok()) {
        if reads {
            return true;
        }
        is_write = true;
    }
    !is_write
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{decode, encode};

    /// What is sent is a promise.
    #[test]
    fn a_statement_has_the_documented_bytes() {
        let statement = Statement {
            text: "DELETE FROM t WHERE a=?".into(),
            parameters: vec![WireValue::of("x".into()).expect("it can be stored")],
        };
        let terms =
            StatementTerms { statement, limit: Some(300), next_token: Some("n".into()), consistent: true };
        let mut bytes = Vec::new();
        encode(&WriteStatement(terms), &mut bytes).expect("it is short");
        let parameter = b"\x01\x05\x01\x01v\x31x";
        assert_eq!(
            bytes,
            [b"\x17DELETE FROM t WHERE a=?", &parameter[..], b"\x01\xac\x02\x01\x01n\x01"].concat()
        );
        assert!(decode::<ReadStatement<'_>>(&bytes).is_ok_and(|read| read.0.limit == Some(300)));
    }

    #[track_caller]
    fn check(texts: &[&str], expected: bool) {
        assert_eq!(are_reads(texts.iter().copied()), expected, "{texts:?}");
    }

    #[test]
    fn who_works_on_statements_is_known_by_their_texts() {
        const READ: &str = "SELECT * FROM t";
        const WRITE: &str = "DELETE FROM t WHERE a = 1";
        check(&[READ], true);
        check(&[WRITE], false);
        check(&["EXISTS(SELECT * FROM t WHERE a = 1 AND b = 2)"], false);
        check(&[WRITE, READ], true);
        check(&["?", READ], true);
        check(&["?", WRITE], false);
        check(&["?"], true);
        check(&[], true);
    }
}
