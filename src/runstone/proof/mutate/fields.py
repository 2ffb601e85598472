"""Changes of JSON: of the members and items of a body, or of the data of an event."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from runstone.contracts import lifecycle
from runstone.proof.mutate.change import Change, Step, document_of, pointer, said, saying, streaming, written
from runstone.proof.mutate.messages import OTHER_ID
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

Place = tuple[tuple[Step, ...], Any]
Edit = Callable[[Any, Step], None]  # of the container that holds the place, and its last step
_DEEPEST: Final = 12  # a document nested deeper was sent by a scenario that only asks whether it comes back
_MOST: Final = 4_000  # places of one document
# Of an object, those that a member is swapped with. No object of the API has more members; one that a client
# filled with a thousand has half a million pairs.
_NEIGHBOURS: Final = 32


def delete_field(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """An object without one of its members."""

    def delete(holder: Any, step: Step) -> None:
        del holder[step]

    for document in _documents(exchange):
        for steps, value in document.members():
            yield document.change(steps, value, None, delete)


def null_field(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A member that is null."""
    for document in _documents(exchange):
        for steps, value in document.members():
            if value is not None:
                yield document.change(steps, value, None, _putting(None))


def retype_field(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A member of another type."""
    for document in _documents(exchange):
        for steps, value in document.members():
            other = _of_another_type(value)
            yield document.change(steps, value, other, _putting(other))


def swap_fields(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """Two members of one object that are of one type, each with the value of the other."""
    for document in _documents(exchange):
        for steps, value in document.members():
            holder = document.at(steps[:-1])
            names = list(holder)
            after = names.index(steps[-1]) + 1
            for other in names[after : after + _NEIGHBOURS]:
                theirs = holder[other]
                if type(theirs) is type(value) and theirs != value:

                    def swap(holder: Any, step: Step, other: Step = other) -> None:
                        holder[step], holder[other] = holder[other], holder[step]

                    yield document.change(steps, value, theirs, swap, also=str(other))


def change_value(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A value that is another one of its type."""
    for document in _documents(exchange):
        for steps, value in document.places:
            other = _another(value)
            if steps and other is not None and not _is_status(steps, value):
                yield document.change(steps, value, other, _putting(other))


def change_status(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A run or a thread in another status."""
    for document in _documents(exchange):
        for steps, value in document.places:
            if _is_status(steps, value):
                runs, threads = lifecycle().runs.statuses, lifecycle().threads.statuses
                holder = document.at(steps[:-1])
                statuses = runs if "run_id" in holder or value not in threads else threads
                for other in sorted(statuses - {value}):
                    yield document.change(steps, value, other, _putting(other))


def drop_item(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A list without one of its items."""

    def drop(holder: Any, step: Step) -> None:
        del holder[step]

    for document in _documents(exchange):
        for steps, value in document.items():
            yield document.change(steps, value, None, drop)


def repeat_item(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A list in which an item comes twice in a row."""

    def repeat(holder: Any, step: Step) -> None:
        holder.insert(step, copy.deepcopy(holder[step]))

    for document in _documents(exchange):
        for steps, value in document.items():
            yield document.change(steps, value, "twice", repeat)


def swap_items(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A list in which two neighbours stand in the other order."""

    def swap(holder: Any, step: Any) -> None:
        holder[step], holder[step + 1] = holder[step + 1], holder[step]

    for document in _documents(exchange):
        for steps, value in document.items():
            holder, index = document.at(steps[:-1]), int(steps[-1])
            if index + 1 < len(holder) and holder[index + 1] != value:
                yield document.change(steps, value, holder[index + 1], swap)


class _Document:
    """A JSON document of an exchange, and how the exchange looks with another in its place."""

    def __init__(self, text: str, where: str, event: int | None, put: Callable[[str], Exchange]) -> None:
        self._root = document_of(text)
        self._text = text
        self._where = where
        self._event = event
        self._put = put
        self.places = _places(self._root)

    def members(self) -> Iterator[Place]:
        """The members of objects."""
        return (place for place in self.places if place[0] and isinstance(place[0][-1], str))

    def items(self) -> Iterator[Place]:
        """The items of lists."""
        return (place for place in self.places if place[0] and isinstance(place[0][-1], int))

    def at(self, steps: tuple[Step, ...]) -> Any:
        """What is at a place."""
        return _at(self._root, steps)

    def change(self, steps: tuple[Step, ...], before: Any, after: Any, edit: Edit, also: str = "") -> Change:
        """The change that this edit makes at a place; `also`: the other member that it changes."""

        def make() -> tuple[Exchange, ...]:
            document = document_of(self._text)
            edit(_at(document, steps[:-1]), steps[-1])
            return (self._put(written(document)),)

        where = f"{self._where}{pointer(steps)}" + (f" and {also}" if also else "")
        return Change(where, before, after, make, event=self._event, steps=steps)


_KEPT: Final = 128
_kept: dict[int, tuple[Exchange, list[_Document]]] = {}  # by identity: to hash an exchange is to read it all


def _documents(exchange: Exchange) -> list[_Document]:
    """The body, or the data of each event; kept, as ten operators ask for them one after the other."""
    found = _kept.get(id(exchange))
    if found is None or found[0] is not exchange:
        while len(_kept) >= _KEPT:
            del _kept[next(iter(_kept))]
        found = _kept[id(exchange)] = (exchange, list(_decoded(exchange)))
    return found[1]


def _decoded(exchange: Exchange) -> Iterator[_Document]:
    if not exchange.events:
        yield _Document(said(exchange), "body", None, lambda text: saying(exchange, text))
    for number, event in enumerate(exchange.events):

        def put(text: str, number: int = number) -> Exchange:
            events = list(exchange.events)
            events[number] = msgspec.structs.replace(events[number], data=text)
            return streaming(exchange, events)

        yield _Document(event.data, f"event {number + 1}/data", number, put)


def _places(root: Any) -> list[Place]:
    """Every place of the document, outer ones first; the root itself has no steps."""
    found: list[Place] = [((), root)]
    for steps, value in found:  # grows while it is read
        if len(steps) >= _DEEPEST or len(found) > _MOST:
            continue
        if isinstance(value, dict):
            found += [((*steps, name), member) for name, member in value.items()]
        elif isinstance(value, list):
            found += [((*steps, index), item) for index, item in enumerate(value)]
    return found


def _at(root: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        root = root[step]
    return root


def _putting(value: Any) -> Edit:
    def put(holder: Any, step: Step) -> None:
        holder[step] = value

    return put


def _of_another_type(value: Any) -> Any:
    match value:
        case bool() | int() | float() | list():
            return "text"
        case str() | dict():
            return 7
        case _:
            return [7]


def _another(value: Any) -> Any:
    """Another value of the same type; None where there is none."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str() if UUID.fullmatch(value):
            return OTHER_ID
        case str():
            return _another_time(value) or f"{value}x"
        case _:
            return None


def _another_time(text: str) -> str | None:
    """A time one day later, where the text is a time."""
    if len(text) < 19 or text[10:11] != "T":
        return None
    try:
        return (dt.datetime.fromisoformat(text) + dt.timedelta(days=1)).isoformat()
    except ValueError:
        return None


def _is_status(steps: tuple[Step, ...], value: Any) -> bool:
    known = lifecycle()
    return (
        steps[-1:] == ("status",)
        and isinstance(value, str)
        and value in known.runs.statuses | known.threads.statuses
    )
