"""What can be played, and the job that plays what is wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from runstone import report as reports
from runstone.conversations.assertions import OwnCheck
from runstone.conversations.events import Event, Listener
from runstone.conversations.playing import Talker
from runstone.conversations.reading import BadScenario, Case, Source, chosen, files_of, source, with_values
from runstone.conversations.running import AT_ONCE, Batch, run
from runstone.conversations.thread import Job
from runstone.errors import UsageError, suggestion
from runstone.session.opening import open_session
from runstone.session.options import Given, given
from runstone.session.session import Session
from runstone.session.sources import merged
from runstone.target.target import Target, checked_url

MOST: Final = 5_000  # conversations of a batch: what is known of each is kept after its end
# What somebody else may replace: neither files that are read nor functions that are run.
SETTABLE: Final = (
    *("assistant", "config", "context", "metadata", "vars", "entry_point", "stream_mode", "turn_timeout_s"),
    *("repeat", "on_turn_failure"),
)
_WEB: Final = ("http://", "https://")


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be played; all that is offered, unless it says less.

    `scenarios`: their names, or those of cases. `files`: files and folders, as the offer names them.
    `target`: a URL. `repeat`: how often each case is played. `settings`: values by their place in the files.
    """

    scenarios: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    target: str = ""
    repeat: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    settings: dict[str, Any] = msgspec.field(default_factory=dict, name="set")


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A case that can be played. `turns`: None where a model plays the user."""

    name: str
    scenario: str
    file: str
    description: str
    tags: tuple[str, ...]
    assistant: str
    entry_point: str
    turns: int | None
    repeat: int


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that will be played: the name of its trace, and that of its case."""

    conversation: str
    scenario: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A batch that can be played at once."""

    target: str
    conversations: tuple[Planned, ...]
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The scenarios of files and folders, and how they are played.

    `asked`: the options that the command line sets. `talkers`: makes the model for a batch, of whose loop it
    is. `settings`: `path=value` for every file. `tags`: only scenarios with one of these are offered.
    """

    paths: Sequence[Path]
    asked: Given
    talkers: Callable[[], Talker | None] = lambda: None
    own: Callable[[str], OwnCheck] | None = None
    settings: Sequence[str] = ()
    tags: Sequence[str] = ()

    def session(self, asked: Given | None = None) -> Session:
        """The session by these options, beside those of the offer. Raises UsageError."""
        defaults = given(target_name="embedded", concurrency=AT_ONCE)
        return open_session(merged(asked or {}, self.asked), lambda *_: None, defaults=defaults)

    @property
    def target(self) -> Target:
        """What is talked to where nobody wants another. Raises UsageError."""
        target = self.session().settings.target
        if target is None:
            raise UsageError("no target: give --target URL")
        return target

    @property
    def folder(self) -> Path:
        """Where the results of batches go, each into a folder of its own. Raises UsageError."""
        return self.session().settings.out / "batches"

    def cases(self) -> list[Offered]:
        """What can be played, as the files are now. Raises BadScenario."""
        sources = self._sources(Wanted())
        files = {str(each.document.get("scenario")): self._shown(each.path) for each in sources}
        return [_offered(each, files) for each in chosen(sources, self.tags)]

    def prepare(self, wanted: Wanted, folder: Path) -> Prepared:
        """The batch that is wanted, whose results will be in this folder. Nothing is sent yet.

        Raises UsageError where there is no such scenario, or no such target.
        """
        cases = _named(self._tagged(wanted), wanted.scenarios)
        conversations = tuple(_planned(cases))
        if len(conversations) > MOST:
            raise BadScenario(
                f"{len(conversations)} conversations are too many for a batch; play {MOST} at most"
            )
        session = self._session_for(wanted, folder)
        target, talker = session.settings.target, self.talkers()
        assert target is not None, "open_session has insisted on one"
        return Prepared(
            target=target.url or target.name,
            conversations=conversations,
            job=_job(session, cases, talker, self.own),
        )

    def _tagged(self, wanted: Wanted) -> list[Case]:
        cases = chosen(self._sources(wanted), self.tags)
        known = {tag for each in cases for tag in each.scenario.tags}
        for tag in wanted.tags:
            if tag not in known:
                raise BadScenario(f"no scenario has the tag {tag!r}{suggestion(tag, known)}")
        return [each for each in cases if not wanted.tags or {*wanted.tags} & {*each.scenario.tags}]

    def _sources(self, wanted: Wanted) -> list[Source]:
        files = files_of(self.paths)
        known = [(self._shown(each), each) for each in files]
        for name in wanted.files:
            if not any(_within(shown, name) for shown, _ in known):
                hint = suggestion(name, [shown for shown, _ in known])
                raise BadScenario(f"there is no file {name!r} here{hint}")
        meant = [
            path
            for shown, path in known
            if not wanted.files or any(_within(shown, name) for name in wanted.files)
        ]
        wrong = next((each for each in wanted.settings if each.partition(".")[0] not in SETTABLE), None)
        if wrong is not None:
            raise BadScenario(f"set: {wrong!r} cannot be replaced here, only {', '.join(SETTABLE)}")
        values = (
            wanted.settings if wanted.repeat is None else wanted.settings | {"repeat.times": wanted.repeat}
        )
        return [with_values(source(each, self.settings), values) for each in meant]

    def _shown(self, path: Path) -> str:
        """A file as the offer names it: from the folder that was given on."""
        for folder in self.paths:
            if folder.is_dir() and path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        return path.name

    def _session_for(self, wanted: Wanted, folder: Path) -> Session:
        asked: dict[str, Any] = {"out": folder}
        if wanted.concurrency is not None:
            asked["concurrency"] = wanted.concurrency
        own = self.target
        if not wanted.target or wanted.target.rstrip("/") in {own.name, own.url.rstrip("/")}:
            return self.session(asked)
        if not wanted.target.startswith(_WEB):  # a recipe would start a program
            raise UsageError(
                f"the target {wanted.target!r} is not a URL; name a recipe with --target, at the start"
            )
        session = self.session({**asked, "target_name": checked_url(wanted.target)})
        return _without_secrets(session)


