"""The state machine that makes up sequences: Hypothesis chooses and shrinks, the model judges."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import hypothesis
from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from runstone.contracts import Profile
from runstone.explore.bridge import Bridge, settings
from runstone.explore.model import Finding, Model
from runstone.explore.threads import ThreadModel
from runstone.scenario.api import Api
from runstone.scenario.requests import Blocked, ask, new_id

THREADS = 3  # of one sequence
STEPS = 14  # of one sequence, before it is shrunk
_SEQUENCES = 100_000  # more than any budget lasts for

_which = strategies.integers(0, 5)
_word = strategies.sampled_from(["red", "green", "blue"])
_entry_point = strategies.sampled_from(["wait", "stream", "background"])
_graph = strategies.sampled_from(["steps", "echo", "interrupt", "fail"])
_Ready = Callable[[Any], bool]


class StoryBroken(AssertionError):  # noqa: N818 - a finding
    """A sequence ended in a broken promise; Hypothesis looks for a shorter one that does so too."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.requirement}: {finding.reason}")
        self.finding = finding


async def tell(api: Api) -> None:
    """Make up sequences for as long as `api.exploration` allows, or until a broken one is short."""
    may = api.exploration
    api.note(settle_s=api.limits.settle_s, seed=may.seed, seconds=may.seconds)
    bridge = Bridge(lambda: api.clock, may.seconds)
    sequences = Sequences(api, bridge, may.profile)
    await bridge.run(lambda: sequences.tell(may.seed))


class Sequences:
    """All sequences of one exploration: each is a part of the scenario's trace."""

    def __init__(self, api: Api, bridge: Bridge, profile: Profile) -> None:
        self.api = api
        self.bridge = bridge
        self.profile = profile
        self.told = 0

    def next(self) -> Api:
        """The operations of one more sequence."""
        self.told += 1
        return self.api.within(f"sequence-{self.told}")

    def tell(self, seed: int) -> None:
        """Make up sequences until a broken one is as short as it gets; raises Over before that."""
        machine = hypothesis.seed(seed)(type("Sequence", (_Machine,), {"sequences": self}))
        try:
            run_state_machine_as_test(machine, settings=settings(_SEQUENCES, stateful_step_count=STEPS))
        except (StoryBroken, hypothesis.errors.Flaky):
            return  # what was seen is recorded, and the judge decides on that


def _rest(self: _Machine) -> list[ThreadModel]:
    """The threads on which a run may be started."""
    return [each for each in self.model.threads if not each.deleted and not each.pending]


def _living(self: _Machine) -> list[ThreadModel]:
    return [each for each in self.model.threads if not each.deleted]


def _paused(self: _Machine) -> list[ThreadModel]:
    return [each for each in _living(self) if each.pending]


def _of_steps(self: _Machine) -> list[ThreadModel]:
    return [each for each in _rest(self) if each.graph == "steps" and each.values is not None]


def _forkable(self: _Machine) -> list[ThreadModel]:
    return [each for each in _of_steps(self) if _complete(each)]


def _with_runs(self: _Machine) -> list[ThreadModel]:
    return [each for each in _living(self) if each.runs]


def _slow(self: _Machine) -> list[ThreadModel]:
    return [each for each in _rest(self) if each.graph in ("", "slow")]


def _any(choose: Callable[[_Machine], list[ThreadModel]]) -> _Ready:
    return lambda self: bool(choose(self))


