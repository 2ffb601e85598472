"""The event-stream reader: the same events however the bytes are cut, and nothing that was not sent."""

from __future__ import annotations

import random

import pytest

from runstone.wire.exchange import Comment, Event
from runstone.wire.sse import EventReader

LINE_ENDS = [b"\n", b"\r\n", b"\r"]
TALK = (
    b"event: metadata\ndata: {}\nid: 7-0\n\n"
    b": heartbeat\n\n"
    b'event: values\ndata: {"a":\ndata:  1}\n\n'
    b"event: updates|child\n: inside\ndata: \xc3\xa4\xe6\xbc\xa2\n\n"
    b"data\n\n"
    b"id: 8\nretry: 10\n\n"
    b"event: end\n\n"
)


def read(*chunks: bytes, close: bool = True) -> EventReader:
    reader = EventReader()
    for number, chunk in enumerate(chunks):
        reader.feed(chunk, float(number))
    if close:
        reader.close()
    return reader


def seen(reader: EventReader) -> list[tuple[str, str, str | None, int]]:
    return [(each.event, each.data, each.id, each.data_lines) for each in reader.events]


def everything(reader: EventReader) -> tuple[object, ...]:
    """All that a reader found, apart from the times."""
    return seen(reader), [(each.text, each.inside) for each in reader.comments], reader.malformed


def by_the_standard(text: str) -> list[tuple[str, str, str | None, int]]:
    """The events of a text, read by the steps of WHATWG HTML, 9.2.6, with each event's own id.

    Unlike browsers, events without data are kept if they have a name: a judge must see them.
    """
    events: list[tuple[str, str, str | None, int]] = []
    name: str | None = None
    own_id: str | None = None
    data: list[str] = []
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data or name:
                events.append((name or "", "\n".join(data), own_id, len(data)))
            name, own_id, data = None, None, []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            own_id = value
    return events


EXPECTED = [
    ("metadata", "{}", "7-0", 1),
    ("values", '{"a":\n 1}', None, 2),
    ("updates|child", "ä漢", None, 1),
    ("", "", None, 1),
    ("end", "", None, 0),
]


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_cut_gives_the_same_events(line_end: bytes, mark: bytes) -> None:
    body = mark + TALK.replace(b"\n", line_end)
    whole = read(body)
    assert seen(whole) == EXPECTED == by_the_standard(body.decode())
    assert [(each.text, each.inside) for each in whole.comments] == [("heartbeat", False), ("inside", True)]
    assert whole.malformed == []
    for cut in range(len(body) + 1):
        assert everything(read(body[:cut], body[cut:])) == everything(whole), cut
    assert everything(read(*(body[at : at + 1] for at in range(len(body))))) == everything(whole)


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_empty_chunks_change_nothing(line_end: bytes) -> None:
    body = TALK.replace(b"\n", line_end)
    chunks = [piece for at in range(len(body)) for piece in (body[at : at + 1], b"")]
    assert everything(read(*chunks)) == everything(read(body))


