"""Believable examples for the bodies of the API's description, by the names of their fields."""

from __future__ import annotations

from typing import Any

from apikeys import problems

_ID = "0192f3c1-7a60-7cc4-9b1e-2f6f0f6d3a11"

#: Field → value, where the type alone says too little.
BY_NAME: dict[str, Any] = {
    "account_name": "quiet-basalt-42",
    "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "amount": "0.01250000",
    "balance": "0.01250000",
    "accrued": "0.11250000",
    "paid": "0.10000000",
    "earned": "0.00081000",
    "minimum_payout": "0.00500000",
    "coin": "BTC",
    "currency": "BTC",
    "comment": "Hosted for Borealis",
    "commission": "0.0150",
    "hashrate": 201_400_000_000_000,
    "hashrate_1d": 200_900_000_000_000,
    "hashrate_1w": 199_800_000_000_000,
    "rejectrate": 1_208_000_000_000,
    "rejected": 1_208_000_000_000,
    "current": 201_400_000_000_000,
    "average_24h": 200_900_000_000_000,
    "average_7d": 199_800_000_000_000,
    "timestamp": 1_795_255_200,
    "name": "nf-s21-0001",
    "slug": "northfold",
    "step": "PT1H",
    "period": "P1W",
    "transaction": "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
    "behavior": "real",
    "next": None,
    "limit": 50,
    "total": 12,
    "online": 11,
    "offline": 1,
    "inactive": 0,
    "scopes": ["*:miners/*", "read:hubs/" + _ID],
    "permissions": ["entities:read", "stats:read"],
    "allowed_cidrs": ["198.51.100.0/24"],
    "expires_at": "2027-02-19T12:00:00Z",
    "key_id": "key_7GkQ2mZp4XbT",
    "role": None,
    "access_level": "viewer",
    "errors": {"limit": ["Give a whole number from 1 to 500."]},
    "note": "Replaced by the key of the new bot",
}
_NAMED = {"name": "Hall dashboard", "description": "The wall in hall 3; ask Olga"}
_MANAGED = {
    **_NAMED,
    "id": "key_7GkQ2mZp4XbT",
    "rate_limit": 300,
    "rate_burst": 20,
    "created_by": "Terraform (key_Xb4Tf0RrW2yc)",
    "disabled_at": None,
    "revoked_at": None,
    "revoke_reason": None,
}
#: Schema → fields, where they mean something of their own.
BY_SCHEMA: dict[str, dict[str, Any]] = {
    "NewKey": {**_NAMED, "rate_limit": 300, "rate_burst": 20},
    "PatchedKeyChange": {**_NAMED, "rate_limit": 300, "rate_burst": 20},
    "KeyRow": _MANAGED,
    "ManagedKey": _MANAGED,
    "RevealedKey": {**_MANAGED, "secret": "ph_live_7GkQ2mZp4XbT…"},
    "Secret": {"mask": "ph_live_7GkQ2m••••", "retires_at": None},
    "Usage": {"id": "key_7GkQ2mZp4XbT"},
    "KeyQuestion": {
        "key": "ph_live_…",
        "permission": "hashrate:read",
        "entity": _ID,
        "address": "198.51.100.7",
        "method": "GET",
    },
    "KeyVerdict": {
        "valid": True,
        "status": 200,
        "code": None,
        "detail": None,
        "key_id": "key_7GkQ2mZp4XbT",
        "account": "northfold",
        "environment": "production",
        "access_level": "viewer",
        "role": None,
        "permissions": ["entities:read", "hashrate:read", "stats:read", "workers:read"],
        "expires_at": None,
        "rate_limit": {"limit": 300, "remaining": 299, "reset": 1},
    },
}
_BY_FORMAT = {
    "uuid": _ID,
    "date-time": "2026-11-21T12:00:00Z",
    "date": "2026-11-20",
    "decimal": "0.01250000",
}
_DETAILS = {
    "invalid_request": "See “errors”.",
    "missing_credentials": "Send your API key: “Authorization: Bearer <key>”.",
    "permission_denied": "This key does not have the permission {permission}.",
    "not_found": "There is nothing here that this key can see.",
    "payload_too_large": "Send at most 65,536 bytes at once.",
    "unsupported_media_type": 'Unsupported media type "text/plain" in request.',
    "conflict": "This is there already.",
    "refused": "Not within the scopes of the key that asks: *:hubs/*.",
    "otp_required": "Send a code of your authenticator app with this request, as “Pithead-OTP”.",
    "otp_refused": "That code is not right. Type the six digits that your app shows now.",
    "unavailable": "The service can't answer right now. Try again in 3 seconds.",
}


def add(document: dict[str, Any]) -> dict[str, Any]:
    """Give every request and answer of an OpenAPI ``document`` an example. Returns the document."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                media["example"] = _example(media["schema"], schemas)
            for status, answer in operation["responses"].items():
                for content_type, media in answer.get("content", {}).items():
                    if content_type == problems.CONTENT_TYPE:
                        media["examples"] = _problems(int(status), operation)
                    else:
                        media["example"] = _example(media["schema"], schemas)
                        if status == "200" and "secret_shown" in media["example"]:  # to a repeated request
                            media["example"] |= {"secret": None, "secret_shown": False}
    return document


def _problems(status: int, operation: dict[str, Any]) -> dict[str, Any]:
    description = operation["responses"][str(status)]["description"]
    examples = {}
    for code, row in problems.CODES.items():
        if row.status != status or f"`{code}`" not in description:
            continue
        members: dict[str, Any] = {
            "type": "about:blank",
            "title": row.title,
            "status": status,
            "detail": _DETAILS.get(code, row.title + ".").format(permission=operation["x-permission"]),
            "code": code,
            "request_id": "req_5f1c2a9be04d7386",
        }
        if code == "permission_denied":
            members["permission"] = operation["x-permission"]
        if code == "invalid_request":
            members["errors"] = BY_NAME["errors"]
        if code == "refused":
            members["errors"] = {"scopes": [members["detail"]]}
        examples[code] = {"summary": row.title, "value": members}
    return examples


def _example(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    if "$ref" in schema:
        schema_name = schema["$ref"].rsplit("/", 1)[-1]
        example = _example(schemas[schema_name], schemas, name)
        return example | BY_SCHEMA[schema_name] if schema_name in BY_SCHEMA else example
    for combined in ("allOf", "oneOf", "anyOf"):
        if combined in schema:
            return _example(schema[combined][0], schemas, name)
    if "properties" in schema:
        return {key: _example(value, schemas, key) for key, value in schema["properties"].items()}
    if name in BY_NAME:
        return BY_NAME[name]
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    kind = schema.get("type")
    kind = next((each for each in kind if each != "null"), "null") if isinstance(kind, list) else kind
    if kind == "array":
        return [_example(schema["items"], schemas, name.removesuffix("s"))]
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return {_ID: _example(schema["additionalProperties"], schemas)}
    return {"integer": 12, "number": 12.5, "boolean": True, "string": "text", "object": {}}.get(str(kind))
