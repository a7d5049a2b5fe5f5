"""The configurations that we ship for Traefik and Envoy, which no test runs, leave nothing of a question to the client.

What their fields mean: https://doc.traefik.io/traefik/middlewares/http/forwardauth/ and Envoy's
api/envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from django.conf import settings

from accounts.access_levels import PERMISSIONS
from accounts.environments import Environment
from apikeys.gateway import ENTITY, ENVIRONMENT, PATH, PERMISSION

FOLDER = Path(settings.BASE_DIR, "deploy/gateway")
ASKED = (PERMISSION, ENTITY, ENVIRONMENT)
ANSWERED = ["X-Pithead-Key-Id", "X-Pithead-Account", "X-Pithead-Level"]


def test_traefik_writes_or_removes_each_header_before_it_asks():
    http = yaml.safe_load((FOLDER / "traefik.yml").read_text())["http"]
    for router in http["routers"].values():
        assert router["entryPoints"] != ["websecure"] or "tls" in router, "such a router never sees HTTPS"
        chain = [http["middlewares"][name] for name in router["middlewares"]]
        [asking] = [number for number, each in enumerate(chain) if "forwardAuth" in each]
        written = {}
        for each in chain[:asking]:
            written |= each["headers"]["customRequestHeaders"]
        assert written[PERMISSION] in PERMISSIONS
        assert written[ENVIRONMENT] in Environment.values
        assert written[ENTITY] == ""
        assert all(written[name] == "" for name in ANSWERED)
        auth = chain[asking]["forwardAuth"]
        assert auth["address"].endswith(PATH)
        assert auth["trustForwardHeader"] is False
        assert auth["authRequestHeaders"] == ["Authorization", *ASKED[:2], ENVIRONMENT]
        assert auth["authResponseHeaders"] == ANSWERED
        removed = chain[asking + 1]["headers"]["customRequestHeaders"]
        assert removed["Authorization"] == ""


def test_envoy_sends_its_own_headers_and_the_clients_key_alone():
    [listener] = yaml.safe_load((FOLDER / "envoy.yaml").read_text())["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    asking, routing = (each["typed_config"] for each in manager["http_filters"])
    assert asking["@type"].endswith(".ext_authz.v3.ExtAuthz")
    assert routing["@type"].endswith(".router.v3.Router")
    assert asking["failure_mode_allow"] is False
    assert asking["allowed_headers"] == {"patterns": [{"exact": "x-forwarded-for"}]}
    assert manager["use_remote_address"] is True
    service = asking["http_service"]
    assert service["path_prefix"] == PATH
    added = {each["key"]: each["value"] for each in service["authorization_request"]["headers_to_add"]}
    assert added[PERMISSION.lower()] in PERMISSIONS
    assert added[ENVIRONMENT.lower()] in Environment.values
    passed = service["authorization_response"]["allowed_upstream_headers"]["patterns"]
    assert [each["exact"] for each in passed] == [name.lower() for name in ANSWERED]
    [host] = manager["route_config"]["virtual_hosts"]
    assert {"authorization", *(name.lower() for name in ASKED)} <= set(host["request_headers_to_remove"])
