"""What the conformance graphs make of the values of a thread (fixtures/graphs/README.md)."""

from __future__ import annotations

from typing import Any

from runstone.scenario.known_results import STEPS

_NODES = {"steps": STEPS, "slow": ["a", "b", "c"], "fail": ["ok"], "interrupt": ["before"]}


def plain(values: Any) -> dict[str, Any]:
    """Values as the model has them: of messages type and content, and no member that is null or empty."""
    if not isinstance(values, dict):
        return {}
    found = {key: value for key, value in values.items() if value not in (None, [], {})}
    if isinstance(found.get("messages"), list):
        found["messages"] = [
            [each.get("type"), each.get("content")] if isinstance(each, dict) else each
            for each in found["messages"]
        ]
    return found


def merged(values: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """The values after an update: `log` appends, every other member is replaced."""
    found = {**values, **{key: value for key, value in update.items() if key != "log"}}
    if update.get("log"):
        found["log"] = [*values.get("log", []), *update["log"]]
    return found


def after_run(graph: str, base: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any] | None:
    """What a run of the graph makes of the values that it finds."""
    if base is None:
        return None
    if graph == "echo":
        texts = [each["content"] for each in given["messages"]]
        spoken = [pair for text in texts for pair in (["human", text], ["ai", text])]
        return {**base, "messages": [*base.get("messages", []), *spoken]}
    return merged(base, {**given, "log": _NODES[graph]})


def after_resume(base: dict[str, Any] | None, answer: Any) -> dict[str, Any] | None:
    """What the rest of `interrupt` makes of them, once its question is answered."""
    return None if base is None else merged(base, {"answer": answer, "log": ["ask", "after"]})
