"""Waivers are strict: whatever is expired, unknown, doubled, malformed or no longer needed is an error."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from runstone.verdict.model import Case, Outcome, Verdict, most_severe
from runstone.verdict.waivers import Waiver, WaiverError, apply, load

TODAY = dt.date(2026, 11, 21)
KNOWN = ["RUN-WAIT-001", "RUN-WAIT-002", "META-001"]


def waiver(requirement: str = "RUN-WAIT-001", *scenarios: str, expires: dt.date = TODAY) -> Waiver:
    return Waiver(
        requirement=requirement,
        reason="known",
        owner="us",
        expires=expires,
        link="docs#x",
        scenarios=frozenset(scenarios),
    )


def verdict(*cases: tuple[str, Outcome], id: str = "RUN-WAIT-001") -> Verdict:  # noqa: A002
    return Verdict(
        id=id,
        level="MUST",
        area="run-wait",
        statement="it waits",
        source=("GOAL",),
        verdict=most_severe(outcome for _, outcome in cases),
        cases=tuple(Case(case=name, verdict=outcome, reason=f"saw {name}") for name, outcome in cases),
    )


def applied(*waivers: Waiver, to: Verdict) -> tuple[Verdict, list[str]]:
    observed = {exchange.partition("#")[0] for case in to.cases for exchange in case.exchanges}
    verdicts, errors = apply([to], waivers, observed | {"kept"}, TODAY)
    return verdicts[0], errors


def monitored(outcome: Outcome, *exchanges: str) -> Verdict:
    """What a monitor said, which found something at these exchanges."""
    found = verdict(("", outcome))
    return msgspec.structs.replace(found, cases=(Case(case="", verdict=outcome, exchanges=exchanges),))


# --- the file ----------------------------------------------------------------------------------------------

WHOLE = """
waivers:
  - requirement: RUN-WAIT-001:stream
    reason: joins answer the newest values
    owner: runtime team
    expires: {date}
    link: docs/divergences.md#join
