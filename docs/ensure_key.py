"""Keep an API key as it should be, and its secret in a file: ensure_key.py FILE NAME LEVEL SCOPE… (automation.md)"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib import error, parse, request
from uuid import uuid4

API, MANAGER = os.environ["PITHEAD_API"], Path(os.environ["PITHEAD_MANAGER_FILE"]).read_text().strip()


def ask(method, path, body=None):
    headers = {"Authorization": f"Bearer {MANAGER}", "Content-Type": "application/json"}
    headers["Idempotency-Key"] = str(uuid4())  # one name for all attempts: whatever arrives is done once
    call = request.Request(f"{API}/keys{path}", body and json.dumps(body).encode(), headers, method=method)  # noqa: S310
    for _ in range(3):
        try:
            return json.load(request.urlopen(call, timeout=30))  # noqa: S310
        except error.HTTPError as refused:
            sys.exit(f"{method} keys{path}: {refused.read().decode()}")
        except OSError as broken:
            problem = broken
    raise problem


file, name, level, *scopes = sys.argv[1:]
have = Path(file).read_text() if Path(file).exists() else ""
found = ask("GET", "?" + parse.urlencode({"name": name}))["data"]
if not found:
    key = ask("POST", "", {"name": name, "access_level": level, "scopes": scopes})
else:
    key = ask("GET", f"/{found[0]['id']}")
    if (key["access_level"], key["scopes"]) != (level, sorted(scopes)):
        sys.exit(f"{name} is there, as {key['access_level']} on {key['scopes']}. Give the new key another name.")
    newest = next(iter(key["secrets"]), None)
    if newest is None or not have.startswith(newest["mask"].rstrip("•")):  # the file was lost, or an answer
        key = ask("POST", f"/{key['id']}/regenerate")
    elif datetime.now(UTC) - datetime.fromisoformat(newest["created_at"]) > timedelta(days=30):
        key = ask("POST", f"/{key['id']}/rotate", {"overlap_seconds": 86400})
if "secret" in key:
    if not key["secret_shown"]:
        sys.exit("The secret was made, and lost on its way here. Run this again: the key gets another.")
    with open(os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
        new.write(key["secret"] + "\n")
    os.replace(f"{file}.new", file)
