"""What the server says about itself: health, version and features, metrics, its own OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Trace,
    conforms,
    needs,
    new_id,
    raw,
    requirement,
    scenario,
    shown,
    some,
)

# No body that is JSON: a routed operation refuses it before it does anything.
NO_JSON = b"{"
SAMPLE = re.compile(r"[A-Za-z_:][\w:]*(\{.*\})? (NaN|[+-]?(Inf|[\d.]+([eE][+-]?\d+)?))( -?[\d.]+)?( # .*)?")


@scenario(agent=True)
async def about_the_server(api: Api) -> None:
    """Every question about the server itself, and one route that no server has."""
    await api.server_ok()
    await api.request("GET", "/ok", params={"check_db": 1}, label="ok_with_store")
    await api.info()
    none = {"thread_id": new_id()}  # other scenarios make crons meanwhile
    await api.request("POST", "/runs/crons/search", json=none, label="crons")
    await api.request("GET", "/metrics", label="metrics")
    await api.request("GET", "/no/such/route", label="unrouted")


@scenario(needs=["openapi"], agent=True)
async def openapi_paths(api: Api) -> None:
    """Every path without parameters that the OpenAPI document declares, each asked once."""
    document = await api.request("GET", "/openapi.json", label="openapi")
    await api.request("GET", "/no/such/route", label="unrouted")
    for path, method in _plain_operations(document.object).items():
        content = None if method == "GET" else NO_JSON
        await api.request(method, path, content=content, label="declared")


def _plain_operations(document: dict[str, Any]) -> dict[str, str]:
    """One method of every path without parameters, GET where there is one, in the order of the document."""
    paths = document.get("paths")
    chosen = {}
    for path, operations in paths.items() if isinstance(paths, dict) else ():
        methods = [name.upper() for name in operations if name in {"get", "post", "put", "patch", "delete"}]
        if "{" not in path and methods:
            chosen[path] = "GET" if "GET" in methods else methods[0]
    return chosen


def _says_ok(exchange: Exchange) -> None:
    assert exchange.status == 200
    assert raw(exchange.object.get("ok")) is True, f"wanted `ok` true, got {exchange.content}"


@requirement("META-001")
def test_ok_is_true(about_the_server: Trace) -> None:
    _says_ok(about_the_server.ok)


@requirement("META-002")
def test_info_holds_version_and_flags(about_the_server: Trace) -> None:
    assert about_the_server.info.status == 200
    conforms(about_the_server.info.object, "info", about_the_server.info)


@requirement("META-003")
@needs("crons")
def test_flagged_crons_are_routed(about_the_server: Trace) -> None:
    flags = about_the_server.info.object.get("flags")
    if not isinstance(flags, dict):
        raise Missing(f"{about_the_server.info.where} has no flags")
    assert about_the_server.crons.status not in {404, 405}
    assert about_the_server.crons.status < 500


@requirement("META-004")
def test_metrics_are_prometheus_text(about_the_server: Trace) -> None:
    metrics = about_the_server.metrics
    assert metrics.status == 200
    lines = [line.strip() for line in metrics.text.splitlines()]
    samples = some((line for line in lines if line and not line.startswith("#")), "sample in the metrics")
    misformed = [line for line in samples if not SAMPLE.fullmatch(line)]
    assert misformed == []


@requirement("META-005")
def test_declared_paths_are_routed(openapi_paths: Trace) -> None:
    version = openapi_paths.openapi.object.get("openapi")
    assert str(version).startswith("3."), f"wanted an OpenAPI 3 document, got version {shown(version)}"
    if openapi_paths.unrouted.status != 404:
        raise Missing(f"{openapi_paths.unrouted.where} did not answer 404, so a 404 would not show either")
    unrouted = [each.where for each in openapi_paths.all("declared") if each.status in {404, 501}]
    assert unrouted == []


@requirement("META-006")
def test_ok_with_its_store_checked(about_the_server: Trace) -> None:
    _says_ok(about_the_server.ok_with_store)
