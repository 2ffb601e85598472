"""Scenarios played on a desk, in this process: judged while they are played, and again from the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from runstone.conversations.assertions import OwnCheck
from runstone.conversations.events import Listener, nobody
from runstone.conversations.playing import Talker
from runstone.conversations.reading import read
from runstone.conversations.running import Batch, judged_again, run
from runstone.proof.conversations.desk import Desk, serving_desk
from runstone.proof.conversations.fault import Spoil
from runstone.scenario.progress import Told
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.verdict.scenarios import ScenariosReport

AT_ONCE = 4


def played(
    folder: Path,
    scenarios: Iterable[Mapping[str, Any]],
    desk: Desk,
    *,
    spoil: Spoil | None = None,
    talker: Talker | None = None,
    own: Callable[[str], OwnCheck] | None = None,
    tell: Listener = nobody,
    show: Callable[[Told], None] = lambda _: None,
) -> tuple[ScenariosReport, ScenariosReport]:
    """The report on scenarios that are played on a desk, and the one that judging their evidence makes.

    Scenarios, reports and evidence are in `folder`.
    """
    files = folder / "scenarios"
    files.mkdir(parents=True, exist_ok=True)
    for each in scenarios:
        (files / f"{each['scenario']}.yaml").write_bytes(msgspec.yaml.encode(each))
    out = folder / "out"
    with serving_desk(desk, spoil) as url:
        session = open_session(given(target_name=url, out=out, concurrency=AT_ONCE), show)
        report = run(session, Batch(cases=read([files]), talker=talker, own=own, tell=tell))
    return report, judged_again(open_session(given(evidence=out / "evidence"), lambda *_: None), own)