def _without_secrets(session: Session) -> Session:
    """The session, which tells nobody but the target of the command line who we are."""
    target = session.settings.target
    assert target is not None, "it was opened for one"
    bare = msgspec.structs.replace(target, headers={}, second_headers={}, restricted_headers={})
    session.settings = replace(session.settings, target=bare)
    return session


def _job(
    session: Session, cases: Sequence[Case], talker: Talker | None, own: Callable[[str], OwnCheck] | None
) -> Job:
    def play(tell: Listener, stopped: Callable[[], bool]) -> object:
        last: list[Event] = []

        def listen(event: Event) -> None:
            if event.report is None:
                tell(event)
            else:  # who hears of the end may read the report, which is written by then
                last.append(event)

        report = run(session, Batch(cases=cases, talker=talker, own=own, tell=listen, stopped=stopped))
        reports.write_scenarios(report, session.settings.out)
        for event in last:
            told = {"accepted": report.accepted, "complete": report.complete, "exit_code": report.exit_code}
            tell(
                msgspec.structs.replace(
                    event, report=None, text=report.stopped or "", data={**event.data, **told}
                )
            )
        return report

    return play


def _offered(case: Case, files: Mapping[str, str]) -> Offered:
    scenario = case.scenario
    return Offered(
        name=case.name,
        scenario=scenario.scenario,
        file=files.get(scenario.scenario, ""),
        description=scenario.description,
        tags=scenario.tags,
        assistant=scenario.assistant,
        entry_point=case.entry_point,
        turns=len(scenario.turns) if scenario.simulated is None else None,
        repeat=scenario.repeat.times,
    )


def _planned(cases: Sequence[Case]) -> Iterator[Planned]:
    for case in cases:
        for repeat in range(1, case.scenario.repeat.times + 1):
            yield Planned(conversation=case.trace(repeat), scenario=case.name)


def _named(cases: list[Case], names: Sequence[str]) -> list[Case]:
    """Those with one of these names; all of them for none. Raises BadScenario for an unknown name."""
    known = {each.name for each in cases} | {each.scenario.scenario for each in cases}
    for name in names:
        if name not in known:
            raise BadScenario(f"there is no scenario {name!r}{suggestion(name, known)}")
    wanted = {*names}
    found = [each for each in cases if not wanted or wanted & {each.name, each.scenario.scenario}]
    if not found:
        raise BadScenario("there is no scenario to play")
    return found


def _within(file: str, wanted: str) -> bool:
    """Whether this is the file that is wanted, or lies in the folder that is."""
    wanted = wanted.strip("/")
    return file == wanted or file.startswith(f"{wanted}/")
