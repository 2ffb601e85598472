"""Models that do not judge when they are asked to: an error of the judge, never a verdict on the agent."""

# ruff: noqa: ARG001 - what is broken has the arguments of what it breaks

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runstone.proof.conversations.fault import RUBRIC, add, judge
from runstone.proof.conversations.model_server import completion, failure, fair, judgement
from runstone.proof.sockets import reply

Asked = Mapping[str, Any]


@judge
def refuses(asked: Asked) -> bytes:
    """The model refuses to judge."""
    return completion(None, refusal="I cannot judge that")


@judge
def truncates_its_json(asked: Asked) -> bytes:
    """The model's answer is the beginning of a JSON document."""
    return completion('{"check_word": "x", "rea')


@judge
def is_cut_off(asked: Asked) -> bytes:
    """The model's answer is longer than an answer may be, and says so."""
    return completion('{"check_word": "x"', finish_reason="length")


@judge
def answers_another_schema(asked: Asked) -> bytes:
    """The model answers that it passes, and gives no score."""
    return completion('{"pass": true}')


@judge
def answers_text(asked: Asked) -> bytes:
    """The model answers in prose."""
    return completion("Looks good to me: 10/10")


@judge
def answers_nothing(asked: Asked) -> bytes:
    """The model answers an empty text."""
    return completion("")


@judge
def scores_beyond_the_scale(asked: Asked) -> bytes:
    """The model gives ten of one."""
    return judgement(asked, 10)


@judge
def says_yes_to_everything(asked: Asked) -> bytes:
    """The model gives the best score to whatever it is shown."""
    return judgement(asked, 1.0)


@judge
def says_no_to_everything(asked: Asked) -> bytes:
    """The model gives the worst score to whatever it is shown."""
    return judgement(asked, 0.0)


@judge
def answers_another_question(asked: Asked) -> bytes:
    """The model gives the best score without the word of the question."""
    return completion(json.dumps({"check_word": "abc", "reason": "", "score": 1.0}))


@judge
def is_out_of_order(asked: Asked) -> bytes:
    """The model's server answers 500."""
    return failure("500 Internal Server Error", "boom")


@judge
def is_busy_for_ever(asked: Asked) -> bytes:
    """The model's server answers 429, however often it is asked."""
    return failure("429 Too Many Requests", "slow down", "retry-after: 0")


@judge
def does_not_know_the_key(asked: Asked) -> bytes:
    """The model's server refuses the key."""
    return failure("401 Unauthorized", "bad key")


@judge
def speaks_html(asked: Asked) -> bytes:
    """The model's server answers a web page."""
    return reply("200 OK", "text/html", b"<html>welcome</html>")


@judge
def hangs_up(asked: Asked) -> bytes:
    """The model's server hangs up without an answer."""
    return b""


add(
    "judge",
    "is-dead",
    "Nobody listens where the model's server was.",
    wanted="judge-error",
    scenario=RUBRIC,
    judge=fair,
    listens=False,
)
