"""What is signed: two in-toto statements about one recording, and how they become bytes and are read back.

The first says all that a release rests on (`Acceptance`; contracts/schemas/acceptance.json). The second is a
standard test-result, for tools that know nothing of Runstone; `suite_result` derives it from the first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from runstone.contracts import LEVELS, Level
from runstone.contracts.basis import Basis
from runstone.verdict.model import SEVERITY, Outcome
from runstone.verdict.scenarios import Result as ScenarioResult

STATEMENT: Final = "https://in-toto.io/Statement/v1"
ACCEPTANCE: Final = "https://runstone.dev/acceptance/v1"
# A type of its own, so that whoever looks for the acceptance of a check does not take a load for one.
LOAD_ACCEPTANCE: Final = "https://runstone.dev/load-acceptance/v1"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
MANIFEST: Final = "evidence/manifest.json"  # the names of the subjects
SERVER: Final = "server"
ALGORITHMS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}  # hexadecimal digits of a digest

# What no acceptance holds, and what makes one WARNED: in-toto lets nobody say PASSED beside a reservation, as
# a consumer that ignores the reservation must never let more through.
FAILED: Final[tuple[Outcome, ...]] = ("not-testable", "flaky", "fail", "harness-error")
WARNED: Final[tuple[Outcome, ...]] = ("not-run", "waived", "warn")

Result = Literal["PASSED", "WARNED"]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
P = TypeVar("P")


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about: a name for people, and the digests that it is known by."""

    name: str
    digest: dict[str, str]


