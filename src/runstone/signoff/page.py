"""An acceptance for people: acceptance.md, and the lines that a signer and a reviewer see."""

from __future__ import annotations

import datetime as dt
from typing import Final

from runstone.report.digest import OUTCOME_WORDS
from runstone.report.summary import fence, inline
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal
from runstone.signoff.lines import NAME as FILE
from runstone.signoff.statement import MANIFEST, SERVER, WARNED, Acceptance, LoadMade, Statement, Supersedes
from runstone.verdict.model import Outcome

NAME: Final = "acceptance.md"


def to_markdown(statement: Statement[Acceptance]) -> str:
    """What is accepted, of which server, by whom and until when, and every reservation with its reason."""
    signed = statement.predicate
    template = environment(autoescape=False, finalize=inline).get_template("acceptance.md.j2")
    return template.render(
        signed=signed,
        file=FILE,
        at=at,
        reservations=reservations(signed),
        server_digest=statement.digests_of(SERVER),
        manifest=statement.digests_of(MANIFEST)["sha256"],
        words={outcome: word for outcome, word in OUTCOME_WORDS.items() if outcome in _shown(signed)},
        excluded=_excluded(signed),
        changes={} if signed.supersedes is None else changes(signed.supersedes),
        planned=planned,
        kind_of=kind_of,
        untested=untested,
        command=fence(f"runstone verify {FILE} --evidence DIR --signers FILE"),
    )


def reservations(signed: Acceptance) -> str:
    """`2 waived, 1 not run`: what keeps it from PASSED; '' for nothing."""
    counts = {outcome: len(signed.having(outcome)) for outcome in WARNED}
    return ", ".join(f"{count} {OUTCOME_WORDS[outcome]}" for outcome, count in counts.items() if count)


def changes(since: Supersedes) -> dict[str, list[str]]:
    """What has changed since the acceptance before, by the heading under which it is told."""
    return {
        "kept before, and not now": [f"{each.id} ({OUTCOME_WORDS[each.now]})" for each in since.regressions],
        "newly waived": list(since.new_waivers),
        "new in the contract": list(since.new),
        "gone from the contract": list(since.gone),
        "reworded": list(since.reworded),
    }


def headline(signed: Acceptance) -> str:
    """`embedded, profile langgraph: PASSED, 409 of 409 requirements kept`; of a load it says so first."""
    applicable = len(signed.requirements) - len(signed.having("not-applicable"))
    kept = f"{len(signed.having('pass'))} of {counted(applicable, 'requirement')} kept"
    what = "" if signed.load is None else f"a {kind_of(signed.load)} on "
    return f"{what}{signed.server.name}, profile {signed.profile}: {signed.result}, {kept}"


def kind_of(load: LoadMade) -> str:
    """`load`, or `soak`."""
    return "soak" if load.soak else "load"


def planned(load: LoadMade) -> str:
    """`50 users, 20 starts/s for 600 s by 2 workers, wait=3 stream=1`."""
    mix = " ".join(f"{kind}={weight}" for kind, weight in load.mix.items() if weight)
    return (
        f"{counted(load.users, 'user')}, {load.rate:g} starts/s for {load.seconds:g} s "
        f"by {counted(load.workers, 'worker')}, {mix}"
    )


def untested(load: LoadMade) -> str:
    """`LOAD-103 of 4`: what is kept where it could be looked at, and where it could not; '' for all."""
    return ", ".join(f"{name} of {number:,}" for name, number in load.untested.items())


def to_text(statement: Statement[Acceptance]) -> str:
    """What will be signed, in some lines for a terminal."""
    signed = statement.predicate
    digests = [f"{algorithm}:{digest}" for algorithm, digest in statement.digests_of(SERVER).items()]
    rows = {
        "accepts": headline(signed),
        "with": reservations(signed),
        **({} if signed.load is None else _of_load(signed.load)),
        "server": f"{signed.server.version} at {signed.server.url}; {', '.join(digests) or 'self-reported'}",
        "observed": f"{at(signed.observation.started_at)}, {signed.observation.traces} traces",
        "played": f"{len(signed.scenarios)} scenarios, all passed" if signed.scenarios else "",
        "evidence": f"manifest {statement.digests_of(MANIFEST)['sha256']}",
        "contract": f"revision {signed.measure.basis.revision}, Runstone {signed.measure.runstone}",
        "policy": "" if signed.policy is None else f"{signed.policy.name}, {signed.policy.sha256}",
        "by": signed.by,
        "valid": "without an end" if signed.valid_until is None else f"until {at(signed.valid_until)}",
    }
    lines = [f"{name:<9}{text}" for name, text in rows.items() if text]
    lines += [
        f"  waived  {each.requirement}: {each.reason} ({each.owner}, until {each.expires})"
        for each in signed.waivers
    ]
    lines += [f"  not run {name}: {reason}" for name, reason in signed.unjudged.items()]
    since = {} if signed.supersedes is None else changes(signed.supersedes)
    lines += [f"  {name}: {', '.join(ids)}" for name, ids in since.items() if ids]
    return for_terminal("\n".join(lines))


def _of_load(load: LoadMade) -> dict[str, str]:
    made = f"{load.achieved:g} of {load.offered:g} starts/s, {load.runs:,} runs"
    return {
        kind_of(load): planned(load),
        "made": made,
        "judged": f"from {load.judged_from}",
        "untested": untested(load),
    }


def _shown(signed: Acceptance) -> set[Outcome]:
    """The verdicts that occur at some level, beside kept."""
    return {outcome for counts in signed.counts.values() for outcome in counts if outcome != "pass"}


def _excluded(signed: Acceptance) -> dict[str, list[str]]:
    """Reason → what does not apply for it."""
    found: dict[str, list[str]] = {}
    for each in signed.having("not-applicable"):
        found.setdefault(each.reason, []).append(each.id)
    return found


def at(moment: dt.datetime) -> str:
    """`2026-11-28 16:30 UTC`."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
