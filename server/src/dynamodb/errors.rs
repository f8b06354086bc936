//! Refusals: what clients are told, under the names that they know.

use std::fmt::Display;

use dynamite_core::Item;
use dynamite_core::error::{CancellationReason, Error, IndexError, Invalid};
use serde_json::{Map, Value, json};

use crate::caught::Panicked;
use crate::writes::Lost;

const CORAL: &str = "com.amazon.coral.service#";
const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// The name of the error, with the name space that it comes from.
    kind: String,
    message: Option<String>,
    /// Some errors begin the name of the message with a capital.
    is_capital: bool,
    /// Fields beside the message.
    more: Map<String, Value>,
}

/// The answer of an operation.
pub(crate) type Answer<T = Vec<u8>> = Result<T, Failure>;

impl Failure {
    fn new(kind: String, message: Option<String>) -> Failure {
        Failure { status: 400, kind, message, is_capital: false, more: Map::new() }
    }

    /// What breaks a rule of the service.
    pub(crate) fn validation(message: impl Into<String>) -> Failure {
        Failure::new("com.amazon.coral.validate#ValidationException".to_owned(), Some(message.into()))
    }

    /// What has the wrong form.
    pub(crate) fn serialization(message: impl Into<String>) -> Failure {
        Failure { is_capital: true, ..Failure::coral("SerializationException", message) }
    }

    /// What is no JSON at all.
    pub(crate) fn malformed() -> Failure {
        Failure::new(format!("{CORAL}SerializationException"), None)
    }

    pub(crate) fn unknown_operation() -> Failure {
        Failure::new(format!("{CORAL}UnknownOperationException"), None)
    }

    /// An error of the service's frame.
    pub(crate) fn coral(kind: &str, message: impl Into<String>) -> Failure {
        Failure::new(format!("{CORAL}{kind}"), Some(message.into()))
    }

    /// An error of DynamoDB.
    pub(crate) fn dynamodb(kind: &str, message: impl Into<String>) -> Failure {
        Failure::new(format!("{DYNAMODB}{kind}"), Some(message.into()))
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> Failure {
        Failure { is_capital: true, ..Failure::coral("AccessDeniedException", message) }
    }

    /// Values of a request that do not fit.
    pub(crate) fn invalid(text: impl Display) -> Failure {
        Failure::validation(format!("One or more parameter values were invalid: {text}"))
    }

    /// Something that there is not.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure::dynamodb("ResourceNotFoundException", message)
    }

    /// The table of an operation on items.
    pub(crate) fn no_table() -> Failure {
        Failure::not_found("Requested resource not found")
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Failure {
        Failure::dynamodb("ResourceInUseException", message)
    }

    /// A condition that does not hold, with the item that there is, if it was asked for.
    pub(crate) fn conditional(item: Option<&Item>) -> Failure {
        let mut failure =
            Failure::dynamodb("ConditionalCheckFailedException", "The conditional request failed");
        if let Some(item) = item {
            failure.more.insert("Item".to_owned(), json!(item));
        }
        failure
    }

    fn cancelled(message: String, reasons: &[CancellationReason]) -> Failure {
        let reasons = reasons.iter().map(|reason| {
            let mut told = json!({"Code": reason.code.as_str()});
            if let Some(message) = &reason.message {
                told["Message"] = json!(message);
            }
            if let Some(item) = &reason.item {
                told["Item"] = json!(item);
            }
            told
        });
        let mut failure = Failure::dynamodb("TransactionCanceledException", message);
        failure.more.insert("CancellationReasons".to_owned(), reasons.collect());
        failure.is_capital = true;
        failure
    }

    /// What went wrong on our side.
    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure { status: 500, ..Failure::dynamodb("InternalServerError", message) }
    }

    /// The code by which a statement of a batch tells of it.
    pub(crate) fn code(&self) -> &str {
        let name = self.kind.rsplit('#').next().unwrap_or_default();
        match name.strip_suffix("Exception").unwrap_or(name) {
            "Validation" => "ValidationError",
            code => code,
        }
    }

    /// The item that it shows, if it shows one.
    pub(crate) fn item(&self) -> Option<&Value> {
        self.more.get("Item")
    }

    /// The same, of one of the statements of a transaction.
    pub(crate) fn in_statement(self, nth: usize) -> Failure {
        match self.code() {
            "ValidationError" => Failure::validation(format!(
                "Validation failed in TransactStatements[{nth}]: {}",
                self.message()
            )),
            _ => self,
        }
    }

    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The body that tells of it.
    pub(crate) fn body(&self) -> Vec<u8> {
        // The name comes first: conformance suites compare checksums of the bytes.
        let mut body = format!("{{\"__type\":{}", Value::from(self.kind.as_str()));
        if let Some(message) = &self.message {
            let name = if self.is_capital { "Message" } else { "message" };
            body.push_str(&format!(",\"{name}\":{}", Value::from(message.as_str())));
        }
        for (name, value) in &self.more {
            body.push_str(&format!(",\"{name}\":{value}"));
        }
        body.push('}');
        body.into_bytes()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match &error {
            Error::Operation { source, .. } => Failure::from((**source).clone()),
            Error::TableNotFound { .. } => Failure::no_table(),
            Error::IndexNotFound { .. } | Error::StreamNotFound { .. } => {
                Failure::not_found(error.to_string())
            }
            Error::TableExists { .. } => Failure::in_use(error.to_string()),
            Error::ConditionFailed { .. } | Error::VersionConflict { .. } => Failure::conditional(None),
            Error::TransactionCanceled { reasons } => Failure::cancelled(error.to_string(), reasons),
            Error::IdempotentParameterMismatch => Failure {
                is_capital: true,
                ..Failure::dynamodb("IdempotentParameterMismatchException", error.to_string())
            },
            Error::DuplicateItem => Failure::dynamodb("DuplicateItemException", error.to_string()),
            Error::StreamTrimmed { .. } => Failure::dynamodb("TrimmedDataAccessException", error.to_string()),
            Error::Validation(Invalid::Index(IndexError::TooManyGlobalAdded)) => {
                Failure::dynamodb("LimitExceededException", error.to_string())
            }
            Error::Value(_)
            | Error::ItemTooLarge
            | Error::Expression(_)
            | Error::Update(_)
            | Error::Validation(_)
            | Error::Statement(_)
            | Error::NoHistory { .. }
            | Error::BeyondHistory { .. }
            | Error::NotYet { .. } => Failure::validation(error.to_string()),
            _ => Failure::internal(error.to_string()),
        }
    }
}

impl From<Panicked> for Failure {
    fn from(_: Panicked) -> Failure {
        // What it said is in the log.
        Failure::internal("the operation panicked")
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Failure {
        match lost {
            Lost::Panicked(panicked) => panicked.into(),
            Lost::Database(error) => error.into(),
        }
    }
}
