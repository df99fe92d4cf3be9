#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Asks rust-analyzer about a source file of a module.

usage: analyzer.py PROJECT FILE TEXT WORD...

Starts rust-analyzer with the project file PROJECT, opens FILE, which has TEXT appended as its
last line, and prints "definition WORD PATH" for the first use of each WORD, and
"diagnostic LINE MESSAGE" for each diagnostic, where LINE counts from the end of the file.
"""

import json
import pathlib
import subprocess
import sys


class Server:
    """The language server. Messages are JSON with a header of their length."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["rust-analyzer"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.requests = 0

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        """Returns the next message. Answers requests of the server with null."""
        while True:
            length = 0
            while (line := self.process.stdout.readline()) != b"\r\n":
                if not line:
                    sys.exit("analyzer.py: rust-analyzer ended")
                name, value = line.split(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            message = json.loads(self.process.stdout.read(length))
            if "method" not in message or "id" not in message:
                return message
            self.send({"id": message["id"], "result": None})

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def ask(self, method, params):
        """Returns the result of a request."""
        self.requests += 1
        self.send({"id": self.requests, "method": method, "params": params})
        while (answer := self.receive()).get("id") != self.requests:
            pass
        if "error" in answer:
            sys.exit(f"analyzer.py: {method}: {answer['error']['message']}")
        return answer["result"]

    def wait_until_loaded(self):
        """Waits until all crates are indexed."""
        while True:
            message = self.receive()
            if message.get("method") == "experimental/serverStatus":
                if message["params"]["health"] == "error":
                    sys.exit(f"analyzer.py: {message['params'].get('message')}")
                if message["params"]["quiescent"]:
                    return


def main():
    project, file = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    text = file.read_text(encoding="utf-8") + sys.argv[3] + "\n"
    server = Server(project.parent)
    server.ask(
        "initialize",
        {
            "processId": None,
            "rootUri": project.parent.as_uri(),
            "capabilities": {"experimental": {"serverStatusNotification": True}},
            "initializationOptions": {"linkedProjects": [str(project)], "checkOnSave": False},
        },
    )
    server.notify("initialized", {})
    server.wait_until_loaded()
    document = {"uri": file.as_uri()}
    opened = {**document, "languageId": "rust", "version": 1, "text": text}
    server.notify("textDocument/didOpen", {"textDocument": opened})
    lines = text.splitlines()
    for word in sys.argv[4:]:
        line = next(n for n, line in enumerate(lines) if word in line)
        position = {"line": line, "character": lines[line].index(word) + 1}
        for place in server.ask(
            "textDocument/definition", {"textDocument": document, "position": position}
        ):
            print("definition", word, place["uri"])
    result = server.ask("textDocument/diagnostic", {"textDocument": document})
    for diagnostic in result["items"]:
        message = diagnostic["message"].splitlines()[0]
        print("diagnostic", len(lines) - diagnostic["range"]["start"]["line"], message)
    server.process.kill()


if __name__ == "__main__":
    main()