class _Machine(RuleBasedStateMachine):
    """One sequence. A rule sends a request or two; the model judges each answer at once."""

    sequences: Sequences

    def __init__(self) -> None:
        super().__init__()
        self.api = self.sequences.next()
        self.model = Model(self.sequences.profile, self.api.limits.settle_s)
        self.tag = new_id()
        self._seen = len(self.api.exchanges)

    def _do(self, request: Coroutine[Any, Any, Any]) -> None:
        """Send, and let the model see what was exchanged. Raises StoryBroken."""
        try:
            self.sequences.bridge.do(request)
        except Blocked:
            pass  # no id came back: the model says so of the exchange
        finally:
            new, self._seen = self.api.exchanges[self._seen :], len(self.api.exchanges)
        for exchange in new:
            finding = self.model.see(exchange)
            if finding is not None:
                raise StoryBroken(finding)

    @precondition(lambda self: len(self.model.threads) < THREADS)
    @rule()
    def create_thread(self) -> None:
        self._do(self.api.create_thread(metadata={"sequence": self.tag}))

    @precondition(_any(_rest))
    @rule(which=_which, graph=_graph, word=_word, entry_point=_entry_point)
    def run(self, which: int, graph: str, word: str, entry_point: str) -> None:
        thread = _one(_rest(self), which)
        chosen = thread.graph or graph
        self._turn(thread, chosen, entry_point, input=_input(chosen, word, 0))

    @precondition(_any(_paused))
    @rule(which=_which, word=_word, entry_point=_entry_point)
    def resume(self, which: int, word: str, entry_point: str) -> None:
        thread = _one(_paused(self), which)
        self._turn(thread, thread.graph, entry_point, command={"resume": word})

    @precondition(_any(_forkable))
    @rule(which=_which, entry=_which, word=_word, entry_point=_entry_point)
    def fork(self, which: int, entry: int, word: str, entry_point: str) -> None:
        thread = _one(_forkable(self), which)
        earlier = _complete(thread)
        checkpoint = earlier[entry % len(earlier)]
        self._turn(thread, "steps", entry_point, input=_input("steps", word, 0), checkpoint_id=checkpoint)

    @precondition(_any(_slow))
    @rule(which=_which)
    def run_and_cancel(self, which: int) -> None:
        thread = _one(_slow(self), which)
        # Longer than a status may lag behind: a cancel that does nothing is told from one that does.
        lasting = _input("slow", "red", self.api.limits.settle_s * 2)
        self._do(self.api.send_run(thread.thread_id, "slow", lasting))
        if (run := thread.active) is not None:
            self._do(self.api.cancel(thread.thread_id, run, wait=True))
            self._do(self.api.poll_run(thread.thread_id, run))

    @precondition(_any(_of_steps))
    @rule(which=_which, word=_word)
    def update_state(self, which: int, word: str) -> None:
        thread = _one(_of_steps(self), which)
        values = {"note": f"changed to {word}", "log": [word]}
        self._do(self.api.update_state(thread.thread_id, values=values, as_node="s3"))

    @precondition(lambda self: bool(self.model.threads))
    @rule(which=_which)
    def read_state(self, which: int) -> None:
        self._do(self.api.state(_one(self.model.threads, which).thread_id))

    @precondition(lambda self: bool(self.model.threads))
    @rule(which=_which)
    def read_history(self, which: int) -> None:
        self._do(self.api.history(_one(self.model.threads, which).thread_id))

    @precondition(lambda self: bool(self.model.threads))
    @rule(which=_which)
    def read_thread(self, which: int) -> None:
        thread = _one(self.model.threads, which)
        self._do(self.api.settled(thread.thread_id, thread.resting))

    @precondition(_any(_with_runs))
    @rule(which=_which)
    def list_runs(self, which: int) -> None:
        self._do(self.api.runs(_one(_with_runs(self), which).thread_id, limit=100))

    @precondition(_any(_with_runs))
    @rule(which=_which, number=_which)
    def read_run(self, which: int, number: int) -> None:
        thread = _one(_with_runs(self), which)
        self._do(self.api.poll_run(thread.thread_id, _one(list(thread.runs), number)))

    @precondition(lambda self: bool(self.model.threads))
    @rule()
    def search(self) -> None:
        self._do(self.api.search_threads(metadata={"sequence": self.tag}, limit=100))

    @precondition(_any(_living))
    @rule(which=_which)
    def delete_thread(self, which: int) -> None:
        self._do(self.api.delete_thread(_one(_living(self), which).thread_id))

    @precondition(_any(_with_runs))
    @rule(which=_which, number=_which)
    def delete_run(self, which: int, number: int) -> None:
        thread = _one(_with_runs(self), which)
        run = _one(list(thread.runs), number)
        path = f"/threads/{thread.thread_id}/runs/{run}"
        self._do(self.api.request("DELETE", path, label="delete_run"))

    def _turn(self, thread: ThreadModel, graph: str, entry_point: str, **body: Any) -> None:
        if entry_point == "wait":
            self._do(self.api.wait(thread.thread_id, graph, **body))
        elif entry_point == "stream":
            self._do(self.api.stream(thread.thread_id, graph, **body))
        else:
            self._do(self.api.send_run(thread.thread_id, graph, **body))
            if (run := thread.active) is not None:
                self._do(self.api.join(thread.thread_id, run))


def _one(items: list[Any], which: int) -> Any:
    return items[which % len(items)]


def _complete(thread: ThreadModel) -> list[str]:
    """Checkpoints at which nothing was left to do: a run from there begins at the start."""
    return [
        name for name, entry in thread.checkpoints.items() if not entry.get("next") and entry.get("values")
    ]


def _input(graph: str, word: str, seconds: float) -> dict[str, Any]:
    fields = {"fail": "message", "interrupt": "question"}
    if graph == "echo":
        return ask(word)
    if graph == "slow":
        return {"note": word, "sleep": seconds}
    return {fields.get(graph, "note"): word}