"""


def loaded(text: str | bytes, folder: Path) -> list[Waiver]:
    path = folder / "waivers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, KNOWN)


@pytest.mark.parametrize("date", ["2027-03-31", "'2027-03-31'"])
def test_a_whole_file(date: str, tmp_path: Path) -> None:
    found = loaded(WHOLE.format(date=date), tmp_path)
    assert found == [
        Waiver(
            requirement="RUN-WAIT-001:stream",
            reason="joins answer the newest values",
            owner="runtime team",
            expires=dt.date(2027, 3, 31),
            link="docs/divergences.md#join",
        )
    ]
    assert (found[0].requirement_id, found[0].case) == ("RUN-WAIT-001", "stream")
    assert waiver().case is None


@pytest.mark.parametrize("text", ["", "waivers: []", "waivers:\n", "# nothing is waived\n"])
def test_an_empty_file_waives_nothing(text: str, tmp_path: Path) -> None:
    if text == "waivers:\n":
        with pytest.raises(WaiverError, match="expected `array`"):
            loaded(text, tmp_path)
    else:
        assert loaded(text, tmp_path) == []


@pytest.mark.parametrize(
    "text, said",
    [
        *(
            (WHOLE.format(date=date), r"not a date like 2027-03-31 at RUN-WAIT-001:stream\.expires")
            for date in ("soon", "2027-02-31", "'2027-02-31'", "2027-03-31T10:00:00")
        ),
        (WHOLE.format(date="20270331"), "expected `date`, got `int`"),
        (WHOLE.format(date="null"), "expected `date`, got `null`"),
        (WHOLE.format(date="2027-03-31").replace("owner: runtime team", "owner:"), "owner"),
        (WHOLE.format(date="2027-03-31").replace("    owner: runtime team\n", ""), "owner"),
        (
            WHOLE.format(date="2027-03-31") + "    until: never\n",
            "unknown key 'until' at RUN-WAIT-001:stream",
        ),
        (WHOLE.format(date="2027-03-31") + "    resaon: x\n", r"did you mean reason\?"),
        (WHOLE.format(date="2027-03-31") + "    owner: them\n", "the key 'owner' is given twice, line 8"),
        (WHOLE.format(date="2027-03-31") + "waivers: []\n", "the key 'waivers' is given twice"),
        ("- RUN-WAIT-001", "expected `object"),
        ("just text", "expected `object"),
        ("waiver: []", r"unknown key 'waiver'; did you mean waivers\?"),
        ("waivers: {a: [", "not valid YAML"),
        ("? [waivers]\n: 1", "not valid YAML: found unhashable key"),
        ("waivers: !!python/object:os.system {}", "not valid YAML"),
        (b"\xff\xfe\xfa", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match=said) as caught:
        loaded(text, tmp_path)
    assert "\n" not in str(caught.value)
    assert "waivers.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match=r"cannot read .*nothing.yaml: No such file"):
        load(tmp_path / "nothing.yaml", KNOWN)
    with pytest.raises(WaiverError, match="cannot read"):
        load(tmp_path, KNOWN)


def test_an_unknown_requirement_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(
        WaiverError, match="waives RUN-WAIT-01, which is not a requirement; did you mean RUN-WAIT-001"
    ):
        loaded(WHOLE.format(date="2027-03-31").replace("RUN-WAIT-001:stream", "RUN-WAIT-01"), tmp_path)


def test_a_waiver_given_twice(tmp_path: Path) -> None:
    text = WHOLE.format(date="2027-03-31")
    with pytest.raises(WaiverError, match="waives RUN-WAIT-001:stream twice"):
        loaded(text + text.removeprefix("\nwaivers:\n"), tmp_path)


# --- their effect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["fail", "warn", "not-testable"])
def test_a_broken_requirement_is_waived_and_says_by_whom(outcome: Outcome) -> None:
    found, errors = applied(waiver(), to=verdict(("stream", outcome), ("wait", "pass")))
    assert errors == []
    assert found.verdict == "waived"
    assert [case.verdict for case in found.cases] == ["waived", "pass"]
    assert found.cases[0].reason == "saw stream"
    assert found.waiver is not None
    assert (found.waiver.reason, found.waiver.owner, found.waiver.expires, found.waiver.link) == (
        "known",
        "us",
        "2026-11-21",
        "docs#x",
    )


def test_a_waiver_of_one_case_leaves_the_others_broken() -> None:
    found, errors = applied(waiver("RUN-WAIT-001:stream"), to=verdict(("stream", "fail"), ("wait", "fail")))
    assert errors == []
    assert [case.verdict for case in found.cases] == ["waived", "fail"]
    assert found.verdict == "fail"


def test_two_waivers_of_two_cases() -> None:
    found, errors = applied(
        waiver("RUN-WAIT-001:stream"),
        waiver("RUN-WAIT-001:wait"),
        to=verdict(("stream", "fail"), ("wait", "warn")),
    )
    assert (found.verdict, errors) == ("waived", [])


def test_a_harness_error_cannot_be_waived() -> None:
    found, errors = applied(waiver(), to=verdict(("", "harness-error")))
    assert found.verdict == "harness-error"
    assert "matches nothing" in errors[0]


def test_the_last_day_still_counts_and_the_next_does_not() -> None:
    assert applied(waiver(expires=TODAY), to=verdict(("", "fail")))[0].verdict == "waived"
    found, errors = applied(waiver(expires=TODAY - dt.timedelta(days=1)), to=verdict(("", "fail")))
    assert found.verdict == "fail"
    assert errors == ["the waiver of RUN-WAIT-001 (us) expired on 2026-11-20: renew or remove it"]


def test_one_that_passes_now_is_not_needed() -> None:
    found, errors = applied(waiver(), to=verdict(("", "pass")))
    assert found.verdict == "pass"
    assert errors == ["the waiver of RUN-WAIT-001 is not needed: the target keeps it now; remove it"]
    _, errors = applied(waiver("RUN-WAIT-001:wait"), to=verdict(("stream", "fail"), ("wait", "pass")))
    assert "RUN-WAIT-001:wait is not needed" in errors[0]


def flaky(case: str | None = None) -> Waiver:
    return msgspec.structs.replace(waiver(f"RUN-WAIT-001:{case}" if case else "RUN-WAIT-001"), flaky=True)


def test_what_is_flaky_is_accepted_only_by_a_waiver_that_says_so() -> None:
    found, errors = applied(waiver(), to=verdict(("", "flaky")))
    assert found.verdict == "flaky"
    assert errors == ["the waiver of RUN-WAIT-001 does not say `flaky: true`, and it is flaky here"]
    found, errors = applied(flaky(), to=verdict(("stream", "flaky"), ("wait", "pass")))
    assert (found.verdict, errors) == ("waived", [])


@pytest.mark.parametrize("outcome, left", [("fail", "waived"), ("pass", "pass")])
def test_a_waiver_of_something_flaky_is_needed_whatever_was_seen_this_time(
    outcome: Outcome, left: Outcome
) -> None:
    found, errors = applied(flaky(), to=verdict(("", outcome)))
    assert (found.verdict, errors) == (left, [])


def test_a_case_that_is_not_there_matches_nothing() -> None:
    _, errors = applied(waiver("RUN-WAIT-001:pigeon"), to=verdict(("stream", "fail"), ("wait", "pass")))
    assert "matches nothing: the cases of RUN-WAIT-001 are stream, wait" in errors[0]


def test_one_that_does_not_apply_matches_nothing() -> None:
    _, errors = applied(waiver(), to=verdict(("", "not-applicable")))
    assert "matches nothing: it is not-applicable here" in errors[0]


@pytest.mark.parametrize("requirement", ["RUN-WAIT-001", "RUN-WAIT-001:stream"])
def test_nothing_is_said_of_what_was_not_run(requirement: str) -> None:
    """`--area` and `--select` must not turn the waivers of all other areas into errors."""
    for left_out in (verdict(("", "not-run")), verdict(("stream", "not-run"), ("wait", "pass"))):
        found, errors = applied(waiver(requirement), to=left_out)
        assert (found.verdict, found.waiver, errors) == ("not-run", None, [])


def test_other_requirements_are_left_alone() -> None:
    other = verdict(("", "fail"), id="RUN-WAIT-002")
    verdicts, errors = apply([verdict(("", "fail")), other], [waiver()], {}.keys(), TODAY)
    assert [each.verdict for each in verdicts] == ["waived", "fail"]
    assert verdicts[1] is other
    assert errors == []


def test_a_requirement_that_no_profile_includes_matches_nothing() -> None:
    _, errors = apply([], [waiver("META-001")], {}.keys(), TODAY)
    assert "matches nothing: the profile excludes it" in errors[0]


# --- in some scenarios only --------------------------------------------------------------------------------

IN_SOME = WHOLE.format(date="2027-03-31").replace("RUN-WAIT-001:stream", "RUN-WAIT-001")
IN_SOME += "    scenarios: [joined_by_four]\n"


def test_waivers_of_different_scenarios_are_not_the_same(tmp_path: Path) -> None:
    assert loaded(IN_SOME, tmp_path)[0].scenarios == {"joined_by_four"}
    second = IN_SOME.removeprefix("\nwaivers:\n")
    assert len(loaded(IN_SOME + second.replace("by_four", "by_five"), tmp_path)) == 2
    for again in (second, second.replace("[joined_by_four]", "[joined_by_five, joined_by_four]")):
        with pytest.raises(WaiverError, match="waives RUN-WAIT-001 twice"):
            loaded(IN_SOME + again, tmp_path)
    everywhere = second.replace("    scenarios: [joined_by_four]\n", "")
    with pytest.raises(WaiverError, match="waives RUN-WAIT-001 twice"):
        loaded(IN_SOME + everywhere, tmp_path)


@pytest.mark.parametrize("text", ["joined_by_four", "{joined_by_four: 1}", "[1]"])
def test_scenarios_are_a_list_of_names(text: str, tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match="scenarios"):
        loaded(IN_SOME.replace("[joined_by_four]", text), tmp_path)


def test_a_failure_in_the_named_scenarios_is_waived() -> None:
    found, errors = applied(waiver("RUN-WAIT-001", "a", "b"), to=monitored("fail", "a#1", "b#7", "a#2"))
    assert (found.verdict, errors) == ("waived", [])


def test_the_same_failure_in_another_scenario_is_not() -> None:
    found, errors = applied(waiver("RUN-WAIT-001", "a"), to=monitored("fail", "a#1", "c#3"))
    assert (found.verdict, found.waiver, errors) == ("fail", None, [])


def test_several_waivers_cover_a_failure_together_and_tell_all_reasons() -> None:
    other = msgspec.structs.replace(waiver("RUN-WAIT-001", "c"), reason="another cause", owner="them")
    found, errors = applied(waiver("RUN-WAIT-001", "a"), other, to=monitored("warn", "a#1", "c#3"))
    assert (found.verdict, errors) == ("waived", [])
    assert found.waiver is not None
    assert (found.waiver.reason, found.waiver.owner) == ("known; another cause", "us, them")


def test_one_whose_scenarios_keep_it_now_is_not_needed() -> None:
    _, errors = applied(waiver("RUN-WAIT-001", "kept"), to=monitored("pass", "a#1"))
    assert errors == ["the waiver of RUN-WAIT-001 is not needed: the target keeps it now in kept; remove it"]
    found, errors = applied(waiver("RUN-WAIT-001", "kept"), to=monitored("fail", "a#1"))
    assert found.verdict == "fail"
    assert "is not needed: the target keeps it now in kept" in errors[0]


def test_one_of_something_flaky_is_needed_though_its_scenarios_keep_it_this_time() -> None:
    now_and_then = msgspec.structs.replace(waiver("RUN-WAIT-001", "kept"), flaky=True)
    found, errors = applied(now_and_then, waiver("RUN-WAIT-001", "a"), to=monitored("fail", "a#1"))
    assert (found.verdict, errors) == ("waived", [])
    found, errors = applied(now_and_then, to=monitored("fail", "a#1"))  # and it accepts nothing elsewhere
    assert (found.verdict, errors) == ("fail", [])


def test_nothing_is_said_of_scenarios_that_were_not_observed() -> None:
    """`--area` must not turn the waivers of what monitors find in other areas into errors."""
    found, errors = applied(waiver("RUN-WAIT-001", "elsewhere"), to=monitored("pass", "a#1"))
    assert (found.verdict, errors) == ("pass", [])


def test_a_failure_that_names_no_exchange_needs_a_waiver_for_all_scenarios() -> None:
    found, _ = applied(waiver("RUN-WAIT-001", "kept"), to=monitored("not-testable"))
    assert found.verdict == "not-testable"
    found, _ = applied(waiver("RUN-WAIT-001"), to=monitored("not-testable"))
    assert found.verdict == "waived"