def test_random_streams_agree_with_the_standard() -> None:
    dice = random.Random(20261121)  # noqa: S311 - the same streams every time
    words = ["event", "data", "id", "retry", ":", ": ", " ", "x", "ä", "7", "\0", "\u2028", "\x85", "\x0b"]
    ends = ["\n", "\r\n", "\r", "\n\n", "\r\r", "\r\n\r\n"]
    for _ in range(400):
        lines = ["".join(dice.choices(words, k=dice.randrange(5))) for _ in range(dice.randrange(12))]
        text = "".join(line + dice.choice(ends) for line in lines)
        body = text.encode()
        cuts = sorted(dice.choices(range(len(body) + 1), k=dice.randrange(6)))
        chunks = [body[at:to] for at, to in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        # An id with a NUL is ignored by the standard; the reader then shows the field as an empty id.
        wanted = [(name, data, own_id or None, lines) for name, data, own_id, lines in by_the_standard(text)]
        found = [(name, data, own_id or None, lines) for name, data, own_id, lines in seen(read(*chunks))]
        assert found == wanted, text


def test_an_id_makes_no_phantom_of_later_comments() -> None:
    reader = read(b"id: 1\nevent: values\ndata: 1\n\n: hb\n\n: hb\n\n\n\ndata: 2\n\n")
    assert seen(reader) == [("values", "1", "1", 1), ("", "2", None, 1)]
    assert [each.text for each in reader.comments] == ["hb", "hb"]


def test_a_byte_order_mark_spoils_no_name_and_counts_only_at_the_start() -> None:
    assert seen(read(b"\xef\xbb\xbfevent: metadata\ndata: 1\n\n")) == [("metadata", "1", None, 1)]
    assert seen(read(b"\xef", b"\xbb", b"\xbfevent: a\ndata: 1\n\n")) == [("a", "1", None, 1)]
    later = read(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n")
    assert seen(later) == [("", "1", None, 1)]
    assert later.malformed == ["\ufeffdata: 2"]


@pytest.mark.parametrize(
    "body, inside",
    [
        (b": a\nevent: x\ndata: 1\n\n", False),
        (b"event: x\n: a\ndata: 1\n\n", True),
        (b"event: x\ndata: 1\n: a\n\n", False),
        (b"event: x\ndata: 1\n\n: a\n", False),
        (b"event: x\n: a\n", False),
    ],
)
def test_a_comment_is_inside_only_between_two_fields(body: bytes, inside: bool) -> None:
    assert read(body).comments == [Comment(text="a", at=0.0, inside=inside)]


def test_several_comments_inside_one_event() -> None:
    reader = read(b": 0\ndata: 1\n: 1\n: 2\ndata: 2\n: 3\n\n: 4\n\n")
    assert [(each.text, each.inside) for each in reader.comments] == [
        ("0", False),
        ("1", True),
        ("2", True),
        ("3", False),
        ("4", False),
    ]


def test_ids() -> None:
    reader = read(b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\nid: 2\nid: 3\ndata: d\n\nid: 4\n\n")
    assert [(each.data, each.id) for each in reader.events] == [
        ("a", "1"),
        ("b", None),
        ("c", ""),
        ("d", "3"),
    ]


def test_only_one_space_is_taken_from_a_value() -> None:
    assert seen(read(b"event:  x \ndata:y\n\n")) == [(" x ", "y", None, 1)]


def test_only_three_line_ends_end_a_line() -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    assert [each.data for each in read(f"data: {text}\n\n".encode()).events] == [text]


def test_bytes_that_are_no_utf_8_are_shown_as_replaced() -> None:
    assert [each.data for each in read(b"data: \xff\xfe\n\n").events] == ["\ufffd\ufffd"]


def test_an_event_arrives_when_its_blank_line_does() -> None:
    reader = EventReader()
    reader.feed(b"event: values\ndata: 1\n", 1.0)
    assert reader.events == []
    reader.feed(b"\n", 2.0)
    assert reader.events == [Event(event="values", data="1", at=2.0)]


@pytest.mark.parametrize(
    "body, malformed",
    [
        (b"data: 1\n", ["(unfinished event) data: 1"]),
        (b"data: 1", ["(unfinished event) data: 1"]),
        (b"event: x\ndata: 1\n: hb", ["(unfinished event) : hb"]),
        (b"data: 1\n\n", []),
        (b"data: 1\n\n: hb", []),
        (b": hb\n", []),
        (b"", []),
        (b"\r", []),
    ],
)
def test_an_unfinished_event_is_noted_and_not_dispatched(body: bytes, malformed: list[str]) -> None:
    reader = read(body)
    assert reader.malformed == malformed
    assert len(reader.events) == (1 if body.startswith(b"data: 1\n\n") else 0)


def test_malformed_lines_are_kept_as_proof_but_not_without_end() -> None:
    reader = read(b"<html>\n" * 1000 + b"events: x\n" + b"x" * 10_000 + b"\ndata: 1\n\n")
    assert seen(reader) == [("", "1", None, 1)]
    assert reader.malformed == ["<html>"] * 20
    assert [len(line) for line in read(b"x" * 10_000 + b"\n").malformed] == [200]


def test_a_reader_that_is_not_closed_reports_nothing_unfinished() -> None:
    reader = read(b"data: 1\n", close=False)
    assert (reader.events, reader.malformed) == ([], [])


def test_one_huge_line_is_joined_once() -> None:
    """Each chunk of an endless line must cost its own length, not that of all chunks before it."""
    reader = EventReader()
    for _ in range(2000):
        reader.feed(b"x" * 4096, 0.0)
    assert len(reader._pending) == 2000
    reader.feed(b"\n", 1.0)
    assert reader._pending == [b""]
    assert [len(line) for line in reader.malformed] == [200]
