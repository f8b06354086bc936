//! The AWS SDK for Rust against the server that `DYNAMODB_ENDPOINT` names.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, Put, PutRequest, ReturnValue, ScalarAttributeType, StreamSpecification, StreamViewType,
    TimeToLiveSpecification, TransactWriteItem, WriteRequest,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;

type Failure = Box<dyn std::error::Error>;

fn endpoint() -> String {
    std::env::var("DYNAMODB_ENDPOINT").expect("DYNAMODB_ENDPOINT names the server")
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "static")
}

fn client() -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials());
    Client::from_conf(config.build())
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item(id: &str, at: i64) -> HashMap<String, AttributeValue> {
    HashMap::from([("id".to_owned(), s(id)), ("at".to_owned(), n(at))])
}

/// Creates a table with the keys `id` and `at`, an index by `city`, and a stream.
async fn table(client: &Client, called: &str) -> Result<String, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let name = format!("rust-{called}-{}", since.as_nanos());
    let attribute = |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    let key = |name: &str, role| KeySchemaElement::builder().attribute_name(name).key_type(role).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name("by_city")
        .key_schema(key("city", KeyType::Hash)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let stream =
        StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    client
        .create_table()
        .table_name(&name)
        .key_schema(key("id", KeyType::Hash)?)
        .key_schema(key("at", KeyType::Range)?)
        .attribute_definitions(attribute("id", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("at", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("city", ScalarAttributeType::S)?)
        .global_secondary_indexes(index.build()?)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream.build()?)
        .send()
        .await?;
    Ok(name)
}

#[tokio::test]
async fn items_are_put_updated_and_refused() -> Result<(), Failure> {
    let client = client();
    let table = table(&client, "items").await?;
    let mut alice = item("alice", 1);
    alice.insert("tags".to_owned(), AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]));
    alice.insert("photo".to_owned(), AttributeValue::B(vec![0, 255].into()));
    client.put_item().table_name(&table).set_item(Some(alice.clone())).send().await?;
    let found = client.get_item().table_name(&table).set_key(Some(item("alice", 1))).send().await?;
    assert_eq!(found.item, Some(alice.clone()));

    let updated = client
        .update_item()
        .table_name(&table)
        .set_key(Some(item("alice", 1)))
        .update_expression("SET visits = if_not_exists(visits, :zero) + :one")
        .expression_attribute_values(":zero", n(0))
        .expression_attribute_values(":one", n(1))
        .return_values(ReturnValue::UpdatedNew)
        .send()
        .await?;
    assert_eq!(updated.attributes, Some(HashMap::from([("visits".to_owned(), n(1))])));
    let put = client.put_item().table_name(&table).set_item(Some(alice));
    let refused = put.condition_expression("attribute_not_exists(id)").send().await.unwrap_err();
    assert!(refused.into_service_error().is_conditional_check_failed_exception());
    client.delete_table().table_name(&table).send().await?;
    Ok(())
}

#[tokio::test]
async fn queries_page_and_transactions_tell_reasons() -> Result<(), Failure> {
    let client = client();
    let table = table(&client, "pages").await?;
    let put = |at| {
        let mut item = item("log", at);
        item.insert("city".to_owned(), s("Bern"));
        Ok::<_, Failure>(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build())
    };
    let requests = (0..25).map(put).collect::<Result<Vec<_>, _>>()?;
    client.batch_write_item().request_items(&table, requests).send().await?;
    let query = client.query().table_name(&table).key_condition_expression("id = :id");
    let mut pages = query.expression_attribute_values(":id", s("log")).limit(4).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(item) = pages.next().await {
        found.push(item?["at"].clone());
    }
    assert_eq!(found, (0..25).map(n).collect::<Vec<_>>());
    let by_city = client.query().table_name(&table).index_name("by_city").key_condition_expression("city = :city");
    assert_eq!(by_city.expression_attribute_values(":city", s("Bern")).send().await?.count, 25);

    let put = |at| {
        let put = Put::builder().table_name(&table).set_item(Some(item("log", at)));
        let put = put.condition_expression("attribute_not_exists(id)").build()?;
        Ok::<_, Failure>(TransactWriteItem::builder().put(put).build())
    };
    let write = client.transact_write_items().transact_items(put(100)?).transact_items(put(3)?);
    let canceled = write.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(canceled) =
        canceled
    else {
        return Err(format!("{canceled:?}").into());
    };
    let codes: Vec<_> = canceled.cancellation_reasons().iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, [Some("None"), Some("ConditionalCheckFailed")]);
    client.delete_table().table_name(&table).send().await?;
    Ok(())
}

#[tokio::test]
async fn streams_are_read_and_ttl_is_turned_on() -> Result<(), Failure> {
    let client = client();
    let table = table(&client, "stream").await?;
    client.put_item().table_name(&table).set_item(Some(item("a", 1))).send().await?;
    client.delete_item().table_name(&table).set_key(Some(item("a", 1))).send().await?;
    let described = client.describe_table().table_name(&table).send().await?;
    let arn = described.table.and_then(|table| table.latest_stream_arn).ok_or("the table has a stream")?;

    let config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
        .endpoint_url(endpoint())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials());
    let streams = aws_sdk_dynamodbstreams::Client::from_conf(config.build());
    let stream = streams.describe_stream().stream_arn(&arn).send().await?;
    let shards = stream.stream_description.and_then(|stream| stream.shards).unwrap_or_default();
    let shard = shards.first().and_then(|shard| shard.shard_id()).ok_or("the stream has a shard")?;
    let from = streams.get_shard_iterator().stream_arn(&arn).shard_id(shard);
    let from = from.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
    let records = streams.get_records().set_shard_iterator(from.shard_iterator).send().await?;
    let names: Vec<_> =
        records.records().iter().filter_map(|record| record.event_name()).map(|name| name.as_str()).collect();
    assert_eq!(names, ["INSERT", "REMOVE"]);

    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build()?;
    client.update_time_to_live().table_name(&table).time_to_live_specification(ttl).send().await?;
    client.delete_table().table_name(&table).send().await?;
    Ok(())
}
