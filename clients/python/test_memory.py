"""The official MCP client for Python against dynamite-memory: over the standard streams and HTTP, in both eras of the protocol."""

import asyncio
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

PROGRAM = os.environ["DYNAMITE_MEMORY"]
MODES = ["legacy", "2026-07-28", "auto"]


class Home:
    """Directories of a server's own; its owner is ended with them."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="m")
        path = Path(self.directory.name)
        (path / "project" / ".git").mkdir(parents=True)
        self.cwd = path / "project"
        self.db = path / "memory.db"
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(path), "HOME": str(path)}
        self.environment.pop("CLAUDE_PROJECT_DIR", None)
        # The owner is a child of this test, not of whoever would start it.
        self.command("stats")
        return self

    def command(self, *arguments):
        return subprocess.run([PROGRAM, "--db", self.db, *arguments], env=self.environment, cwd=self.cwd,
                              capture_output=True, text=True, check=True).stdout

    def __exit__(self, *_):
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve" in words and str(self.db).encode() in words:
                os.kill(int(process.name), 15)
        self.directory.cleanup()


async def use_everything(case, client):
    tools = (await client.list_tools()).tools
    case.assertEqual([tool.name for tool in tools], ["remember", "recall", "discover", "forget"])
    case.assertLessEqual(len(client.instructions or ""), 600)
    fact = {"category": "decisions", "key": "db/port", "content": "Postgres listens on port 5433."}
    done = await client.call_tool("remember", fact)
    case.assertFalse(done.is_error)
    case.assertTrue(done.structured_content["created"])
    found = await client.call_tool("recall", {"query": "which port does postgres listen on?"})
    item = found.structured_content["items"][0]
    case.assertEqual(item["content"], "<memory-data>Postgres listens on port 5433.</memory-data>")
    conflict = await client.call_tool("remember", {**fact, "if_version": 7})
    case.assertTrue(conflict.is_error)
    case.assertEqual(conflict.content[0].text, "version conflict: stored is 1, you passed 7; recall and merge")
    there = await client.call_tool("discover", {})
    case.assertEqual(there.structured_content["categories"][0]["count"], 1)
    done = await asyncio.gather(*[
        client.call_tool("remember", {"category": "many", "key": f"k/{number}", "content": f"fact {number}"})
        for number in range(50)])
    case.assertTrue(all(one.structured_content["created"] for one in done))
    there = await client.call_tool("discover", {})
    case.assertEqual(there.structured_content["categories"][1]["count"], 50)

    resources = (await client.list_resources()).resources
    case.assertIn("memory://project/decisions", [str(resource.uri) for resource in resources])
    read = await client.read_resource("memory://project/decisions/db/port")
    case.assertIn("5433", read.contents[0].text)
    with case.assertRaises(MCPError):
        await client.read_resource("memory://project/decisions/none")
    prompt = await client.get_prompt("load_context", {"topic": "postgres port"})
    case.assertIn("<memory-data>", prompt.messages[0].content.text)
    completed = await client.complete(PromptReference(type="ref/prompt", name="review"), {"name": "category", "value": "d"})
    case.assertEqual(completed.completion.values, ["decisions"])

    gone = await client.call_tool("forget", {"category": "decisions", "key": "db/port"})
    case.assertEqual(gone.structured_content["forgotten"], 1)
    gone = await client.call_tool("forget", {"category": "many", "prefix": "k", "recursive": True})
    case.assertEqual(gone.structured_content["forgotten"], 50)


class Memory(unittest.TestCase):
    def test_everything_over_the_standard_streams(self):
        async def run(mode):
            with Home() as home:
                server = StdioServerParameters(
                    command=PROGRAM, args=["--db", str(home.db), "mcp"], env=home.environment, cwd=str(home.cwd))
                async with Client(server, mode=mode) as client:
                    await use_everything(self, client)

        for mode in MODES:
            with self.subTest(mode=mode):
                asyncio.run(run(mode))

    def test_everything_over_http(self):
        async def run(mode):
            with Home() as home:
                child = subprocess.Popen([PROGRAM, "--db", home.db, "mcp", "--http", "127.0.0.1:0"], env=home.environment,
                                         cwd=home.cwd, stderr=subprocess.PIPE, text=True)
                try:
                    url = re.search(r"http://\S+/mcp", child.stderr.readline()).group()
                    token = home.db.with_suffix(".token").read_text()
                    with self.assertRaises(BaseException):
                        async with Client(url, mode=mode) as client:
                            await client.list_tools()
                    headers = {"Authorization": f"Bearer {token}"}
                    async with httpx2.AsyncClient(headers=headers) as http:
                        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                            await use_everything(self, client)
                finally:
                    child.terminate()
                    child.communicate()

        for mode in MODES:
            with self.subTest(mode=mode):
                asyncio.run(run(mode))


if __name__ == "__main__":
    unittest.main()
