"""As much of kubectl as RECOVERY.md uses, over the real HTTP API: `apply --server-side` and `wait --for=condition`.

It asks the server for its resources, as kubectl does, and fails on whatever it does not know.
"""

import argparse
import json
import os
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import yaml


def main() -> int:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    apply = verbs.add_parser("apply")
    apply.add_argument("--server-side", action="store_true", required=True)
    apply.add_argument("--force-conflicts", action="store_true")
    apply.add_argument("-f", required=True, choices=["-"])
    wait = verbs.add_parser("wait")
    wait.add_argument("--for", dest="condition", required=True)
    wait.add_argument("--timeout", required=True)
    wait.add_argument("-f", required=True, choices=["-"])
    create = verbs.add_parser("create")
    create.add_argument("what", choices=["namespace"])
    create.add_argument("name")
    options = parser.parse_args()
    server = Server()
    if options.verb == "create":
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.name}}
        server.ask("POST", "/api/v1/namespaces", body)
        return 0
    failed = False
    for document in filter(None, yaml.safe_load_all(sys.stdin)):
        name = f"{document['kind'].lower()}/{document['metadata']['name']}"
        try:
            if options.verb == "apply":
                server.apply(document, force=options.force_conflicts)
                sys.stdout.write(f"{name} serverside-applied\n")
            else:
                server.wait(document, options.condition.removeprefix("condition="), options.timeout)
                sys.stdout.write(f"{name} condition met\n")
        except Refused as refused:
            sys.stderr.write(f"Error from server: {name}: {refused}\n")
            failed = True
    return 1 if failed else 0


class Refused(Exception):
    """The server's own words."""


class Server:
    def __init__(self) -> None:
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
        self.host = urlsplit(config["clusters"][0]["cluster"]["server"]).netloc
        self.token = config["users"][0]["user"]["token"]

    def ask(self, method, path, body=None, content_type="application/json"):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "Content-Type": content_type}
        connection = HTTPConnection(self.host, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        if answer.status >= 400:
            raise Refused(found["message"])
        return found

    def path(self, document):
        group = document["apiVersion"]
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        known = self.ask("GET", root)["resources"]
        found = next(e for e in known if e["kind"] == document["kind"] and "/" not in e["name"])
        where = f"/namespaces/{document['metadata']['namespace']}" if found["namespaced"] else ""
        return f"{root}{where}/{found['name']}/{document['metadata']['name']}"

    def apply(self, document, *, force):
        path = f"{self.path(document)}?fieldManager=kubectl&force={str(force).lower()}"
        self.ask("PATCH", path, document, "application/apply-patch+yaml")

    def wait(self, document, condition, timeout):
        path, end = self.path(document), time.monotonic() + float(timeout.removesuffix("s"))
        while time.monotonic() < end:
            found = self.ask("GET", path).get("status", {}).get("conditions", [])
            if any(entry["type"] == condition and entry["status"] == "True" for entry in found):
                return
            time.sleep(0.05)
        sys.exit(f"timed out waiting for {condition}")


if __name__ == "__main__":
    sys.exit(main())
