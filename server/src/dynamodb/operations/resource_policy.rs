//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy: policies are kept and given back; nobody is refused by them.

use serde_json::{Value, json};

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::{Policy, TableSettings, now_ms};
use crate::dynamodb::{Endpoint, arn};

const ARN: Field =
    field("ResourceArn", Shape::String, &[Rule::NotNull, Rule::MinLength(1), Rule::MaxLength(1283)]);
const REVISION: Field =
    field("ExpectedRevisionId", Shape::String, &[Rule::MinLength(1), Rule::MaxLength(255)]);

pub(crate) const GET_FIELDS: &[Field] = &[ARN];
pub(crate) const DELETE_FIELDS: &[Field] = &[ARN, REVISION];
pub(crate) const PUT_FIELDS: &[Field] = &[
    ARN,
    field("Policy", Shape::String, &[Rule::NotNull]),
    REVISION,
    plain("ConfirmRemoveSelfResourceAccess", Shape::Boolean),
];

const MAX_POLICY: usize = 20 * 1024;

/// What stands for no policy among revisions.
const NO_POLICY: &str = "NO_POLICY";

pub(crate) fn put(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let text = request.str("Policy").unwrap_or_default();
    let meaning = meaning(text)?;
    let _turn = endpoint.control();
    let (name, mut settings) = find(endpoint, request)?;
    check_revision(request, &settings)?;
    let last = settings.policy.take();
    if let Some(last) =
        last.as_ref().filter(|last| self::meaning(&last.text).is_ok_and(|last| last == meaning))
    {
        // The same policy has the same revision.
        return reply(&json!({"RevisionId": last.revision}));
    }
    let policy = Policy { text: text.to_owned(), revision: revision_behind(last.as_ref()) };
    let told = json!({"RevisionId": policy.revision});
    settings.policy = Some(policy);
    endpoint.db.update_table(name).metadata(settings.to_metadata()?).execute()?;
    reply(&told)
}

/// The policy of a table that is being created.
pub(crate) fn first(text: &str) -> Answer<Policy> {
    meaning(text)?;
    Ok(Policy { text: text.to_owned(), revision: revision_behind(None) })
}

/// What a policy says, however it is written: spaces and the order of names mean nothing, and a list of one is that one.
fn meaning(text: &str) -> Answer<Value> {
    if text.len() > MAX_POLICY {
        return Err(Failure::invalid("Maximum policy size of 20480 bytes exceeded"));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(policy) if policy.is_object() => Ok(plain_of(policy)),
        _ => Err(Failure::invalid("Invalid policy document: This policy contains invalid Json")),
    }
}

fn plain_of(value: Value) -> Value {
    match value {
        Value::Array(mut elements) if elements.len() == 1 => plain_of(elements.remove(0)),
        Value::Array(elements) => elements.into_iter().map(plain_of).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, plain_of(value))).collect())
        }
        other => other,
    }
}

/// The time, as the service has it; later ones are larger in any case.
fn revision_behind(last: Option<&Policy>) -> String {
    let last = last.and_then(|last| last.revision.parse::<u64>().ok()).unwrap_or_default();
    now_ms().max(last + 1).to_string()
}

pub(crate) fn get(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let (_, settings) = find(endpoint, request)?;
    let Policy { text, revision } = settings.policy.ok_or_else(|| not_found(request))?;
    reply(&json!({"Policy": text, "RevisionId": revision}))
}

pub(crate) fn delete(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let _turn = endpoint.control();
    let (name, mut settings) = find(endpoint, request)?;
    check_revision(request, &settings)?;
    match settings.policy.take() {
        None => reply(&json!({})),
        Some(Policy { revision, .. }) => {
            endpoint.db.update_table(name).metadata(settings.to_metadata()?).execute()?;
            reply(&json!({"RevisionId": revision}))
        }
    }
}

fn find<'r>(endpoint: &Endpoint, request: &'r Json<'_>) -> Answer<(&'r str, TableSettings)> {
    let resource = request.str("ResourceArn").unwrap_or_default();
    let name = arn::table_name(resource);
    // A stream's policy is kept by none.
    if !resource.starts_with("arn:") || name.contains('/') {
        return Err(Failure::validation(format!(
            "Invalid ResourceArn: {resource} is not the ARN of a table"
        )));
    }
    let table = tables::find(endpoint, name)?;
    Ok((name, TableSettings::of(&table)?))
}

fn check_revision(request: &Json<'_>, settings: &TableSettings) -> Answer<()> {
    let Some(expected) = request.str("ExpectedRevisionId") else { return Ok(()) };
    let actual = settings.policy.as_ref().map_or(NO_POLICY, |policy| policy.revision.as_str());
    match expected == actual {
        true => Ok(()),
        false => Err(not_found(request)),
    }
}

fn not_found(request: &Json<'_>) -> Failure {
    let resource = request.str("ResourceArn").unwrap_or_default();
    let text = format!("Resource-based policy not found for the provided ResourceArn: {resource}");
    Failure::dynamodb("PolicyNotFoundException", text)
}
