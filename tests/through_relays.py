"""Check a recipe directly and through bad networks, and list the cases whose verdict is another there.

    python -m tests.through_relays embedded
    python -m tests.through_relays langgraph-py --only resets --only tls --out /tmp/relays

Exit code 1 when a network changed a verdict or took longer than it may; 130 after Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import ExitCode
from runstone.judge.suites import judge
from runstone.report import document
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.session.session import Session
from runstone.target import recipes
from runstone.target.target import Target
from runstone.verdict.model import Report
from runstone.wire.network import Network
from tests.relay import Conditions, relaying

DIRECT: Final = "direct"
_LONGEST_S: Final = 600.0
_TIMES: Final = 4.0

# Each with what a check may take through it: so many times as long as directly, or so many seconds.
NETWORKS: Final = {
    "latency": (Conditions(latency=0.3), _TIMES, 0.0),
    "resets": (Conditions(reset_every=20), _TIMES, 0.0),
    "segments": (Conditions(segment=7), _TIMES, 0.0),
    "idle": (Conditions(idle=10.0), _TIMES, 0.0),
    "tls": (Conditions(tls="certificates"), _TIMES, 0.0),
    "jitter": (Conditions(jitter=1.5), 0.0, _LONGEST_S),
    "bandwidth": (Conditions(bandwidth=1e6), 0.0, _LONGEST_S),
}

Verdicts = dict[tuple[str, str], str]


def checked(recipe: recipes.Recipe, conditions: Conditions | None, out: Path) -> Report:
    """The report of a check through such a network; None: without any."""

    @contextmanager
    def reach(target: Target) -> Iterator[Target]:
        with recipes.running(recipe) as server:
            if conditions is None:
                yield msgspec.structs.replace(target, url=server.url)
                return
            trust = Network(ca_file=f"{conditions.tls}/ca.pem") if conditions.tls else Network()
            with relaying(server.url, conditions) as relay:
                yield msgspec.structs.replace(target, url=relay.url, network=trust)
                said = f"  {relay.connections} connections, {relay.resets} reset"
                print(said, file=sys.stderr, flush=True)  # noqa: T201

    session: Session = open_session(given(target_name=recipe.name, out=out), lambda *_: None, reach=reach)
    return judge(session)


def cases(report: Report) -> Verdicts:
    """The verdict of each case."""
    return {
        (verdict.id, case.case): f"{case.verdict}: {case.reason}"
        for verdict in report.verdicts
        for case in verdict.cases
    }


def compared(direct: Report, relayed: Report) -> list[str]:
    """What is judged in another way, one line for each case."""
    before, after = cases(direct), cases(relayed)
    return [
        f"{' '.join(key).strip()}: {before.get(key, 'nothing')[:100]} -> {after.get(key, 'nothing')[:300]}"
        for key in sorted({*before, *after})
        if before.get(key, "").partition(":")[0] != after.get(key, "").partition(":")[0]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--only", action="append", choices=["none", *NETWORKS], default=[])
    parser.add_argument("--out", type=Path, default=Path("reports/out/relays"))
    parser.add_argument("--direct", type=Path, help="the report.json of a direct check that was made before")
    given = parser.parse_args()
    recipe = recipes.load(given.recipe)
    if given.direct is None:
        direct = checked(recipe, None, given.out / DIRECT)
    else:
        direct = document.from_json(given.direct.read_bytes())
    print(f"{DIRECT}: {direct.duration_s:.0f} s")  # noqa: T201
    spoilt = False
    for name, (conditions, times, longest_s) in NETWORKS.items():
        if given.only and name not in given.only:
            continue
        if conditions.tls:
            conditions = dataclasses.replace(conditions, tls=str(given.out / "certificates"))
        relayed = checked(recipe, conditions, given.out / name)
        took = relayed.duration_s
        most = longest_s or times * direct.duration_s
        different = compared(direct, relayed)
        spoilt = spoilt or bool(different) or took > most
        print(f"{name}: {took:.0f} s of {most:.0f} s, {len(different)} cases differ", flush=True)  # noqa: T201
        for line in different:
            print(f"  {line}")  # noqa: T201
        (given.out / name / "different.json").write_text(json.dumps(different, indent=1), "utf-8")
    return int(spoilt)


if __name__ == "__main__":
    # SIGTERM ends it as Ctrl-C does: asyncio ends its tasks in good order at this one alone.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it otherwise
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
