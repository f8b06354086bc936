"""The AWS CLI against a server, each command a process of its own."""

import json
import os
import subprocess
import sys
import unittest
import uuid
from pathlib import Path

AWS = Path(sys.executable).with_name("aws")


def aws(service, command, *arguments, fails=False):
    """Runs a command. Returns what it prints, as JSON; if it is to fail, what it says to the user."""
    done = subprocess.run(
        [AWS, service, command, "--endpoint-url", os.environ["DYNAMODB_ENDPOINT"], "--output", "json",
         *[argument if isinstance(argument, str) else json.dumps(argument) for argument in arguments]],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
             "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True, text=True, check=False)
    if fails:
        assert done.returncode != 0, done.stdout
        return done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


class Cli(unittest.TestCase):
    def test_a_day_in_the_life_of_a_table(self):
        table = f"cli-{uuid.uuid4()}"
        aws("dynamodb", "create-table", "--table-name", table,
            "--attribute-definitions", "AttributeName=artist,AttributeType=S", "AttributeName=song,AttributeType=S",
            "--key-schema", "AttributeName=artist,KeyType=HASH", "AttributeName=song,KeyType=RANGE",
            "--billing-mode", "PAY_PER_REQUEST",
            "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_IMAGE")
        self.addCleanup(aws, "dynamodb", "delete-table", "--table-name", table)
        aws("dynamodb", "wait", "table-exists", "--table-name", table)
        self.assertIn(table, aws("dynamodb", "list-tables")["TableNames"])

        key = {"artist": {"S": "Bach"}, "song": {"S": "Air"}}
        aws("dynamodb", "put-item", "--table-name", table, "--item", {**key, "year": {"N": "1731"}})
        found = aws("dynamodb", "get-item", "--table-name", table, "--key", key, "--consistent-read")
        self.assertEqual(found["Item"]["year"], {"N": "1731"})
        updated = aws("dynamodb", "update-item", "--table-name", table, "--key", key,
                      "--update-expression", "SET #y = #y + :one", "--expression-attribute-names", {"#y": "year"},
                      "--expression-attribute-values", {":one": {"N": "1"}}, "--return-values", "UPDATED_NEW")
        self.assertEqual(updated["Attributes"], {"year": {"N": "1732"}})
        said = aws("dynamodb", "put-item", "--table-name", table, "--item", key,
                   "--condition-expression", "attribute_not_exists(artist)", fails=True)
        self.assertIn("(ConditionalCheckFailedException)", said)
        self.assertIn("The conditional request failed", said)

        requests = [{"PutRequest": {"Item": {"artist": {"S": "Bach"}, "song": {"S": f"Fugue {n}"}}}} for n in range(25)]
        written = aws("dynamodb", "batch-write-item", "--request-items", {table: requests})
        self.assertEqual(written["UnprocessedItems"], {})
        query = ["--table-name", table, "--key-condition-expression", "artist = :a AND begins_with(song, :f)",
                 "--expression-attribute-values", {":a": {"S": "Bach"}, ":f": {"S": "Fugue"}}]
        # The CLI goes on from page to page by itself.
        self.assertEqual(aws("dynamodb", "query", *query, "--page-size", "4")["Count"], 25)
        counted = aws("dynamodb", "scan", "--table-name", table, "--select", "COUNT")
        self.assertEqual(counted["Count"], 26)

        aws("dynamodb", "transact-write-items", "--transact-items", [
            {"Delete": {"TableName": table, "Key": key}},
            {"Put": {"TableName": table, "Item": {"artist": {"S": "Bach"}, "song": {"S": "Aria"}}}}])
        self.assertIsNone(aws("dynamodb", "get-item", "--table-name", table, "--key", key))

        aws("dynamodb", "update-time-to-live", "--table-name", table,
            "--time-to-live-specification", "Enabled=true,AttributeName=expires")
        arn = aws("dynamodb", "describe-table", "--table-name", table)["Table"]["LatestStreamArn"]
        shard = aws("dynamodbstreams", "describe-stream", "--stream-arn", arn)["StreamDescription"]["Shards"][0]
        iterator = aws("dynamodbstreams", "get-shard-iterator", "--stream-arn", arn, "--shard-id", shard["ShardId"],
                       "--shard-iterator-type", "TRIM_HORIZON")["ShardIterator"]
        records = aws("dynamodbstreams", "get-records", "--shard-iterator", iterator)["Records"]
        self.assertEqual([record["eventName"] for record in records[:2]], ["INSERT", "MODIFY"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
