"""The bodies of requests, and the plan that a run's body becomes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

StreamMode = Literal[
    "values", "updates", "messages", "messages-tuple", "custom", "events", "debug", "tasks", "checkpoints"
]
Strategy = Literal["reject", "enqueue", "interrupt", "rollback"]
Durability = Literal["sync", "async", "exit"]
Names = Literal["*"] | list[str] | None
IfExists = Literal["raise", "do_nothing"]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Offset = Annotated[int, Meta(ge=0, le=2**53)]


class Goto(msgspec.Struct):
    """A jump to a node with an input of its own."""

    node: str
    input: Any = None


class CommandBody(msgspec.Struct, omit_defaults=True):
    """How to go on: the answer to an interrupt (null included), an update of the state, nodes to go to."""

    resume: Any = UNSET
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: str | Goto | list[str | Goto] | None = None

    @property
    def resumes(self) -> bool:
        """Whether it answers an interrupt; null is an answer, leaving it out is none."""
        return self.resume is not UNSET

    @property
    def nodes(self) -> list[str | Goto]:
        """The nodes to go to, as a list."""
        if self.goto is None:
            return []
        return self.goto if isinstance(self.goto, list) else [self.goto]


class ConfigBody(msgspec.Struct):
    """The part of a runnable's config that a client may set."""

    configurable: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    tags: list[str] = []
    recursion_limit: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class CheckpointBody(msgspec.Struct, omit_defaults=True):
    """Names one checkpoint of a thread."""

    checkpoint_id: str | None = None
    checkpoint_ns: str = ""
    checkpoint_map: dict[str, str] | None = None
    thread_id: str | None = None


class RunBody(msgspec.Struct):
    """POST …/runs, …/runs/wait and …/runs/stream. Fields that are not listed are ignored."""

    assistant_id: str
    input: Any = None
    command: CommandBody | None = None
    config: ConfigBody | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: Names = None
    interrupt_after: Names = None
    multitask_strategy: Strategy | None = None
    if_not_exists: Literal["reject", "create"] | None = None
    on_disconnect: Literal["continue", "cancel"] | None = None
    on_completion: Literal["delete", "keep"] | None = None
    after_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] | None = None
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    checkpoint: CheckpointBody | None = None
    checkpoint_id: str | None = None
    webhook: str | None = None
    timeout: Annotated[float, Meta(gt=0, le=86_400)] | None = None


class Plan(msgspec.Struct):
    """What a run is to do, every default filled in: the `kwargs` of a run, and all that a worker needs."""

    input: Any
    command: CommandBody | None
    config: ConfigBody
    context: dict[str, Any]
    stream_mode: list[StreamMode]
    stream_subgraphs: bool
    stream_resumable: bool
    interrupt_before: Names
    interrupt_after: Names
    durability: Durability
    checkpoint: CheckpointBody | None
    webhook: str | None
    temporary: bool  # the thread goes when the run ends


class StateUpdateBody(msgspec.Struct):
    """POST …/state. `checkpoint` or `checkpoint_id` forks from there."""

    values: Any = None
    as_node: str | None = None
    checkpoint: CheckpointBody | None = None
    checkpoint_id: str | None = None


class StateAtBody(msgspec.Struct):
    """POST …/state/checkpoint."""

    checkpoint: CheckpointBody
    subgraphs: bool = False


class HistoryBody(msgspec.Struct):
    """POST …/history. `before` is a checkpoint id, a checkpoint, or a config that names one."""

    limit: Limit = 10
    before: str | dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: CheckpointBody | None = None


class SuperstepUpdate(msgspec.Struct):
    """One node's update in a superstep that is replayed."""

    as_node: str
    values: Any = None


class Superstep(msgspec.Struct):
    """Updates that are applied together."""

    updates: list[SuperstepUpdate]


class ThreadBody(msgspec.Struct):
    """POST /threads."""

    thread_id: str | None = None
    metadata: dict[str, Any] | None = None
    if_exists: IfExists | None = None
    graph_id: str | None = None
    supersteps: list[Superstep] | None = None


class MetadataBody(msgspec.Struct):
    """PATCH /threads/{thread_id}."""

    metadata: dict[str, Any] | None = None


class PruneBody(msgspec.Struct):
    """POST /threads/prune."""

    thread_ids: list[str]
    strategy: Literal["delete"] = "delete"


class CancelBody(msgspec.Struct):
    """POST /runs/cancel: either these runs of one thread, or every run in a status."""

    thread_id: str | None = None
    run_ids: list[str] | None = None
    status: Literal["pending", "running", "all"] | None = None


class AssistantBody(msgspec.Struct):
    """POST /assistants."""

    graph_id: str
    assistant_id: str | None = None
    name: str | None = None
    description: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    if_exists: IfExists | None = None


class AssistantPatch(msgspec.Struct):
    """PATCH /assistants/{assistant_id}: what is left out stays as it is."""

    graph_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class VersionBody(msgspec.Struct):
    """POST /assistants/{assistant_id}/latest."""

    version: Annotated[int, Meta(ge=1, le=2**53)]


class PutItemBody(msgspec.Struct):
    """PUT /store/items."""

    namespace: list[str]
    key: str
    value: dict[str, Any]


class ItemKeyBody(msgspec.Struct):
    """DELETE /store/items."""

    key: str
    namespace: list[str] = []


class SearchItemsBody(msgspec.Struct):
    """POST /store/items/search."""

    namespace_prefix: list[str] = []
    filter: dict[str, Any] | None = None
    query: str | None = None
    limit: Limit = 10
    offset: Offset = 0


class NamespacesBody(msgspec.Struct):
    """POST /store/namespaces."""

    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: Annotated[int, Meta(ge=1, le=1000)] | None = None
    limit: Limit = 100
    offset: Offset = 0
