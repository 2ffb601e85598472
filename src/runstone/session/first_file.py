"""The runstone.toml that `runstone init` writes: what a server says of itself, with comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runstone.contracts import load_capabilities
from runstone.session.introduction import Introduction


def first_file(url: str, found: Introduction, *, assistant: str | None, headers: Mapping[str, str]) -> str:
    """The text. `assistant`: what stands in for the conformance graphs; None where they are served.

    Of a header it names the environment variable that holds its value, and never the value.
    """
    return (
        "\n".join([*_head(url, found, headers), "", *_agent(found, assistant), *_capabilities(found)]) + "\n"
    )


def variable(header: str) -> str:
    """The environment variable that holds a header's value."""
    return "RUNSTONE_" + "".join(letter if letter.isalnum() else "_" for letter in header.upper())


def _head(url: str, found: Introduction, headers: Mapping[str, str]) -> Iterator[str]:
    yield f"# What `runstone init` found out about this server ({_comment(found.server)})."
    yield "# Every key is explained in docs/configuration.md."
    yield f"target = {json.dumps(url)}"
    yield '# profile = "langgraph"   # the dialect of the run API that is judged; `wait-state` is another one'
    if headers:
        yield "\n[headers]  # their values stay out of this file"
        yield from (f'{json.dumps(name)} = "${{{variable(name)}}}"' for name in headers)


def _agent(found: Introduction, assistant: str | None) -> Iterator[str]:
    if assistant is None:
        yield "# It serves the conformance graphs, so that everything can be judged."
        return
    others = [each for each in found.own if each != assistant]
    yield "# It does not serve the conformance graphs (`runstone graphs export DIR` writes them), so that one"
    yield "# of its own assistants stands in for them: docs/own-agents.md."
    if others:
        yield f"# It serves as well: {_comment(', '.join(others))}"
    yield "[agent]"
    yield f"assistant = {json.dumps(assistant)}"
    if assistant in found.inputs:
        yield "# Made from its schema; with this input its run must end well. Change it if it makes no sense."
    else:
        yield "# It tells no schema: write an input with which its run ends well."
    yield f"success.input = {toml(found.inputs.get(assistant, {}))}"
    yield "# error.input = {}          # an input with which its run fails, if there is one"
    yield "# interrupt.input = {}      # an input with which it pauses, and the answer that lets it go on"
    yield '# interrupt.resume = "yes"'


def _capabilities(found: Introduction) -> Iterator[str]:
    yield "\n[capabilities]  # what it says that it offers; the self-check finds out more"
    known = load_capabilities()
    for name in found.capabilities:
        yield f"{name} = true   # {known[name].meaning}"
    yield "# exclusive = true   # only if nobody else uses the server: all its runs may be cancelled at once"
    for note in found.notes:
        yield f"# {_comment(note)}"


def toml(value: Any) -> str:
    """A JSON value on one line as TOML has it; null, which TOML lacks, is left out."""
    if isinstance(value, Mapping):
        members = (f"{json.dumps(key)} = {toml(each)}" for key, each in value.items() if each is not None)
        inner = ", ".join(members)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(toml(each) for each in value if each is not None)}]"
    return json.dumps(value)


def _comment(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
