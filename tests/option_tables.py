"""The tables of docs/configuration.md, from that of options; `python -m tests.option_tables` renews them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

from msgspec import inspect

from runstone.locations import CHECKOUT
from runstone.session.option import Command
from runstone.session.sources import TABLE, Entry

PAGE: Final = CHECKOUT / "docs" / "configuration.md"


def of_options() -> str:
    """What a command line can set."""
    shown = [each for each in TABLE.values() if each.option.flag]
    return _table(
        ("option", "runstone.toml", "variable", "meaning", "taken by"),
        (
            (_option(each), _key(each), _code(each.option.envvar), each.help, _commands(each))
            for each in shown
        ),
    )


def of_keys() -> str:
    """What only runstone.toml can set."""
    shown = [each for each in TABLE.values() if each.option.key and not each.option.flag]
    return _table(("key", "meaning"), ((_key(each), each.help) for each in shown))


def of_targets() -> str:
    """Which keys hold for which targets."""
    keys: dict[str, list[str]] = {}
    for each in (each for each in TABLE.values() if each.option.key):
        keys.setdefault(each.option.holds_for, []).append(_code(each.option.key))
    return _table(("hold for", "keys"), ((holds_for, ", ".join(names)) for holds_for, names in keys.items()))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "options": of_options,
    "keys": of_keys,
    "targets": of_targets,
}


def renewed(page: str) -> str:
    """The page with each table between its two marks written anew; ValueError where the marks are missing."""
    for name, table in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not begin or not end:
            raise ValueError(f"{PAGE} lacks a mark of its table of {name}")
        page = f"{before}{begin}{table()}\n{end}{after}"
    return page


def _option(entry: Entry) -> str:
    """The option as each command has it."""
    option = entry.option
    flag = (
        option.flag if entry.is_flag else f"{option.flag} {entry.metavar.replace('|', '/')}"
    )  # a bar ends a cell
    flags = _code(flag) + (f", {_code(entry.negative_flag)}" if entry.negative_flag else "")
    elsewhere = ", ".join(each for each in option.commands if each in {"pytest", "scenarios"})
    return flags if option.argument is None else f"{_code(entry.parameter.upper())}; {elsewhere}: {flags}"


def _commands(entry: Entry) -> str:
    return ", ".join(name for name in get_args(Command) if name in entry.option.commands)


def _key(entry: Entry) -> str:
    """The key as it stands in the file, with the head of its table."""
    table, _, key = entry.option.key.rpartition(".")
    holds_more = isinstance(entry.kind, inspect.DictType | inspect.StructType)
    if not table:
        return _code(f"[{key}]" if holds_more else key)
    return _code(f"[{table}] {key}")


def _code(words: str) -> str:
    return f"`{words}`" if words else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(each) for each in (head, ("---",) * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
