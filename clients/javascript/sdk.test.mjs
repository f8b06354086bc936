// The AWS SDK for JavaScript v3 against a server: commands, the document client, paginators and waiters.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import {
  ConditionalCheckFailedException, CreateTableCommand, DeleteTableCommand, DescribeTableCommand, DynamoDBClient,
  ResourceNotFoundException, TransactionCanceledException, UpdateTimeToLiveCommand, waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand,
} from "@aws-sdk/client-dynamodb-streams";
import {
  BatchGetCommand, BatchWriteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand,
  TransactGetCommand, TransactWriteCommand, UpdateCommand, paginateQuery, paginateScan,
} from "@aws-sdk/lib-dynamodb";

const config = {
  endpoint: process.env.DYNAMODB_ENDPOINT,
  region: "eu-central-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
};
const client = new DynamoDBClient(config);
const documents = DynamoDBDocumentClient.from(client);
const streams = new DynamoDBStreamsClient(config);
after(() => [client, streams].forEach((each) => each.destroy()));

/** A table with the keys `id` and `at`, deleted behind the test. */
async function table(context) {
  const TableName = `js-${randomUUID()}`;
  await client.send(new CreateTableCommand({
    TableName,
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }, { AttributeName: "at", KeyType: "RANGE" }],
    AttributeDefinitions: [
      { AttributeName: "id", AttributeType: "S" },
      { AttributeName: "at", AttributeType: "N" },
      { AttributeName: "city", AttributeType: "S" },
    ],
    GlobalSecondaryIndexes: [{
      IndexName: "by_city",
      KeySchema: [{ AttributeName: "city", KeyType: "HASH" }],
      Projection: { ProjectionType: "ALL" },
    }],
    BillingMode: "PAY_PER_REQUEST",
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  }));
  context.after(() => client.send(new DeleteTableCommand({ TableName })));
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 1 }, { TableName });
  return TableName;
}

test("items of nested values come back, updates and conditions hold", async (context) => {
  const TableName = await table(context);
  const Key = { id: "alice", at: 1 };
  const Item = { ...Key, name: "Ålice", tags: new Set(["a", "b"]), nested: { steps: [1, { two: null }], yes: true } };
  await documents.send(new PutCommand({ TableName, Item }));
  const found = await documents.send(new GetCommand({ TableName, Key, ConsistentRead: true }));
  assert.deepEqual(found.Item, Item);
  const updated = await documents.send(new UpdateCommand({
    TableName, Key, UpdateExpression: "SET nested.steps[0] = nested.steps[0] + :one REMOVE tags",
    ExpressionAttributeValues: { ":one": 1 }, ReturnValues: "ALL_NEW",
  }));
  assert.deepEqual(updated.Attributes, { ...Key, name: "Ålice", nested: { steps: [2, { two: null }], yes: true } });
  const again = new PutCommand({ TableName, Item, ConditionExpression: "attribute_not_exists(id)" });
  await assert.rejects(documents.send(again), ConditionalCheckFailedException);
  const elsewhere = new GetCommand({ TableName: "no-such-table", Key });
  await assert.rejects(documents.send(elsewhere), ResourceNotFoundException);
});

test("queries, scans and batches page to the end", async (context) => {
  const TableName = await table(context);
  const item = (at) => ({ id: "log", at, city: at % 2 ? "Bern" : "Basel" });
  for (let from = 0; from < 100; from += 25) {
    const requests = Array.from({ length: 25 }, (_, nth) => ({ PutRequest: { Item: item(from + nth) } }));
    const written = await documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
    assert.deepEqual(written.UnprocessedItems, {});
  }
  const found = [];
  const query = {
    TableName, ScanIndexForward: false, KeyConditionExpression: "id = :id AND #at BETWEEN :from AND :to",
    ExpressionAttributeNames: { "#at": "at" }, ExpressionAttributeValues: { ":id": "log", ":from": 10, ":to": 59 },
  };
  for await (const page of paginateQuery({ client: documents, pageSize: 9 }, query)) found.push(...page.Items);
  assert.deepEqual(found.map(({ at }) => at), Array.from({ length: 50 }, (_, nth) => 59 - nth));
  const bern = await documents.send(new QueryCommand({
    TableName, IndexName: "by_city", KeyConditionExpression: "city = :city", Select: "COUNT",
    ExpressionAttributeValues: { ":city": "Bern" },
  }));
  assert.equal(bern.Count, 50);
  let scanned = 0;
  for await (const page of paginateScan({ client: documents, pageSize: 30 }, { TableName })) scanned += page.Count;
  assert.equal(scanned, 100);
  const Keys = [1, 2, 1000].map((at) => ({ id: "log", at }));
  const got = await documents.send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys } } }));
  assert.deepEqual(got.Responses[TableName].map(({ at }) => at).sort(), [1, 2]);
});

test("transactions are all or nothing", async (context) => {
  const TableName = await table(context);
  const put = (at) => ({ Put: { TableName, Item: { id: "t", at }, ConditionExpression: "attribute_not_exists(id)" } });
  await documents.send(new TransactWriteCommand({ TransactItems: [put(1), put(2)] }));
  const again = new TransactWriteCommand({ TransactItems: [put(3), put(2)] });
  await assert.rejects(documents.send(again), (error) => {
    assert.ok(error instanceof TransactionCanceledException);
    assert.deepEqual(error.CancellationReasons.map(({ Code }) => Code), ["None", "ConditionalCheckFailed"]);
    return true;
  });
  const gets = [2, 3].map((at) => ({ Get: { TableName, Key: { id: "t", at } } }));
  const { Responses } = await documents.send(new TransactGetCommand({ TransactItems: gets }));
  assert.deepEqual(Responses.map(({ Item }) => Item?.at), [2, undefined]);
});

test("streams tell of changes, and TTL is turned on", async (context) => {
  const TableName = await table(context);
  for (const n of [1, 2]) await documents.send(new PutCommand({ TableName, Item: { id: "s", at: 0, n } }));
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  const StreamArn = Table.LatestStreamArn;
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
  const [{ ShardId }] = StreamDescription.Shards;
  const { ShardIterator } = await streams.send(
    new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
  const { Records } = await streams.send(new GetRecordsCommand({ ShardIterator }));
  assert.deepEqual(Records.map(({ eventName }) => eventName), ["INSERT", "MODIFY"]);
  assert.deepEqual(Records[1].dynamodb.OldImage.n, { N: "1" });
  const TimeToLiveSpecification = { Enabled: true, AttributeName: "expires" };
  const ttl = await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  assert.deepEqual(ttl.TimeToLiveSpecification, TimeToLiveSpecification);
});
