"""The kill matrix as text: kill-matrix.json, kill-matrix.md, kill-matrix.html, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from markupsafe import Markup
from rich.console import Console

from runstone import report
from runstone.proof.prove.matrix import BROKEN, COARSE, Fault, Hit, Judged, Matrix
from runstone.report.html import page_style
from runstone.report.proof import packed_json
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal

STEM: Final = "kill-matrix"
TITLES: Final = {
    "faults": "faults caught",
    "MUST": "MUST requirements killed",
    "SHOULD": "SHOULD requirements killed",
    "MAY": "MAY requirements killed",
    "variants": "legal variants that keep every MUST",
    "null_servers": "null servers that earn no pass",
    "conversations": "faults of conversations caught",
}


class Group(msgspec.Struct, frozen=True):
    """Findings of one kind: (what, why)."""

    title: str
    lines: list[tuple[str, str]]


def write(found: Matrix, folder: Path, *, packed: bool = False) -> None:
    """Write the three files; each appears whole or not at all. `packed`: the JSON as kill-matrix.json.gz.

    Raises UnwritableReport.
    """
    report.write_texts({f"{STEM}.md": to_markdown(found), f"{STEM}.html": to_html(found)}, folder)
    if packed:
        report.pack(to_json(found), f"{STEM}.json", folder)
    else:
        report.write_texts({f"{STEM}.json": to_json(found)}, folder)


def to_json(found: Matrix) -> str:
    """The matrix as JSON on one line (contracts/schemas/kill-matrix.json); to read it, see `to_markdown`."""
    return msgspec.json.encode(found).decode() + "\n"


def to_markdown(found: Matrix) -> str:
    """Totals, what is missing, and each fault, requirement, variant and null server on a line."""
    template = environment(autoescape=False, finalize=inline).get_template(f"{STEM}.md.j2")
    return template.render(**_told(found), titles=_titles(found), besides=_besides, ids=_ids)


def to_html(found: Matrix) -> str:
    """One page that loads nothing: the matrix, by area, and a reason for each cell."""
    template = environment(autoescape=True, finalize=_shown).get_template(f"{STEM}.html.j2")
    told = {
        "areas": list(dict.fromkeys(each.area for each in found.requirements)),
        "requirements": [
            {
                "id": each.id,
                "level": each.level,
                "area": each.area,
                "statement": each.statement,
                "killed": bool(each.killed_by),
            }
            for each in found.requirements
        ],
        "faults": found.faults,
    }
    return template.render(
        **_told(found),
        **page_style(["report.css", f"{STEM}.css"], "page.js", f"{STEM}.js"),
        data=packed_json(told),
    )


def print_matrix(found: Matrix, console: Console, folder: Path) -> None:
    """What is missing, what took a second try, and the verdict."""
    for group in [*missing(found), second_tries(found)]:
        if not group.lines:
            continue
        console.print(f"[bold]{group.title}[/bold]")
        for name, text in group.lines:
            console.print(f"  {name}  {text}", markup=False, highlight=False)
    for name, title in _titles(found).items():
        share = found.totals[name]
        console.print(f"{share.good} of {share.of} {title}", highlight=False)
    verdict = "proved" if found.proved else "NOT PROVED"
    console.print(f"{verdict}; matrix in {folder / STEM}.html", markup=False, highlight=False)


def missing(found: Matrix) -> list[Group]:
    """All that keeps the proof from being one, by kind; empty where it is proved."""
    unsound = [each for each in found.baselines if not each.sound]
    lines = [(each.server, each.shortcoming) for each in unsound]
    groups = [
        Group("The unbroken server does not keep its promises", lines),
        Group("Faults not caught", [(each.name, each.shortcoming) for each in found.uncaught]),
        Group("Requirements that no fault kills", [(each.id, _survives(each)) for each in found.survivors])
        if found.complete
        else Group("", []),
        Group("Variants that lose a MUST", list(_lost(found))),
        Group("Passes of null servers", list(_vain(found))),
        Group(
            "Faults of conversations not caught",
            [(each.name, each.shortcoming) for each in found.conversations if not each.caught],
        ),
        Group("Where Runstone itself broke", [(each, "") for each in found.harness_errors]),
    ]
    return [group for group in groups if group.lines]


def remarks(found: Matrix) -> list[Group]:
    """What fails nothing and is worth a look."""
    groups = [
        second_tries(found),
        Group(
            f"Coarse faults: more than {COARSE:.0%} fell of what they do not name",
            [(each.name, f"{len(each.hits)} of {each.judged}") for each in found.faults if each.coarse],
        ),
        Group("Faults of the same effect", [(names[0], ", ".join(names[1:])) for names in found.twins]),
    ]
    return [group for group in groups if group.lines]


def second_tries(found: Matrix) -> Group:
    """What was checked once more, alone, and why: it may depend on time."""
    tried = [(f"unbroken {each.server}", each.first_try) for each in found.baselines]
    tried += [(each.name, each.first_try) for each in found.faults]
    tried += [(each.name, each.first_try) for each in found.varied_servers]
    tried += [(each.name, each.first_try) for each in found.null_servers]
    tried += [(each.name, each.first_try) for each in found.conversations]
    return Group("Second try", [(name, f"at first: {why}") for name, why in tried if why])


def _told(found: Matrix) -> dict[str, Any]:
    gaps = missing(found)
    return {
        "matrix": found,
        "headline": _headline(found),
        "grounds": [f"{group.title}: {len(group.lines)}" for group in gaps],
        "missing": gaps,
        "remarks": remarks(found),
    }


def _headline(found: Matrix) -> str:
    faults, spoken = found.totals["faults"], found.totals.get("conversations")
    told = []
    if found.requirements:
        levels = {level: found.totals[level] for level in ("MUST", "SHOULD")}
        killed = " and ".join(f"{share.good} of {share.of} {level}" for level, share in levels.items())
        told = [f"{faults.good} of {counted(faults.of, 'fault')} caught, {killed} killed"]
    if spoken is not None and spoken.of:
        told.append(f"{spoken.good} of {counted(spoken.of, 'fault')} of conversations caught")
    return "; ".join(told)


def _titles(found: Matrix) -> dict[str, str]:
    return {name: title for name, title in TITLES.items() if name in found.totals and found.totals[name].of}


def _survives(requirement: Judged) -> str:
    return f"{requirement.level}" + (f", {requirement.unjudged}" if requirement.unjudged else "")


def _lost(found: Matrix) -> Iterator[tuple[str, str]]:
    for each in found.varied_servers:
        if each.trouble:
            yield each.name, each.trouble
        for hit in each.broken:
            yield each.name, f"{hit.id} {hit.verdict}: {hit.reason}"


def _vain(found: Matrix) -> Iterator[tuple[str, str]]:
    for each in found.null_servers:
        if each.trouble:
            yield each.name, each.trouble
        passes = dict.fromkeys((*each.passes, *each.passes_unchecked))
        if passes:
            yield each.name, " ".join(passes)


def _besides(fault: Fault) -> str:
    """What the fault makes fail and does not name."""
    return " ".join(hit.id for hit in fault.hits if hit.verdict in BROKEN and hit.id not in fault.breaks)


def _ids(hits: Iterable[Hit]) -> str:
    return " ".join(hit.id for hit in hits)


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