class Server(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The server. `version_from`: what it says itself, or what has the digest that stands beside."""

    name: str
    url: str
    version: str
    version_from: Literal["self-reported", "digest"]


class Measure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was judged by: the contract with its suites and graphs, and the proof that these measure."""

    runstone: str
    basis: Basis
    kill_matrix: Sha256


class Observation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it was observed. `capacity`: runs that the server executes at once, None where it was not measured.

    `confirmations`: scenarios observed again. `made_up`: the areas, of those whose requests are made up,
    that were judged. `agent`: the assistant that stood in for the conformance graphs; '' where they ran
    themselves.
    """

    started_at: Moment
    seconds: float
    traces: int
    capacity: int | None
    confirmations: int
    made_up: tuple[str, ...]
    agent: str


class Judged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One requirement and its verdict; `wording`: the digest by which a later acceptance sees it reworded."""

    id: str
    level: Level
    area: str
    verdict: Outcome
    wording: str
    reason: str = ""  # why it was not judged


class Terms(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A waiver in full: what is accepted, why, by whom and how long."""

    requirement: str
    reason: str
    owner: str
    expires: dt.date
    link: str
    scenarios: tuple[str, ...] = ()
    flaky: bool = False


class PolicyUsed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The policy that let the acceptance through."""

    name: str
    sha256: Sha256


class Regression(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A requirement that was kept before and is not now, which a waiver or the policy accepts."""

    id: str
    now: Outcome


class Supersedes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The acceptance before this one, by the SHA-256 of its statement, and what has changed since."""

    sha256: Sha256
    started_at: Moment
    revision: str
    regressions: tuple[Regression, ...] = ()
    new_waivers: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    reworded: tuple[str, ...] = ()


class LoadMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which load it was: as it was planned, as it was made, and what of it was judged again.

    Rates are starts a second: `rate` as planned, `offered` and `achieved` as counted. `seconds`: as planned.
    `runs`: all that were made; `recorded`: starts that are kept in full. `untested`: requirement that is kept
    → for how much of what it speaks of that is not known. `judged_from`: what the verdicts rest on, in words.
    `digest`: of the plan, and of the files that made and judged the load.
    """

    soak: bool
    users: int
    rate: float
    seconds: float
    mix: dict[str, int]
    workers: int
    webhooks: bool
    offered: float
    achieved: float
    runs: int
    recorded: int
    untested: dict[str, int]
    judged_from: str
    digest: Sha256


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Runstone's own predicate. Schema: contracts/schemas/acceptance.json.

    `unjudged`: requirement → why the policy lets it go unjudged. `valid_until`: the last moment of the first
    waiver that expires, or of the age that the policy allows; None where nothing ends it. `scenarios`: a
    team's own, by their names with what they result in; only those that pass can be signed for. `load`: the
    load that was judged; None for a check.
    """

    result: Result
    server: Server
    profile: str
    measure: Measure
    observation: Observation
    counts: dict[Level, dict[Outcome, int]]
    requirements: tuple[Judged, ...]
    scenarios: dict[str, ScenarioResult] = {}
    load: LoadMade | None = None
    capabilities: dict[str, bool]
    waivers: tuple[Terms, ...]
    unjudged: dict[str, str]
    policy: PolicyUsed | None
    signed_at: Moment
    valid_until: Moment | None
    supersedes: Supersedes | None
    by: str

    @property
    def type(self) -> str:
        """The predicate type that tells it from one of another kind."""
        return ACCEPTANCE if self.load is None else LOAD_ACCEPTANCE

    def having(self, *outcomes: Outcome) -> list[Judged]:
        """The requirements with one of these verdicts."""
        return [each for each in self.requirements if each.verdict in outcomes]


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """in-toto's ResourceDescriptor: something that a run was configured with."""

    name: str
    uri: str | None = None
    digest: dict[str, str] = {}


class SuiteResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """in-toto's test-result v0.1, whole: it has no field for what was waived, not run or not applicable."""

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: tuple[Descriptor, ...]
    passed_tests: tuple[str, ...]
    warned_tests: tuple[str, ...]
    failed_tests: tuple[str, ...]


class Statement(msgspec.Struct, Generic[P], frozen=True, kw_only=True, rename={"type": "_type"}):
    """in-toto's Statement v1; its field names are in-toto's own."""

    type: str = STATEMENT
    subject: tuple[Subject, ...]
    predicateType: str  # noqa: N815
    predicate: P

    def digests_of(self, name: str) -> Mapping[str, str]:
        """The digests of the subject of this name; empty where there is none."""
        return next((each.digest for each in self.subject if each.name == name), {})


def subjects(manifest: str, server_digest: tuple[str, str] | None) -> tuple[Subject, ...]:
    """The evidence by its manifest's digest, and the server by its image's or wheel's, if known."""
    evidence = Subject(MANIFEST, {"sha256": manifest})
    return (evidence,) if server_digest is None else (evidence, Subject(SERVER, dict([server_digest])))


def statements(subject: tuple[Subject, ...], acceptance: Acceptance) -> tuple[bytes, bytes]:
    """Both statements as they are signed: the acceptance, and the test-result that follows from it."""
    own = Statement(subject=subject, predicateType=acceptance.type, predicate=acceptance)
    common = Statement(subject=subject, predicateType=TEST_RESULT, predicate=suite_result(acceptance))
    return encoded(own), encoded(common)


def suite_result(acceptance: Acceptance) -> SuiteResult:
    """The acceptance as far as a test-result can tell it; what does not apply has no place there."""
    return SuiteResult(
        result=acceptance.result,
        configuration=tuple(_configuration(acceptance)),
        passed_tests=(
            *(each.id for each in acceptance.having("pass")),
            *(f"scenario {name}" for name, result in acceptance.scenarios.items() if result == "pass"),
        ),
        warned_tests=tuple(each.id for each in acceptance.having(*WARNED)),
        failed_tests=tuple(each.id for each in acceptance.having(*FAILED)),
    )


def _configuration(acceptance: Acceptance) -> Iterable[Descriptor]:
    """What the run was configured with; in-toto wants a digest or a URI of each."""
    basis = acceptance.measure.basis
    yield Descriptor(name="runstone", uri=f"pkg:pypi/runstone@{acceptance.measure.runstone}")
    digests = {
        f"contract {basis.revision}": basis.catalogue,
        f"profile {acceptance.profile}": basis.judging,
        "suites": basis.suites,
        **{f"graphs, {language}": digest for language, digest in sorted(basis.graphs.items())},
        "plan of the load": "" if acceptance.load is None else acceptance.load.digest,
        "kill matrix": acceptance.measure.kill_matrix,
        "waivers": sha256(msgspec.json.encode(acceptance.waivers)) if acceptance.waivers else "",
        "policy": "" if acceptance.policy is None else acceptance.policy.sha256,
    }
    for name, digest in digests.items():
        if digest:
            yield Descriptor(name=name, digest={"sha256": digest})


def counted(requirements: Iterable[Judged]) -> dict[Level, dict[Outcome, int]]:
    """Level → verdict → number of requirements; only verdicts that occur, mildest first."""
    each_level = {level: Counter[Outcome]() for level in LEVELS}
    for each in requirements:
        each_level[each.level][each.verdict] += 1
    return {
        level: {outcome: counts[outcome] for outcome in SEVERITY if counts[outcome]}
        for level, counts in each_level.items()
    }


def wording(level: Level, statement: str) -> str:
    """The mark by which two wordings of one promise, or two levels, are told apart: a short digest."""
    return sha256(f"{level} {statement}".encode())[:16]


def encoded(document: Any) -> bytes:
    """The JSON of a statement: one line, members in the order of the struct."""
    return msgspec.json.encode(document)


def sha256(content: bytes) -> str:
    """The hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()
