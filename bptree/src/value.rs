//! What goes into a tree and what comes out of it.

use crate::overflow::Overflow;

/// A stored value: `head` bytes come first and stay in the leaf, the body follows them, in the leaf or in an overflow run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Head and body, one after the other, in the leaf.
    Inline(&'a [u8]),
    /// The head in the leaf, the body in pages of its own.
    Spilled {
        /// The bytes in the leaf.
        head: &'a [u8],
        /// Where the body is.
        run: Overflow,
    },
}

impl<'a> Value<'a> {
    /// The bytes in the leaf: the head, or if the value is inline, all of it.
    #[inline]
    pub fn head(&self) -> &'a [u8] {
        match self {
            Value::Inline(bytes) => bytes,
            Value::Spilled { head, .. } => head,
        }
    }

    /// Bytes of the whole value, head and body.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "an empty value is nothing special")]
    pub fn len(&self) -> usize {
        match self {
            Value::Inline(bytes) => bytes.len(),
            Value::Spilled { head, run } => head.len() + run.len(),
        }
    }

    /// A copy that the caller keeps.
    pub(crate) fn displaced(&self) -> Displaced {
        match self {
            Value::Inline(bytes) => Displaced { head: bytes.to_vec(), run: None },
            Value::Spilled { head, run } => Displaced { head: head.to_vec(), run: Some(*run) },
        }
    }
}

/// A value to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewValue<'a> {
    /// Bytes that stay in the leaf, at most [`MAX_HEAD`](crate::MAX_HEAD).
    pub head: &'a [u8],
    /// The rest.
    pub body: Body<'a>,
}

/// The body of a value to be stored.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Bytes, which the tree puts where they fit.
    Bytes(&'a [u8]),
    /// A run that the caller owned until now, handed over, not copied.
    Run(Overflow),
}

impl NewValue<'_> {
    /// Bytes of the whole value.
    pub(crate) fn len(&self) -> usize {
        let body = match self.body {
            Body::Bytes(bytes) => bytes.len(),
            Body::Run(run) => run.len(),
        };
        self.head.len() + body
    }
}

/// A value that was replaced or removed. Its run, if it has one, now belongs to whoever holds this: free it, or store it
/// elsewhere, or its pages are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the pages of its run are lost if nobody frees them"]
pub struct Displaced {
    /// The bytes that were in the leaf; all of them if there is no run.
    pub head: Vec<u8>,
    /// Where the body is, if it was spilled.
    pub run: Option<Overflow>,
}
