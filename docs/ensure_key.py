"""Keep an API key as it should be, and its secret in a file: ensure_key.py FILE NAME LEVEL SCOPE… (automation.md)"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from urllib import error, parse, request


def ask(method, path, body=None):
    headers = {"Authorization": f"Bearer {manager}", "Content-Type": "application/json"}
    headers["Idempotency-Key"] = os.urandom(16).hex()  # one name for all tries: whatever arrives is done once
    call = request.Request(f"{api}/keys{path}", body and json.dumps(body).encode(), headers, method=method)
    for _ in range(3):
        try:
            return json.load(request.urlopen(call, timeout=30))
        except error.HTTPError as refused:
            sys.exit(f"{method} keys{path}: {refused.read().decode()}")
        except (OSError, HTTPException) as broken:
            lost = f"{method} keys{path}: {broken!r}. Run this again."
    sys.exit(lost)


api, manager = os.environ["PITHEAD_API"], Path(os.environ["PITHEAD_MANAGER_FILE"]).read_text().strip()
file, name, level, *scopes = sys.argv[1:]
have = Path(file).read_text() if Path(file).exists() else ""
ids = [row["id"] for row in ask("GET", "?" + parse.urlencode({"name": name}))["data"]]
key = ask("GET", f"/{ids[0]}") if ids else ask("POST", "", {"name": name, "access_level": level, "scopes": scopes})
if (key["status"], key["access_level"], key["scopes"]) != ("active", level, sorted(scopes)):
    sys.exit(f"{name} is {key['status']}, {key['access_level']} on {key['scopes']}. Mend that, or take another name.")
while not key.get("secret"):  # none, either, where the answer that had it was lost
    newest = next(iter(key["secrets"]), {"mask": "none"})
    lost = newest["mask"].rstrip("•") not in have
    if not lost and datetime.fromisoformat(newest["created_at"]) > datetime.now(UTC) - timedelta(days=30):
        sys.exit()
    key = ask("POST", f"/{key['id']}/{'regenerate' if lost else 'rotate'}")
os.umask(0o077)
Path(f"{file}.new").write_text(key["secret"] + "\n")
os.replace(f"{file}.new", file)
