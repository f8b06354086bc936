//! TagResource, UntagResource, ListTagsOfResource.

use std::collections::BTreeMap;

use serde_json::json;

use super::{reply, tables};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::model::*;
use crate::dynamodb::table_settings::TableSettings;
use crate::dynamodb::{Endpoint, arn};

pub(crate) const TAG_FIELDS: &[Field] = &[RESOURCE_ARN, plain("Tags", TAGS_SHAPE)];
pub(crate) const UNTAG_FIELDS: &[Field] = &[RESOURCE_ARN, TAG_KEYS];
pub(crate) const LIST_FIELDS: &[Field] = &[RESOURCE_ARN, plain("NextToken", Shape::String)];

const MAX_TAGS: usize = 50;

pub(crate) fn tag(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let resource = resource(endpoint, request, "TagResource", Some("Tags"))?;
    let tags = request.array("Tags").unwrap_or_default();
    if tags.is_empty() {
        return Err(Failure::validation("Atleast one Tag needs to be provided as Input."));
    }
    change(endpoint, resource, not_found(resource), |stored| add(stored, tags))
}

pub(crate) fn untag(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let resource = resource(endpoint, request, "UntagResource", Some("TagKeys"))?;
    let keys = request.array("TagKeys").unwrap_or_default();
    if keys.is_empty() {
        return Err(Failure::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    change(endpoint, resource, Failure::no_table(), |stored| {
        keys.iter().filter_map(Json::as_str).for_each(|key| drop(stored.remove(key)));
        Ok(())
    })
}

pub(crate) fn list(endpoint: &Endpoint, request: &Json<'_>) -> Answer {
    let resource = resource(endpoint, request, "ListTagsOfResource", None)?;
    let table = tables::find(endpoint, arn::table_name(resource)).map_err(|_| not_found(resource))?;
    let tags = TableSettings::of(&table)?.tags;
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    reply(&json!({"Tags": tags}))
}

/// Adds tags, or gives those that there are other values.
pub(crate) fn add(stored: &mut BTreeMap<String, String>, tags: &[Json<'_>]) -> Answer<()> {
    let refuse = |text: String| Err(Failure::validation(text));
    for (nth, tag) in tags.iter().enumerate() {
        let (key, value) = (tag.str("Key"), tag.str("Value"));
        let is_within = |text: Option<&str>, least: usize, most: usize| {
            text.is_some_and(|text| (least..=most).contains(&text.chars().count()))
        };
        if !is_within(key, 1, 128) {
            return refuse(format!("The Tag Key provided is invalid, Key: {}", key.unwrap_or("null")));
        }
        if !is_within(value, 0, 256) {
            return refuse(format!("The Tag Value provided is invalid, Value: {}", value.unwrap_or("null")));
        }
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return refuse(format!("Tag Key cannot be prefixed with aws:, Key: {key}"));
        }
        if tags[..nth].iter().any(|other| other.str("Key") == Some(key)) {
            return refuse(format!("Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"));
        }
        stored.insert(key.to_owned(), value.to_owned());
    }
    match stored.len() > MAX_TAGS {
        true => refuse("Number of Tags exceed the current limit for the provided ResourceArn".to_owned()),
        false => Ok(()),
    }
}

fn change(
    endpoint: &Endpoint,
    resource: &str,
    not_found: Failure,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Answer<()>,
) -> Answer {
    let name = arn::table_name(resource);
    let _turn = endpoint.control();
    let table = tables::find(endpoint, name).map_err(|_| not_found)?;
    let mut settings = TableSettings::of(&table)?;
    change(&mut settings.tags)?;
    endpoint.db.update_table(name).metadata(settings.to_metadata()?).execute()?;
    // These operations have no answer.
    Ok(Vec::new())
}

fn not_found(resource: &str) -> Failure {
    // The service spells it so.
    Failure::not_found(format!("Requested resource not found: ResourcArn: {resource} not found"))
}

/// The resource that a request names, which must be a table's, and the field that it needs beside.
fn resource<'r>(
    endpoint: &Endpoint,
    request: &'r Json<'_>,
    operation: &str,
    required: Option<&str>,
) -> Answer<&'r str> {
    let resource = request.str("ResourceArn").ok_or_else(|| Failure::validation("Invalid TableArn"))?;
    if !looks_like_arn(resource) {
        let shown = if resource.is_empty() { "*" } else { resource };
        return Err(Failure::access_denied(format!(
            "User: arn:aws:iam::{}:dynamite is not authorized to perform: dynamodb:{operation} on resource: {shown}",
            endpoint.config.account
        )));
    }
    if let Some(field) = required.filter(|field| !request.has(field)) {
        let mut name = field.to_owned();
        name[..1].make_ascii_lowercase();
        return Err(Failure::validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        )));
    }
    if !is_of_table(resource) {
        let text = format!("Invalid TableArn: Invalid ResourceArn provided as input {resource}");
        return Err(Failure::validation(text));
    }
    Ok(resource)
}

/// Five parts before the last, none of them empty, and a last that has a slash within.
fn looks_like_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [first @ .., last] = &parts[..] else { return false };
    let has_slash =
        last.get(1..).is_some_and(|rest| rest.split_once('/').is_some_and(|(_, after)| !after.is_empty()));
    first.len() == 5 && first.iter().all(|part| !part.is_empty()) && has_slash
}

fn is_of_table(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("arn:aws:dynamodb:") else { return false };
    let Some((place, name)) = rest.split_once(":table/") else { return false };
    let Some((region, account)) = place.rsplit_once(':') else { return false };
    let is_account = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    !region.is_empty() && is_account && name.len() > 2 && !name.contains('/')
}
