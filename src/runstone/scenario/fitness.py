"""What the self-check found of a target: whether it answers, whether it is fit, and what it has."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from runstone.contracts import load_capabilities
from runstone.contracts.documented import documented_routes
from runstone.errors import TargetError
from runstone.scenario.known_results import AGENT, INPUTS, ended_well, shows
from runstone.scenario.slots import AHEAD
from runstone.scenario.trials import shown_by_trials
from runstone.target.target import Target
from runstone.wire.causes import PROXY, PUT_OFF, fix
from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.trace import Trace

_ASKED_FOR_BY_A_PROXY: Final = 407
START_MARK: Final = "start mark"
_NAMED: Final = 5  # of them that a message names
_NEAR_S: Final = 0.05  # what takes longer for its fastest answer is far away, or behind a bad line
_LOADED_S: Final = 0.025  # a near target answers in so long while as many scenarios as usual go on
_MOST_TIMES: Final = 16.0
_SLOW_TURN_S: Final = 0.3  # the official servers take 0.6 s and more for a turn, the reference runtime 0.03 s
_CLOCK_OFF_S: Final = 60.0  # clocks of machines that nobody sets differ by seconds


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the self-check found, in seconds. `turn_s`: the fastest turn seen to work.

    `answer_s`: the slowest answer to a request that waits for no run, `latency_s`: the fastest.
    """

    answers: bool
    fit: bool
    reason: str
    server: str
    probed: dict[str, bool]
    turn_s: float
    answer_s: float = 0.0
    latency_s: float = 0.0
    agent: str = ""  # the assistant that stands in for the conformance graphs
    answered_path: str = "/ok"  # of a GET that was answered, by whatever
    start_mark: str = ""  # what tells this start of the server from any other one, where it shows that
    plain: bool = False  # whether runs are accepted only with nothing but assistant and input
    served: tuple[str, ...] = ()  # the server's own assistants, where what should run cannot be seen to
    info: frozenset[str] = frozenset()  # the members of GET /info

    @property
    def times_at_once(self) -> float:
        """How many times as many scenarios as usual may go on at once: what travels loads nobody."""
        return min(max(1.0, self.travels_s / _LOADED_S), _MOST_TIMES)

    def travelling(self, capacity: int) -> int:
        """How many of the runs that hold slots are on their way, where so many are executed at a time."""
        own_s = max(self.turn_s - self.travels_s, _LOADED_S)
        times = min(self.travels_s / own_s, _MOST_TIMES)
        return round(times * min(capacity, AHEAD))

    @property
    def travels_s(self) -> float:
        """How long a request and its answer are on their way, in seconds; 0 to what is near."""
        return self.latency_s if self.latency_s > _NEAR_S else 0.0

    @property
    def slow(self) -> bool:
        """Whether its turns take long, the way there and back aside."""
        return self.turn_s - self.travels_s >= _SLOW_TURN_S

    def insist(self, target: Target) -> None:
        """Raise TargetError when nothing answers, Unfit when nothing that runs here can be seen to work."""
        if not self.answers:
            raise TargetError(f"{target.url} does not answer ({self.reason}); {fix(self.reason, target.url)}")
        if not self.fit and self.agent:
            raise Unfit(
                f"{target.url} cannot be judged on the agent {self.agent} ({self.reason}); {self._offer}"
                "with --input (agent.success.input) its run must end in success and leave values"
            )
        if not self.fit:
            raise Unfit(
                f"{target.url} serves no fit conformance graphs ({self.reason}); {self._offer}"
                "serve those that `runstone graphs export DIR` writes, or check one of its own assistants, "
                f"`runstone check {target.url} --agent {self._example} --input JSON`, which `runstone init "
                f"{target.url}` writes down; --no-graphs judges what needs no run"
            )

    @property
    def _offer(self) -> str:
        """What the server serves, as far as it says."""
        more = f" and {len(self.served) - _NAMED} more" if len(self.served) > _NAMED else ""
        return f"it serves {', '.join(self.served[:_NAMED])}{more}; " if self.served else ""

    @property
    def _example(self) -> str:
        return self.served[0] if self.served else "ID"


class Unfit(TargetError):  # noqa: N818 - named as what it reports
    """The target answers, but what would have to run there cannot be seen to work."""


def assess(trace: Trace, target: Target | None = None) -> Fitness:
    """Judge the self-check's trace; `target`: what it is of, where an agent or nothing at all was to run."""
    agent = None if target is None else target.agent
    first = trace.exchanges[0] if trace.exchanges else None
    silence = _silence(first)
    answers = silence is None
    graphs = tuple(INPUTS) if agent is None else (AGENT,)
    if target is not None and target.without_runs:
        graphs = ()
    flaws = [flaw for graph in graphs if (flaw := _flaw(trace, graph))] if answers else []
    found = "; ".join(flaws).removeprefix(f"{AGENT}: ")
    reason = found if silence is None else silence
    prompt = [exchange.finished_after for exchange in trace.exchanges if _is_prompt(exchange)]
    working = [exchange.finished_after for exchange in trace.find("result") if _works(trace, exchange)]
    return Fitness(
        answers=answers,
        fit=answers and not flaws,
        reason=reason,
        server=_server(trace),
        probed=_probed(trace),
        turn_s=min(working, default=1.0),
        answer_s=max(prompt, default=0.0),
        latency_s=min(prompt, default=0.0),
        agent="" if agent is None else agent.assistant,
        answered_path=_answered_path(trace),
        start_mark=_start_mark(trace),
        plain=bool(trace.notes.get("plain")),
        served=_served(trace),
        info=frozenset(_info(trace)),
    )


