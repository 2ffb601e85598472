"""What a target said raises Missing for whatever it is not, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runstone.wire.documents import Headers, Missing, Several, raw, resolve, told, without

DOCUMENT: dict[str, Any] = {
    "values": {"log": ["s1", "s2"], "count": 3, "share": 2.5, "note": "x"},
    "none": None,
    "yes": True,
    "empty": [],
    "text": "some text",
}
WHERE = "exchange 4 GET /threads/…/state"
Read = Callable[[Any], Any]

WRONG: dict[str, tuple[Read, str]] = {
    "absent member": (lambda it: it["colour"], 'has no "colour", only values, none, yes, empty, text'),
    "member of null": (lambda it: it["none"]["log"], 'at /none: wanted an object with "log", got null'),
    "member of true": (lambda it: it["yes"]["log"], 'at /yes: wanted an object with "log", got true'),
    "member of a number": (lambda it: it["values"]["count"]["log"], "at /values/count: wanted an object"),
    "member of a text": (lambda it: it["text"]["log"], 'wanted an object with "log", got "some text"'),
    "member of an array": (lambda it: it["empty"]["log"], 'at /empty: wanted an object with "log", got []'),
    "item of an object": (lambda it: it["values"][0], "at /values: wanted an array, got {"),
    "item too far": (lambda it: it["values"]["log"][2], "at /values/log holds 2 items, and no item 2"),
    "item of none": (lambda it: it["empty"][-1], "at /empty holds 0 items, and no item -1"),
    "character too far": (lambda it: it["values"]["note"][1], "holds 1 characters, and no character 1"),
    "word too far": (lambda it: it["text"].split()[2], "at /text holds 2 items"),
    "method of an object": (lambda it: it["none"].get("x"), "at /none: wanted an object, got null"),
    "method of an array's": (lambda it: it["values"].count("x"), "at /values: wanted an array"),
    "method of a text": (lambda it: it["values"].startswith("x"), "at /values: wanted a text"),
    "absent, then a method": (lambda it: it.get("colour").lower(), "at /colour: wanted a text, got nothing"),
    "loop over null": (lambda it: list(it["none"]), "wanted an object or an array, got null"),
    "loop over true": (lambda it: list(it["yes"]), "wanted an object or an array, got true"),
    "loop over a text": (lambda it: list(it["text"]), 'wanted an array, got "some text"'),
    "part of a number": (lambda it: "s" in it["values"]["count"], "wanted an object or an array, got 3"),
    "length of null": (lambda it: len(it["none"]), "wanted an object or an array, got null"),
    "members of null": (lambda it: {**it["none"]}, "at /none: wanted an object, got null"),
    "sum of texts": (lambda it: sum(it["values"]["log"]), "wanted a number, got"),
    "sum with null": (lambda it: 1 + it["none"], "at /none: wanted a number, got null"),
    "text and null": (lambda it: "a" + it["none"], "at /none: wanted a text, got null"),
    "text and a number": (lambda it: it["text"] + it["values"]["count"], "at /text: wanted a number"),
    "array and a text": (lambda it: [1] + it["text"], "at /text: wanted an array"),
    "smaller than null": (lambda it: it["values"]["count"] < it["none"], "at /values/count: wanted null"),
    "text smaller than 3": (lambda it: it["text"] < 3, "at /text: wanted a number"),
    "order of a mixture": (lambda it: sorted(it.values(), key=lambda each: each), "wanted"),
    "number of a text": (lambda it: float(it["text"]), "at /text: wanted a number"),
    "number of an object": (lambda it: int(it["values"]), "at /values: wanted a number"),
    "object in a set": (lambda it: {it["values"]}, "at /values: wanted a text or a number"),
    "array as a key": (lambda it: {it["empty"]: 1}, "at /empty: wanted a text or a number"),
    "place of an item": (lambda it: it["values"]["log"].index("s3"), 'at /values/log does not hold "s3"'),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_suit_an_answer_is_missing_and_says_where(case: str) -> None:
    read, said = WRONG[case]
    with pytest.raises(Missing) as raised:
        read(told(DOCUMENT, WHERE))
    assert str(raised.value).startswith(WHERE)
    assert said in str(raised.value)
    assert "object has no attribute" not in str(raised.value)


SLIPS: dict[str, Read] = {
    "a word that no answer has": lambda it: it["values"].foo,
    "a word that no text has": lambda it: it["text"].lowercase(),
    "a key that no object has": lambda it: it[None],
    "an index that no array has": lambda it: it["empty"][1.5],
    "a sum with an object of one's own": lambda it: it["values"]["count"] + object(),
    "a change of the answer": lambda it: it["values"].pop("log"),
    "another change of the answer": lambda it: it["values"]["log"].append("s3"),
    "a change of a member": lambda it: it.__setitem__("text", "y"),
}


@pytest.mark.parametrize("case", SLIPS)
def test_a_slip_of_the_judge_is_not_missing(case: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        SLIPS[case](told(DOCUMENT, WHERE))


RIGHT: dict[str, tuple[Read, Any]] = {
    "the same document": (lambda it: it, DOCUMENT),
    "a member": (lambda it: it["values"]["log"][-1], "s2"),
    "some items": (lambda it: it["values"]["log"][:1], ["s1"]),
    "all items": (lambda it: list(it["values"]["log"]), ["s1", "s2"]),
    "backwards": (lambda it: list(reversed(it["values"]["log"])), ["s2", "s1"]),
    "one's own after it": (lambda it: it["values"]["log"] + ["s3"], ["s1", "s2", "s3"]),
    "one's own before it": (lambda it: ["s0"] + it["values"]["log"], ["s0", "s1", "s2"]),
    "members": (lambda it: dict(it["values"].items()), DOCUMENT["values"]),
    "names": (lambda it: it.keys() - {"none", "yes"}, {"values", "empty", "text"}),
    "a set of texts": (lambda it: {*it["values"]["log"]}, {"s1", "s2"}),
    "more members": (lambda it: {**it["values"], "a": 1}, {**DOCUMENT["values"], "a": 1}),
    "joined members": (lambda it: (it["values"] | {"a": 1})["a"], 1),
    "arithmetic": (lambda it: it["values"]["count"] * it["values"]["share"] - 1, 6.5),
    "order": (lambda it: it["values"]["count"] > it["values"]["share"], True),
    "texts": (lambda it: "a " + it["text"] + "!", "a some text!"),
    "a part of a text": (lambda it: "me te" in it["text"], True),
    "in a text": (lambda it: f"{it['text']:>10}|{it['yes']}|{it['none']}|{it['values']['count']}",
                  " some text|True|None|3"),
    "null": (lambda it: it["none"] == None, True),  # noqa: E711 - what a judge compares with
    "null is false": (lambda it: it["none"] or it.get("colour") or 5, 5),
    "no null": (lambda it: None in [it["text"], it["yes"]], False),
    "truth": (lambda it: it["yes"] == True and it["yes"] != False, True),  # noqa: E712
    "truth is a bool": (lambda it: isinstance(it["yes"], bool), True),
    "a number is none": (lambda it: isinstance(it["values"]["count"], bool), False),
    "as Python has it": (lambda it: raw(it["none"]) is None and raw(it["yes"]) is True, True),
    "default": (lambda it: it.get("colour", "red"), "red"),
    "without": (lambda it: without(it, {"values", "none", "yes"}), {"empty": [], "text": "some text"}),
    "by pointer": (lambda it: resolve(it, "/values/log/1"), "s2"),
    "by a pointer to nothing": (lambda it: resolve(it, "/text/log/1") == None, True),  # noqa: E711
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_suits_an_answer_is_as_in_python(case: str) -> None:
    read, result = RIGHT[case]
    assert read(told(DOCUMENT, WHERE)) == result


def test_headers_and_several_know_what_they_lack() -> None:
    headers = Headers({"location": "/here"}, WHERE)
    assert headers["location"] == "/here"
    assert headers.get("content-location") is None
    with pytest.raises(Missing, match="has no header content-location"):
        headers["content-location"]
    events = Several(["a", "b"], f"events of {WHERE}")
    assert events[1:] == ["b"]
    with pytest.raises(Missing, match=r"events of exchange 4 .*: there are 2, and so no number 2"):
        events[2]
