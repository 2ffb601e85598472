"""Faults of interrupts and commands: where a run stops, what it asks, and how it is made to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_threads, checkpoints, execution, planning
from runstone.reference.bodies import CommandBody, Plan
from runstone.reference.errors import Refused
from runstone.reference.runs import Job


def _executing(seams: Seams, change: Callable[[Plan], dict[str, Any]]) -> None:
    """What langgraph is told, changed by a function of the plan."""

    @seams.around(execution, "_options")
    def options(original: Any, plan: Plan) -> dict[str, Any]:
        told: dict[str, Any] = original(plan)
        return told | change(plan)


def _commanding(seams: Seams, change: Callable[[CommandBody], None]) -> None:
    """A command, changed in place before it is carried out."""

    @seams.around(execution, "_command")
    async def command(original: Any, graph: Any, job: Job, given: CommandBody, kept: Any) -> Any:
        change(given)
        return await original(graph, job, given, kept)


@fault("INT-STATIC-001", "INT-STATIC-003")
def interrupt_before_is_ignored(seams: Seams) -> None:
    """A run does not stop before the nodes that its caller named."""
    _executing(seams, lambda _: {"interrupt_before": None})


@fault("INT-STATIC-002", "INT-STATIC-003")
def interrupt_after_stops_before(seams: Seams) -> None:
    """A run that is to stop after a node stops before it."""
    _executing(seams, lambda plan: {"interrupt_before": plan.interrupt_after, "interrupt_after": None})


@fault("INT-STATIC-003")
def star_is_taken_for_a_node(seams: Seams) -> None:
    """`interrupt_before` "*" stops at a node of that name, which no graph has."""

    def listed(names: Any) -> Any:
        return ["*"] if names == "*" else names

    _executing(
        seams,
        lambda plan: {
            "interrupt_before": listed(plan.interrupt_before),
            "interrupt_after": listed(plan.interrupt_after),
        },
    )


@fault("INT-STATIC-004")
def null_input_starts_anew(seams: Seams) -> None:
    """An input of null is taken for an empty one, which starts the graph again."""

    @seams.around(execution, "_input")
    async def given(original: Any, graph: Any, job: Job, kept: Any) -> Any:
        found = await original(graph, job, kept)
        return {} if found is None and job.plan.command is None else found


@fault("INT-DYN-001")
def interrupt_shows_a_text(seams: Seams) -> None:
    """The value of an interrupt is shown in the state as a text, whatever it is."""

    @seams.around(checkpoints, "_task")
    def task(original: Any, told: Any) -> Any:
        asked = [{"id": each.id, "value": repr(each.value)} for each in told.interrupts]
        return dict(original(told)) | {"interrupts": asked}


@fault("INT-DYN-002")
def state_has_no_member_interrupts(seams: Seams) -> None:
    """A ThreadState tells of interrupts in its tasks, and has no list of them."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> Any:
        return {name: value for name, value in original(snapshot).items() if name != "interrupts"}


@fault("INT-DYN-007", "INT-DYN-003", "SDK-011")
def resume_starts_the_graph_again(seams: Seams) -> None:
    """An answer to an interrupt starts the graph from its first node, which asks again."""

    @seams.around(execution, "_command")
    async def command(original: Any, graph: Any, job: Job, given: CommandBody, kept: Any) -> Any:
        return {} if given.resumes else await original(graph, job, given, kept)


@fault("INT-DYN-003", "INT-DYN-005", "SDK-011")
def answer_is_lost_in_the_resume(seams: Seams) -> None:
    """A run that is resumed goes on with null for the answer."""

    @seams.around(execution, "_resume")
    async def resume(original: Any, graph: Any, job: Job, answer: Any, kept: Any) -> Any:  # noqa: ARG001
        return await original(graph, job, None, kept)


@fault("INT-DYN-005")
def falsy_answer_is_no_answer(seams: Seams) -> None:
    """An answer of false, 0 or an empty text is taken for none at all."""

    @seams.around(execution, "_resume")
    async def resume(original: Any, graph: Any, job: Job, answer: Any, kept: Any) -> Any:
        return await original(graph, job, answer, kept) if answer else None


@fault("INT-DYN-004")
def map_of_answers_is_one_answer(seams: Seams) -> None:
    """A map of interrupt ids to answers is handed to each interrupt as it is."""

    @seams.around(execution, "_resume")
    async def resume(original: Any, graph: Any, job: Job, answer: Any, kept: Any) -> Any:
        state = await kept.state(graph, job.thread_id, job.plan.checkpoint)
        if len(state.interrupts) < 2:
            return await original(graph, job, answer, kept)
        return {each.id: answer for each in state.interrupts}


@fault("INT-DYN-006")
def unasked_answer_runs_the_graph(seams: Seams) -> None:
    """An answer that nothing asked for runs the graph once more."""

    @seams.around(planning, "_thread")
    def thread(original: Any, call: Any, checked: planning.Checked) -> Any:
        try:
            return original(call, checked)
        except Refused:
            return call.runtime.threads.get(call.owner, checked.thread_id)

    @seams.around(execution, "_command")
    async def command(original: Any, graph: Any, job: Job, given: CommandBody, kept: Any) -> Any:
        asked = (await kept.state(graph, job.thread_id)).interrupts
        return await original(graph, job, given, kept) if asked or not given.resumes else {}


@fault("CMD-001", "CMD-003")
def update_of_a_command_is_dropped(seams: Seams) -> None:
    """The update of a command is not applied."""
    _commanding(seams, lambda given: setattr(given, "update", None))


@fault("CMD-002")
def goto_knows_one_node(seams: Seams) -> None:
    """Of several nodes to go to the run goes to the first."""
    _commanding(seams, lambda given: setattr(given, "goto", given.nodes[:1] or None))


@fault("CMD-003")
def resume_is_all_of_a_command(seams: Seams) -> None:
    """A command with an answer does nothing else: its update and its goto are dropped."""

    def only_resume(given: CommandBody) -> None:
        if given.resumes:
            given.update = given.goto = None

    _commanding(seams, only_resume)


@fault("CMD-004")
def input_beats_a_command(seams: Seams) -> None:
    """Where a run has both an input and a command the command is dropped."""

    @seams.around(planning, "_plan")
    def plan(original: Any, call: Any, body: Any, *rest: Any, **named: Any) -> Plan:
        planned: Plan = original(call, body, *rest, **named)
        if body.input is not None:
            planned.input, planned.command = body.input, None
        return planned
