"""boto3 against a server: its client, its resource with native types, its paginators and waiters."""

import os
import time
import unittest
import uuid
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

ENDPOINT = {
    "endpoint_url": os.environ["DYNAMODB_ENDPOINT"],
    "region_name": "eu-central-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}


class DynamoDB(unittest.TestCase):
    """A table of its own for each test, deleted afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.client = boto3.client("dynamodb", **ENDPOINT)
        cls.resource = boto3.resource("dynamodb", **ENDPOINT)

    def table(self, sort=None, **more):
        """Creates a table with a partition key `id`, and a sort key (name, type)."""
        name = f"boto3-{uuid.uuid4()}"
        keys = [("id", "S", "HASH")] + ([(*sort, "RANGE")] if sort else [])
        attributes = {name: kind for name, kind, _ in keys} | more.pop("attributes", {})
        self.client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, _, role in keys],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
            ],
            BillingMode="PAY_PER_REQUEST",
            **more,
        )
        self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        self.addCleanup(self.client.delete_table, TableName=name)
        return self.resource.Table(name)

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response


class Tables(DynamoDB):
    def test_a_table_is_described_listed_and_deleted(self):
        name = f"boto3-{uuid.uuid4()}"
        created = self.client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        )["TableDescription"]
        self.assertIn(created["TableStatus"], ["CREATING", "ACTIVE"])
        self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        described = self.client.describe_table(TableName=name)["Table"]
        self.assertEqual(described["TableStatus"], "ACTIVE")
        self.assertTrue(described["TableArn"].endswith(f":table/{name}"))
        self.assertEqual(described["ProvisionedThroughput"]["WriteCapacityUnits"], 6)
        names = [n for page in self.client.get_paginator("list_tables").paginate() for n in page["TableNames"]]
        self.assertIn(name, names)
        self.refused("ResourceInUseException", self.client.create_table, TableName=name,
                     KeySchema=described["KeySchema"], AttributeDefinitions=described["AttributeDefinitions"],
                     BillingMode="PAY_PER_REQUEST")
        self.client.delete_table(TableName=name)
        self.client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        self.refused("ResourceNotFoundException", self.client.describe_table, TableName=name)

    def test_an_index_is_added_filled_and_dropped(self):
        table = self.table()
        for number in range(20):
            table.put_item(Item={"id": f"{number}", "city": "Bern" if number % 2 else "Basel"})
        self.client.update_table(
            TableName=table.name,
            AttributeDefinitions=[{"AttributeName": "city", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": {
                "IndexName": "by_city",
                "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }}],
        )
        for _ in range(100):
            described = self.client.describe_table(TableName=table.name)["Table"]
            if described["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE":
                break
            time.sleep(0.1)
        found = table.query(IndexName="by_city", KeyConditionExpression=Key("city").eq("Bern"))
        self.assertEqual(found["Count"], 10)
        self.client.update_table(TableName=table.name,
                                 GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_city"}}])

    def test_time_to_live_is_turned_on(self):
        table = self.table()
        self.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expires"})
        described = self.client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
        self.assertIn(described["TimeToLiveStatus"], ["ENABLING", "ENABLED"])
        self.assertEqual(described["AttributeName"], "expires")


class Items(DynamoDB):
    def test_every_type_comes_back_as_it_was_put(self):
        table = self.table()
        item = {
            "id": "types", "text": "naïve ✓", "integer": 42, "decimal": Decimal("-1.5e-7"), "binary": b"\x00\xff",
            "yes": True, "nothing": None, "list": [1, "two", {"three": 3}], "map": {"nested": {"deep": [True]}},
            "texts": {"a", "b"}, "numbers": {1, Decimal("2.5")}, "binaries": {b"\x01", b"\x02"},
        }
        table.put_item(Item=item)
        found = table.get_item(Key={"id": "types"}, ConsistentRead=True)["Item"]
        self.assertEqual(found.pop("binary").value, item.pop("binary"))
        self.assertEqual({binary.value for binary in found.pop("binaries")}, item.pop("binaries"))
        self.assertEqual(found, item)
        self.assertNotIn("Item", table.get_item(Key={"id": "nobody"}))

    def test_updates_have_conditions_and_return_values(self):
        table = self.table()
        table.put_item(Item={"id": "alice", "age": 30, "tags": {"a"}, "list": [1]})
        updated = table.update_item(
            Key={"id": "alice"},
            UpdateExpression="SET age = age + :one, #l = list_append(#l, :more) REMOVE nothing ADD tags :tag",
            ConditionExpression="age = :thirty",
            ExpressionAttributeNames={"#l": "list"},
            ExpressionAttributeValues={":one": 1, ":more": [2], ":tag": {"b"}, ":thirty": 30},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        self.assertEqual(updated, {"id": "alice", "age": 31, "tags": {"a", "b"}, "list": [1, 2]})
        response = self.refused(
            "ConditionalCheckFailedException", table.update_item, Key={"id": "alice"}, UpdateExpression="SET age = :zero",
            ConditionExpression="age > :hundred", ExpressionAttributeValues={":zero": 0, ":hundred": 100},
            ReturnValuesOnConditionCheckFailure="ALL_OLD")
        self.assertEqual(response["Item"]["age"], {"N": "31"})
        old = table.delete_item(Key={"id": "alice"}, ReturnValues="ALL_OLD")["Attributes"]
        self.assertEqual(old["age"], 31)

    def test_a_put_can_be_only_for_what_is_not_there(self):
        table = self.table()
        put = {"Item": {"id": "once"}, "ConditionExpression": Attr("id").not_exists()}
        table.put_item(**put)
        self.refused("ConditionalCheckFailedException", table.put_item, **put)

    def test_bad_requests_are_refused_by_name(self):
        table = self.table()
        self.refused("ValidationException", table.get_item, Key={"wrong": "key"})
        self.refused("ValidationException", table.put_item, Item={"id": 7})
        self.refused("ValidationException", table.update_item, Key={"id": "a"}, UpdateExpression="SET",
                     ExpressionAttributeValues={":a": 1})
        self.refused("ResourceNotFoundException", self.resource.Table("no-such-table").get_item, Key={"id": "a"})

    def test_capacity_is_told(self):
        table = self.table()
        put = table.put_item(Item={"id": "large", "text": "x" * 3000}, ReturnConsumedCapacity="TOTAL")
        self.assertEqual(put["ConsumedCapacity"]["CapacityUnits"], 3)
        got = table.get_item(Key={"id": "large"}, ReturnConsumedCapacity="TOTAL")
        self.assertEqual(got["ConsumedCapacity"]["CapacityUnits"], 0.5)


class Reads(DynamoDB):
    def test_queries_page_in_both_directions_and_filter(self):
        table = self.table(("at", "N"))
        with table.batch_writer() as batch:
            for at in range(100):
                batch.put_item(Item={"id": "log", "at": at, "even": at % 2 == 0})
        pages = list(self.client.get_paginator("query").paginate(
            TableName=table.name, KeyConditionExpression="id = :id AND #at >= :from",
            ExpressionAttributeNames={"#at": "at"}, ExpressionAttributeValues={":id": {"S": "log"}, ":from": {"N": "10"}},
            PaginationConfig={"PageSize": 7}))
        self.assertEqual([int(item["at"]["N"]) for page in pages for item in page["Items"]], list(range(10, 100)))
        last = table.query(KeyConditionExpression=Key("id").eq("log"), ScanIndexForward=False, Limit=3)
        self.assertEqual([int(item["at"]) for item in last["Items"]], [99, 98, 97])
        self.assertEqual(last["LastEvaluatedKey"], {"id": "log", "at": 97})
        even = table.query(KeyConditionExpression=Key("id").eq("log") & Key("at").between(0, 9),
                           FilterExpression=Attr("even").eq(True), Select="COUNT")
        self.assertEqual((even["Count"], even["ScannedCount"]), (5, 10))

    def test_the_segments_of_a_scan_are_the_table(self):
        table = self.table()
        with table.batch_writer() as batch:
            for number in range(200):
                batch.put_item(Item={"id": f"{number}", "text": "x" * 100})
        found = []
        for segment in range(4):
            pages = self.client.get_paginator("scan").paginate(
                TableName=table.name, Segment=segment, TotalSegments=4, ProjectionExpression="id",
                PaginationConfig={"PageSize": 30})
            found += [item["id"]["S"] for page in pages for item in page["Items"]]
        self.assertEqual(sorted(found), sorted(str(number) for number in range(200)))

    def test_batches_get_from_several_tables(self):
        first, second = self.table(), self.table(("at", "N"))
        first.put_item(Item={"id": "a", "text": "first"})
        second.put_item(Item={"id": "b", "at": 1, "text": "second"})
        found = self.resource.batch_get_item(RequestItems={
            first.name: {"Keys": [{"id": "a"}, {"id": "nobody"}]},
            second.name: {"Keys": [{"id": "b", "at": 1}], "ProjectionExpression": "#t",
                          "ExpressionAttributeNames": {"#t": "text"}},
        })
        self.assertEqual(found["Responses"][first.name], [{"id": "a", "text": "first"}])
        self.assertEqual(found["Responses"][second.name], [{"text": "second"}])
        self.assertEqual(found["UnprocessedKeys"], {})

    def test_local_indexes_are_queried(self):
        table = self.table(("at", "N"), attributes={"score": "N"}, LocalSecondaryIndexes=[{
            "IndexName": "by_score",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "score", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }])
        for at, score in enumerate([5, 3, 9]):
            table.put_item(Item={"id": "game", "at": at, "score": score})
        found = table.query(IndexName="by_score", KeyConditionExpression=Key("id").eq("game"))
        self.assertEqual([int(item["score"]) for item in found["Items"]], [3, 5, 9])


class Transactions(DynamoDB):
    def test_all_or_nothing_with_reasons(self):
        table = self.table()
        pay = {"Update": {
            "TableName": table.name, "Key": {"id": {"S": "alice"}}, "UpdateExpression": "SET balance = balance - :price",
            "ConditionExpression": "balance >= :price", "ExpressionAttributeValues": {":price": {"N": "70"}}}}
        order = {"Put": {"TableName": table.name, "Item": {"id": {"S": "order"}},
                         "ConditionExpression": "attribute_not_exists(id)"}}
        table.put_item(Item={"id": "alice", "balance": 100})
        token = str(uuid.uuid4())
        self.client.transact_write_items(TransactItems=[pay, order], ClientRequestToken=token)
        # The same again is done once.
        self.client.transact_write_items(TransactItems=[pay, order], ClientRequestToken=token)
        self.refused("IdempotentParameterMismatchException", self.client.transact_write_items, TransactItems=[order],
                     ClientRequestToken=token)
        response = self.refused("TransactionCanceledException", self.client.transact_write_items,
                                TransactItems=[pay, order])
        self.assertEqual([reason["Code"] for reason in response["CancellationReasons"]],
                         ["ConditionalCheckFailed", "ConditionalCheckFailed"])
        found = self.client.transact_get_items(TransactItems=[
            {"Get": {"TableName": table.name, "Key": {"id": {"S": id}}}} for id in ["alice", "order", "nobody"]])
        self.assertEqual(found["Responses"][0]["Item"]["balance"], {"N": "30"})
        self.assertIn("Item", found["Responses"][1])
        self.assertNotIn("Item", found["Responses"][2])


class Streams(DynamoDB):
    def test_changes_are_read_in_order(self):
        table = self.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        table.put_item(Item={"id": "a", "n": 1})
        table.put_item(Item={"id": "a", "n": 2})
        table.delete_item(Key={"id": "a"})
        arn = self.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
        streams = boto3.client("dynamodbstreams", **ENDPOINT)
        self.assertIn(arn, [stream["StreamArn"] for stream in streams.list_streams(TableName=table.name)["Streams"]])
        described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        records = []
        for shard in described["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            records += streams.get_records(ShardIterator=iterator)["Records"]
        self.assertEqual([record["eventName"] for record in records], ["INSERT", "MODIFY", "REMOVE"])
        self.assertEqual(records[1]["dynamodb"]["OldImage"]["n"], {"N": "1"})
        self.assertEqual(records[1]["dynamodb"]["NewImage"]["n"], {"N": "2"})


class PartiQL(DynamoDB):
    def test_statements_insert_update_select_and_delete(self):
        table = self.table(sort=("n", "N"))
        run = lambda text, **more: self.client.execute_statement(Statement=text.format(table.name), **more)["Items"]
        for n in range(3):
            run("INSERT INTO \"{}\" VALUE {{'id': 'a', 'n': ?, 'tags': <<'x', 'y'>>}}", Parameters=[{"N": str(n)}])
        run("UPDATE \"{}\" SET size = 5 SET tags = set_delete(tags, <<'y'>>) WHERE id = 'a' AND n = 1".replace("size", '"size"'))
        found = run("SELECT n, tags FROM \"{}\" WHERE id = 'a' AND n BETWEEN 1 AND 2 ORDER BY n DESC")
        self.assertEqual([item["n"]["N"] for item in found], ["2", "1"])
        self.assertEqual(found[1]["tags"], {"SS": ["x"]})
        old = run("DELETE FROM \"{}\" WHERE id = 'a' AND n = 1 AND contains(tags, 'x') RETURNING ALL OLD *")
        self.assertEqual(old[0]["size"], {"N": "5"})
        insert = f"INSERT INTO \"{table.name}\" VALUE {{'id': 'a', 'n': 0}}"
        self.refused("DuplicateItemException", self.client.execute_statement, Statement=insert)
        self.refused("ValidationException", self.client.execute_statement, Statement="SELECT")

    def test_pages_join_by_their_tokens(self):
        table = self.table()
        with table.batch_writer() as batch:
            for nth in range(5):
                batch.put_item(Item={"id": str(nth)})
        found, token = [], {}
        while token is not None:
            page = self.client.execute_statement(Statement=f'SELECT id FROM "{table.name}"', Limit=2, **token)
            found += [item["id"]["S"] for item in page["Items"]]
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
        self.assertEqual(sorted(found), ["0", "1", "2", "3", "4"])

    def test_batches_and_transactions_of_statements(self):
        table = self.table()
        statement = lambda text: {"Statement": text.format(table.name)}
        insert = [statement("INSERT INTO \"{}\" VALUE {{'id': '%s'}}" % name) for name in "aab"]
        answers = self.client.batch_execute_statement(Statements=insert)["Responses"]
        self.assertEqual([answer.get("Error", {}).get("Code") for answer in answers], [None, "DuplicateItem", None])
        transaction = [
            statement("EXISTS(SELECT * FROM \"{}\" WHERE id = 'a' AND n IS MISSING)"),
            statement("UPDATE \"{}\" SET n = 1 WHERE id = 'b'"),
        ]
        self.client.execute_transaction(TransactStatements=transaction)
        reads = [statement("SELECT n FROM \"{}\" WHERE id = '%s'" % name) for name in "bz"]
        self.assertEqual(
            self.client.execute_transaction(TransactStatements=reads)["Responses"], [{"Item": {"n": {"N": "1"}}}, {}]
        )
        failed = self.refused(
            "TransactionCanceledException", self.client.execute_transaction, TransactStatements=[insert[0]]
        )
        self.assertEqual(failed["CancellationReasons"][0]["Code"], "DuplicateItem")


class Backups(DynamoDB):
    def test_a_backup_is_restored_into_another_table(self):
        table = self.table()
        for n in range(10):
            table.put_item(Item={"id": str(n), "n": n})
        arn = self.client.create_backup(TableName=table.name, BackupName="ten")["BackupDetails"]["BackupArn"]
        table.delete_item(Key={"id": "3"})
        listed = self.client.list_backups(TableName=table.name)["BackupSummaries"]
        self.assertEqual([(backup["BackupName"], backup["BackupStatus"]) for backup in listed], [("ten", "AVAILABLE")])
        target = f"boto3-{uuid.uuid4()}"
        self.client.restore_table_from_backup(TargetTableName=target, BackupArn=arn)
        self.client.get_waiter("table_exists").wait(TableName=target, WaiterConfig={"Delay": 1})
        self.addCleanup(self.client.delete_table, TableName=target)
        items = self.resource.Table(target).scan()["Items"]
        self.assertEqual(sorted(item["n"] for item in items), list(range(10)))
        self.client.delete_backup(BackupArn=arn)
        self.refused("BackupNotFoundException", self.client.describe_backup, BackupArn=arn)

    def test_point_in_time_recovery_is_turned_on_and_used(self):
        table = self.table()
        table.put_item(Item={"id": "a"})
        target = f"boto3-{uuid.uuid4()}"
        restore = {"SourceTableName": table.name, "TargetTableName": target, "UseLatestRestorableTime": True}
        call = self.client.restore_table_to_point_in_time
        self.refused("PointInTimeRecoveryUnavailableException", call, **restore)
        enabled = self.client.update_continuous_backups(
            TableName=table.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        self.assertEqual(enabled["PointInTimeRecoveryStatus"], "ENABLED")
        self.assertLessEqual(enabled["EarliestRestorableDateTime"], enabled["LatestRestorableDateTime"])
        call(**restore)
        self.addCleanup(self.client.delete_table, TableName=target)
        self.assertEqual(self.resource.Table(target).scan()["Items"], [{"id": "a"}])


if __name__ == "__main__":
    unittest.main(verbosity=2)