def _served(trace: Trace) -> tuple[str, ...]:
    """The graphs of the assistants that the server lists, each once."""
    try:
        listed = raw(trace.only("served").array)
    except Missing:
        return ()
    names = [each.get("graph_id") or each.get("assistant_id") for each in listed if isinstance(each, dict)]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def clock_off(trace: Trace, elapsed_s: float) -> str | None:
    """What tells that the target's clock is wrong, by the time that its last answer names; None if it is not.

    `elapsed_s`: how long ago the session began whose self-check the trace is.
    """
    began = time.time() - elapsed_s
    for exchange in reversed(trace.exchanges):
        try:
            said = parsedate_to_datetime(dict(exchange.response_headers).get("date", "")).timestamp()
        except ValueError:
            continue
        off_s = said - (began + exchange.sent_at)
        if abs(off_s) < _CLOCK_OFF_S:
            return None
        ahead = "ahead of" if off_s > 0 else "behind"
        apart = dt.timedelta(seconds=round(abs(off_s)))
        return f"its clock is {apart} {ahead} this machine's, as {exchange.where} tells"
    return None


def _answered_path(trace: Trace) -> str:
    """The path of the first GET that was answered with a 2xx, else of the first that was answered at all."""
    paths = {"ok": "/ok", "info": "/info"} | {f"probe {name}": path for name, path in probe_paths().items()}
    asked = [each for each in trace.exchanges if each.label in paths and each.code is not None]
    good = [each for each in asked if each.code is not None and each.code < 300]
    return next((paths[each.label] for each in (*good, *asked)), "/ok")


def _silence(first: Exchange | None) -> str | None:
    """Why the target cannot be said to answer; None when it does."""
    if first is None or not first.answered:
        return (first.failure if first is not None else None) or "no answer"
    if first.code == _ASKED_FOR_BY_A_PROXY:
        return f"{PROXY} refused: it wants credentials, as http://NAME:PASSWORD@HOST:PORT"
    if first.refused and not 200 <= first.status < 300:
        return f"{PUT_OFF}: {first.code}, Retry-After: {excerpt(first.refused[-1].retry_after, 40)}"
    return None


def _is_prompt(exchange: Exchange) -> bool:
    """Whether it was answered, by nobody who waits for a run."""
    return exchange.complete and exchange.label != "result"


def _works(trace: Trace, result: Exchange) -> bool:
    """Whether this result is known to be of a turn that worked, so that its time is one."""
    graph = result.part.partition(".")[0]
    if graph == AGENT:
        return ended_well([each for each in trace.exchanges if each.part == result.part])
    return shows(result, graph)


def _flaw(trace: Trace, graph: str) -> str | None:
    """Why no path shows this graph's known result; None if one does."""
    tried = [exchange for exchange in trace.exchanges if exchange.part.startswith(f"{graph}.")]
    parts = {exchange.part for exchange in tried}
    if graph == AGENT and any(ended_well([each for each in tried if each.part == part]) for part in parts):
        return None
    if graph != AGENT and any(shows(exchange, graph) for exchange in tried):
        return None
    blocked = [reason for part, reason in trace.blocked.items() if part.startswith(f"{graph}.")]
    if blocked:
        return f"{graph}: {blocked[0]}"
    results = [exchange for exchange in tried if exchange.label == "result"]
    if not results:
        return f"{graph}: never run"
    shown = results[0]
    return f"{graph}: {shown.where} answered {shown.code or shown.failure}: {excerpt(shown.content, 80)}"


def _info(trace: Trace) -> dict[str, Any]:
    try:
        return dict(raw(trace.only("info").object))
    except Missing:
        return {}


def _server(trace: Trace) -> str:
    """Name and version as GET /info tells them; servers name themselves under different keys."""
    info = _info(trace)
    name = next((info[key] for key in ("name", "server") if isinstance(info.get(key), str)), "")
    versions = [
        f"{key.removesuffix('_version').removesuffix('version')} {info[key]}".strip()
        for key in ("version", "langgraph_py_version", "langgraph_js_version")
        if isinstance(info.get(key), str)
    ]
    return " ".join([name, ", ".join(versions)]).strip() or "unknown"


def _start_mark(trace: Trace) -> str:
    """The time of the first assistant that the server made by itself."""
    try:
        made = raw(trace.only(START_MARK).ok.array)
    except Missing:
        return ""
    times = [each.get("created_at") for each in made if isinstance(each, dict)]
    return min((each for each in times if isinstance(each, str)), default="")


def _probed(trace: Trace) -> dict[str, bool]:
    """Which capabilities the target shows: by a flag, a path that answers 200, its document or a trial."""
    flags = _info(trace).get("flags")
    found: dict[str, bool] = {}
    routes, tried = _documented(trace), shown_by_trials(trace)
    for name, capability in load_capabilities().items():
        probe = capability.probe
        if probe is not None and probe.flag is not None and isinstance(flags, dict):
            found[name] = flags.get(probe.flag) is True
        elif probe is not None and probe.path is not None:
            found[name] = any(exchange.code == 200 for exchange in trace.find(f"probe {name}"))
        if name in tried or (probe is not None and probe.route is not None and routes):
            listed = probe is not None and probe.route in routes
            found[name] = found.get(name, False) or tried.get(name, False) or listed
    return found


def _documented(trace: Trace) -> frozenset[str]:
    """The routes that the server's own OpenAPI document lists; none where it has none that can be read."""
    try:
        return documented_routes(raw(trace.only("probe openapi").object))
    except Missing:
        return frozenset()


def probe_paths() -> dict[str, str]:
    """Capability → the path that shows it."""
    return {
        name: capability.probe.path
        for name, capability in load_capabilities().items()
        if capability.probe is not None and capability.probe.path is not None
    }
