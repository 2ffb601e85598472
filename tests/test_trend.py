"""What nights say together: failing since when, what is new, how flaky, which causes, and how lines break."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
import pytest

from runstone.contracts import load_catalogue
from runstone.trend import Course, Night, course_of, texts_of
from runstone.trend.charts import duration_chart, kept_chart
from runstone.trend.course import Failing
from runstone.trend.history import RecordedCause
from runstone.trend.pages import badge_of
from runstone.verdict.model import Outcome
from tests.nights import closed, night, on, published, single_faults

NIGHTS = 60
(LASTING, LASTING_ID), (PAST, PAST_ID), (ALWAYS, ALWAYS_ID), (ACCEPTED, ACCEPTED_ID) = single_faults()[:4]
(LATEST, LATEST_ID), (GONE, GONE_ID), (WAVERING, WAVERING_ID), (UNSTEADY, UNSTEADY_ID) = single_faults()[4:8]
LAST = NIGHTS - 1
MUST = sum(each.level == "MUST" and each.verdict == "pass" for each in published().verdicts)


def course(nights: Sequence[Night], target: str = "embedded") -> Course:
    return course_of(target, nights, load_catalogue())


def sixty() -> list[Night]:
    """Sixty nights of a server whose version changes twice and whose contract changes once.

    LASTING is in it since night 40, the first of 1.2; PAST was in it on nights 5 to 10; ALWAYS is; ACCEPTED
    is since night 30, and waived since night 45; LATEST came on the last night, after one that did not look;
    GONE broke until the contract of night 55 no longer promised it; WAVERING comes and goes with one version;
    UNSTEADY is flaky on every fifth night. On night 50 the server was closed.
    """
    made = []
    for index in range(NIGHTS):
        planted = [ALWAYS]
        planted += [LASTING] if index >= 40 else []
        planted += [PAST] if 5 <= index <= 10 else []
        planted += [ACCEPTED] if 30 <= index < 45 else []
        planted += [LATEST] if index == LAST else []
        planted += [GONE] if index < 55 else []
        planted += [WAVERING] if index in {51, 53, 57} else []
        outcomes: dict[str, Outcome] = {ACCEPTED_ID: "waived"} if index >= 45 else {}
        outcomes |= {UNSTEADY_ID: "flaky"} if index % 5 == 0 else {}
        outcomes |= {LATEST_ID: "not-run"} if index == LAST - 1 else {}
        server = "server 1.0" if index < 20 else "server 1.1" if index < 40 else "server 1.2"
        each = closed(index) if index == 50 else night(index, *planted, server=server, outcomes=outcomes)
        if index >= 55:
            each = without(msgspec.structs.replace(each, revision="2026.12"), GONE_ID)
        made.append(each)
    return made


def without(of: Night, id_: str) -> Night:
    verdicts = {
        level: {outcome: tuple(each for each in ids if each != id_) for outcome, ids in by_outcome.items()}
        for level, by_outcome in of.verdicts.items()
    }
    return msgspec.structs.replace(of, verdicts=verdicts)


@pytest.fixture(scope="module")
def nights() -> list[Night]:
    return sixty()


@pytest.fixture(scope="module")
def found(nights: list[Night]) -> Course:
    return course(nights)


def failing(found: Course, id_: str) -> Failing | None:
    return next((each for each in found.failing if each.row.id == id_), None)


# --- failing since ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id_, since, kept, judged",
    [
        (LASTING_ID, 40, 39, 19),  # on night 50 nobody judged
        (ALWAYS_ID, 0, None, 59),
        (ACCEPTED_ID, 30, 29, 29),
        (LATEST_ID, LAST, LAST - 2, 1),  # the night before did not look
    ],
)
def test_failing_since(
    found: Course, nights: list[Night], id_: str, since: int, kept: int | None, judged: int
) -> None:
    told = failing(found, id_)
    assert told is not None
    assert (told.since, told.nights) == (nights[since], judged)
    assert told.kept == (None if kept is None else nights[kept])
    assert told.waived == (id_ == ACCEPTED_ID)
    assert told.reason == nights[LAST].reasons[id_]


def test_the_version_that_broke_it_and_the_last_good_one(found: Course) -> None:
    told = failing(found, LASTING_ID)
    assert told is not None
    assert told.kept is not None
    assert (told.since.server, told.kept.server) == ("server 1.2", "server 1.1")


def test_what_is_kept_again_or_no_longer_promised_does_not_fail(found: Course) -> None:
    assert failing(found, PAST_ID) is None
    assert failing(found, GONE_ID) is None
    assert {each.row.id for each in found.broken} == {LASTING_ID, ALWAYS_ID, LATEST_ID}


def test_what_fails_since_another_contract_is_told_so() -> None:
    nights = [night(0), night(1), msgspec.structs.replace(night(2, LASTING), revision="2026.12")]
    told = failing(course(nights), LASTING_ID)
    assert told is not None
    assert (told.since, told.with_revision) == (nights[2], True)
    told = failing(course([night(0), night(1, LASTING), nights[2]]), LASTING_ID)
    assert told is not None
    assert not told.with_revision


def test_a_closed_server_does_not_make_broken_promises_kept(nights: list[Night]) -> None:
    until = course(nights[:51])
    told = failing(until, LASTING_ID)
    assert told is not None
    assert told.since == nights[40]
    assert until.newly_unfinished
    assert until.last_ended == nights[49]
    assert until.new == ()


# --- what is new ------------------------------------------------------------------------------------------


def test_only_what_the_newest_night_broke_is_new(found: Course, nights: list[Night]) -> None:
    assert [each.row.id for each in found.new] == [LATEST_ID]
    # What is flaky counts as broken; on night 40 it was.
    assert {each.row.id for each in course(nights[:41]).new} == {LASTING_ID, UNSTEADY_ID}
    assert course(nights[:42]).new == ()
    assert course(nights[:1]).new == ()  # there is no night before it
    assert not course([closed(0)]).newly_unfinished


def test_the_end_of_a_waiver_is_new() -> None:
    nights = [night(0), night(1, outcomes={LASTING_ID: "waived"}), night(2, LASTING)]
    (told,) = course(nights).new
    assert (told.since, told.kept) == (nights[1], nights[0])
    assert course(nights[:2]).new == ()


def test_what_only_warns_is_not_new_unless_that_fails() -> None:
    should = next(row.id for row in course([night(0)]).rows if row.level == "SHOULD")
    nights = [night(0), night(1, outcomes={should: "warn"})]
    assert course(nights).new == ()
    nights[1] = msgspec.structs.replace(nights[1], fail_on="should", exit_code=1)
    assert [each.row.id for each in course(nights).new] == [should]


# --- flaky, and causes ------------------------------------------------------------------------------------


def test_flaky_rates_are_those_of_the_last_thirty_judged_nights(found: Course) -> None:
    rates = {each.row.id: each for each in found.flaky}
    assert set(rates) == {UNSTEADY_ID, WAVERING_ID}
    unsteady = rates[UNSTEADY_ID]
    # Nights 29 to 59 without night 50, which was closed: flaky on 30, 35, 40, 45 and 55.
    assert (unsteady.flaky, unsteady.judged) == (5, 30)
    assert f"{unsteady.percent:.1f}" == "16.7"
    # 51 to 54, then the contract changes, then 57 and 58.
    assert (rates[WAVERING_ID].flaky, rates[WAVERING_ID].changes) == (0, 6)


def test_a_new_version_may_change_its_mind() -> None:
    steady = [night(0), night(1, LASTING, server="server 1.1"), night(2, server="server 1.2")]
    assert course(steady).flaky == ()
    (unsteady,) = course([night(0), night(1, LASTING), night(2)]).flaky
    assert (unsteady.flaky, unsteady.changes) == (0, 2)


def test_causes_come_and_go() -> None:
    one = RecordedCause(id="a", operation="GET /ok", answer="500", reason="boom", must=3, should=1)
    other = msgspec.structs.replace(one, id="b", operation="GET /info")
    named: list[tuple[RecordedCause, ...]] = [(one,), (one, other), (), (other,)]
    nights = [msgspec.structs.replace(night(index), causes=causes) for index, causes in enumerate(named)]
    told = {each.cause.id: each for each in course([*nights, closed(4)]).causes}
    assert (told["a"].first, told["a"].last, told["a"].nights, told["a"].gone) == (*nights[:2], 2, True)
    # A night without a verdict says nothing of causes.
    assert (told["b"].first, told["b"].last, told["b"].nights, told["b"].gone) == (
        nights[1],
        nights[3],
        2,
        False,
    )


# --- lines and badges -------------------------------------------------------------------------------------


def test_lines_break_at_another_contract_and_where_nobody_judged(found: Course) -> None:
    for chart in (kept_chart(found, 0), duration_chart(found, 0)):
        assert len(chart.breaks) == 1
        # Nights 0 to 49, 51 to 54, 55 to 59.
        assert [len(each.split()) for each in chart.lines[0].points] == [50, 4, 5]
    assert kept_chart(found, 55).breaks == ()
    assert kept_chart(found, 0).high == "100 %"


def test_a_night_alone_is_seen() -> None:
    (line,) = duration_chart(course([night(0)]), 0).lines
    assert [len(each.split()) for each in line.points] == [2]


@pytest.mark.parametrize(
    "nights, late, message, colour, error",
    [
        ([night(0)], False, f"{MUST} of {MUST} MUST, 2026-09-01", "brightgreen", False),
        (
            [night(0, outcomes={LASTING_ID: "waived"})],
            False,
            f"{MUST - 1} of {MUST} MUST, 2026-09-01",
            "green",
            False,
        ),
        ([night(0, LASTING)], False, f"{MUST - 1} of {MUST} MUST, 2026-09-01", "red", False),
        ([night(0), closed(1)], False, "no verdict, 2026-09-02", "lightgrey", True),
        ([night(0)], True, "nothing checked since 2026-09-01", "lightgrey", True),
    ],
)
def test_badge(nights: list[Night], late: bool, message: str, colour: str, error: bool) -> None:
    badge = badge_of(course(nights), late=late)
    assert (badge.message, badge.color, badge.is_error) == (message, colour, error)


def test_a_badge_is_what_shields_reads(found: Course) -> None:
    texts = texts_of([found], now=on(NIGHTS), late_after=dt.timedelta(hours=36), nights=90)
    assert msgspec.json.decode(texts["badges/embedded.json"]) == {
        "schemaVersion": 1,
        "label": "runstone: embedded",
        "message": f"{MUST - 5} of {MUST - 1} MUST, 2026-10-30",
        "color": "red",
    }


def test_targets_whose_names_come_out_the_same_have_pages_of_their_own(nights: list[Night]) -> None:
    names = ["http://a:1", "http://A:1", "index", "../x"]
    courses = [course(nights[:1], name) for name in names]
    texts = texts_of(courses, now=on(1), late_after=dt.timedelta(hours=36), nights=90)
    pages = [name for name in texts if name.endswith(".html")]
    assert pages == ["index.html", "http---a-1.html", "http---A-1-2.html", "index-2.html", "-x.html"]
