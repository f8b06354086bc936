//! What the placeholders of a request stand for, and which of them its expressions mention.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::constant::Constant;
use super::error::{ExpressionError, Placeholders, Problem};
use super::hash_order::in_hash_order;
use super::lexer::{Located, Token};
use super::path::{Path, Step};
use super::reserved::is_reserved;
use super::syntax::{RawElement, RawPath};
use crate::limits::MAX_NAME_LEN;
use crate::value::AttributeValue;

/// The placeholders of a request.
pub(super) struct Scope<'r> {
    names: HashMap<&'r str, Binding<&'r str>>,
    values: HashMap<&'r str, Binding<Arc<Constant>>>,
}

struct Binding<T> {
    meaning: T,
    is_used: Cell<bool>,
}

impl<T> Binding<T> {
    fn new(meaning: T) -> Self {
        Binding { meaning, is_used: Cell::new(false) }
    }
}

impl<'r> Scope<'r> {
    pub(super) fn new(
        names: Option<&'r BTreeMap<String, String>>,
        values: Option<&'r BTreeMap<String, AttributeValue>>,
    ) -> Result<Self, ExpressionError> {
        let mut scope = Scope { names: HashMap::new(), values: HashMap::new() };
        if let Some(names) = names {
            Placeholders::Names.check(names.keys().map(String::as_str))?;
            for (key, name) in names {
                if name.is_empty() {
                    return Err(ExpressionError::EmptyName { key: key.clone() });
                }
                if name.len() > MAX_NAME_LEN {
                    return Err(ExpressionError::LongName { key: key.clone(), len: name.len() });
                }
                scope.names.insert(key, Binding::new(name));
            }
        }
        if let Some(values) = values {
            Placeholders::Values.check(values.keys().map(String::as_str))?;
            for (key, value) in values {
                let constant = Constant::new(value)
                    .map_err(|source| ExpressionError::InvalidValue { key: key.clone(), source })?;
                scope.values.insert(key, Binding::new(Arc::new(constant)));
            }
        }
        Ok(scope)
    }

    /// What a `#` placeholder stands for.
    fn name(&self, token: Token, placeholder: &str) -> Result<&'r str, Located> {
        let Some(binding) = self.names.get(placeholder) else {
            return Err(Located::new(token, Problem::UndefinedName { name: placeholder.to_owned() }));
        };
        binding.is_used.set(true);
        Ok(binding.meaning)
    }

    /// What a `:` placeholder stands for.
    pub(super) fn value(&self, token: Token, placeholder: &str) -> Result<Arc<Constant>, Located> {
        let Some(binding) = self.values.get(placeholder) else {
            return Err(Located::new(token, Problem::UndefinedValue { value: placeholder.to_owned() }));
        };
        binding.is_used.set(true);
        Ok(Arc::clone(&binding.meaning))
    }

    /// A path with its placeholders replaced. Its words were checked.
    pub(super) fn path(&self, text: &str, raw: &RawPath) -> Result<Path, Located> {
        let mut path = Path { attribute: Box::default(), steps: Vec::with_capacity(raw.elements.len() - 1) };
        for (number, element) in raw.elements.iter().enumerate() {
            let token = element.token();
            let written = text_of(text, token);
            let name = match element {
                RawElement::Name(_) => written,
                RawElement::Placeholder(_) => self.name(token, written)?,
                RawElement::Index(_) => {
                    path.steps.push(Step::Index(index(written).unwrap_or(usize::MAX)));
                    continue;
                }
            };
            match number {
                0 => path.attribute = name.into(),
                _ => path.steps.push(Step::Name(name.into())),
            }
        }
        let levels = raw.elements.len();
        if levels > Path::MAX_LEVELS {
            return Err(Located::new(raw.token(), Problem::PathTooDeep { levels }));
        }
        Ok(path)
    }

    /// Refuses placeholders that no expression mentioned.
    pub(super) fn check_unused(&self) -> Result<(), ExpressionError> {
        let unused = unused(&self.names);
        if !unused.is_empty() {
            return Err(ExpressionError::UnusedPlaceholders { map: Placeholders::Names, keys: unused });
        }
        let unused = self::unused(&self.values);
        if !unused.is_empty() {
            return Err(ExpressionError::UnusedPlaceholders { map: Placeholders::Values, keys: unused });
        }
        Ok(())
    }
}

/// Refuses names that need a placeholder, and indexes that are out of range.
pub(super) fn check_words(text: &str, raw: &RawPath) -> Result<(), Located> {
    for element in &raw.elements {
        let token = element.token();
        let written = text_of(text, token);
        match element {
            RawElement::Name(_) if is_reserved(written) => {
                return Err(Located::new(token, Problem::ReservedWord { word: written.to_owned() }));
            }
            RawElement::Index(_) if index(written).is_none() => {
                return Err(Located::new(token, Problem::IndexRange { index: written.to_owned() }));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn text_of(text: &str, token: Token) -> &str {
    &text[token.start as usize..token.end as usize]
}

/// An index within the range that DynamoDB has.
fn index(digits: &str) -> Option<usize> {
    digits.parse::<i32>().ok().and_then(|index| usize::try_from(index).ok())
}

fn unused<T>(bindings: &HashMap<&str, Binding<T>>) -> Vec<String> {
    let unused = bindings.iter().filter(|(_, binding)| !binding.is_used.get());
    in_hash_order(unused.map(|(key, _)| (*key).to_owned()).collect(), bindings.len())
}
