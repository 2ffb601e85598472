"""Files of scenarios: what they may say, what is refused and how, variables, cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from runstone.contracts.schemas import schema_text
from runstone.conversations.places import BadPlace, NothingThere, value_at
from runstone.conversations.reading import BadScenario, read
from runstone.conversations.schema import SCHEMAS, of_scenarios
from runstone.conversations.statistics import pass_k, wilson
from runstone.conversations.variables import combinations, names_in, substituted
from runstone.locations import CHECKOUT
from tests.command_line import one_line_of_error, runstone

GOOD: dict[str, Any] = {
    "scenario": "refund",
    "assistant": "support",
    "turns": [{"user": "Refund {{order}}", "expect": [{"contains": "{{order}}"}]}],
    "vars": {"order": ["42", "43"], "limit": 3},
    "expect": [{"latency_s": "{{limit}}"}],
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "one.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


def test_a_matrix_makes_a_case_for_each_value_with_its_type(tmp_path: Path) -> None:
    first, second = read([written(tmp_path)])
    assert (first.name, second.name) == ("refund[order=42]", "refund[order=43]")
    assert first.scenario.turns[0].user == "Refund 42"
    assert first.scenario.expect[0].latency_s == 3
    assert first.trace(2) == "conversation.refund.1.stream.2"
    assert first.digest != second.digest


def test_all_entry_points_are_cases_of_their_own(tmp_path: Path) -> None:
    cases = read([written(tmp_path, entry_point="all", vars={"order": "1", "limit": 2})])
    assert [each.entry_point for each in cases] == ["wait", "stream", "background", "stateless"]
    two = [*GOOD["turns"], {"user": "and now?"}]
    cases = read([written(tmp_path, entry_point="all", vars={"order": "1", "limit": 2}, turns=two)])
    assert [each.entry_point for each in cases] == ["wait", "stream", "background"]


def test_set_replaces_a_value_wherever_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, config={"configurable": {"tier": "silver", "language": "en"}})
    case = read([path], ["config.configurable.tier=gold", "vars.order=['7']", "context.user=ada"])[0]
    assert case.scenario.config == {"configurable": {"tier": "gold", "language": "en"}}
    assert case.scenario.context == {"user": "ada"}
    assert case.scenario.turns[0].user == "Refund 7"


def test_the_text_of_a_file_is_a_variable(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all")
    turns = [{"user": "Read: {{letter}}", "expect": [{"contains": "all"}]}]
    changes: dict[str, Any] = {"setup": {"files": {"letter": "letter.txt"}}, "turns": turns, "expect": []}
    assert read([written(tmp_path, vars={}, **changes)])[0].scenario.turns[0].user == "Read: Dear all"


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"asistant": "x"}, "unknown key 'asistant'; did you mean assistant?"),
        ({"turns": [{"user": "x", "expect": [{"contians": "y"}]}]}, "did you mean contains?"),
        ({"turns": [{"user": "x", "expect": [{"trajectory": {"cals": []}}]}]}, "did you mean calls?"),
        (
            {"turns": [{"user": "x", "expect": [{"trajectory": [{"name": "a", "argument": {}}]}]}]},
            "did you mean arguments?",
        ),
        ({"turns": []}, "either turns or a user that is simulated"),
        ({"turns": [{"user": "x", "input": {}}]}, "exactly one of user, input, resume, command"),
        ({"expect": [{}]}, "expect.0 needs exactly one kind of assertion, and has none"),
        ({"expect": [{"contains": "a", "regex": "b"}]}, "has contains, regex"),
        ({"expect": [{"not": {"not": {}}}]}, "expect.0.not.not needs exactly one kind"),
        ({"expect": [{"regex": "("}]}, "expect.0.regex is not a regular expression"),
        ({"expect": [{"json": {"schema": {"type": "no-type"}}}]}, "json.schema is not a JSON Schema"),
        ({"expect": [{"state": {"path": "$..x"}}]}, "is not a place like"),
        ({"expect": [{"state": {"equals": 1, "contains": "x"}}]}, "has equals and contains"),
        ({"expect": [{"event": {"count": 1}}]}, "needs either mode or order"),
        ({"expect": [{"trajectory": [{"name": "a", "times": 2}]}]}, "cannot count"),
        ({"expect": [{"contains": ""}]}, "length >= 1"),
        ({"expect": [{"contains": "x", "weight": 0}]}, "> 0"),
        ({"repeat": {"times": 2, "gate": {"pass_k": 3}}}, "pass_k 3 needs at least as many repeats"),
        ({"turns": [{"user": "{{ordr}}"}]}, "unknown variable {{ordr}}; did you mean order?"),
        ({"vars": {"order": [], "limit": 1}}, "vars.order has no value"),
        ({"entry_point": "stateless", "turns": [{"resume": 1}]}, "stateless fits one turn"),
        ({"setup": {"files": {"a": "nowhere.txt"}}}, "setup.files.a: cannot read nowhere.txt"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadScenario) as error:
        read([written(tmp_path, **changes)])
    assert told in str(error.value)
    assert "one.yaml" in str(error.value)


@pytest.mark.parametrize("setting", ["vars", "=1", "a..b=1", "vars.order={"])
def test_a_setting_that_is_none_is_told(tmp_path: Path, setting: str) -> None:
    with pytest.raises(BadScenario, match="--set"):
        read([written(tmp_path)], [setting])


def test_a_name_is_given_once_and_a_tag_must_be_known(tmp_path: Path) -> None:
    written(tmp_path, tags=["smoke"])
    (tmp_path / "two.yml").write_text((tmp_path / "one.yaml").read_text())
    with pytest.raises(BadScenario, match="two files have a scenario 'refund'"):
        read([tmp_path])
    (tmp_path / "two.yml").unlink()
    assert len(read([tmp_path], tags=["smoke"])) == 2
    with pytest.raises(BadScenario, match="did you mean smoke"):
        read([tmp_path], tags=["smok"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadScenario, match="there is no scenario in"):
        read([tmp_path / "empty"])


def test_only_a_name_between_two_braces_is_a_variable() -> None:
    rubric = 'Answers {"score": 1}, or {{ {"a": 1} }}, as {{tier}} says'
    assert names_in([rubric, {"{{key}}": 1}]) == {"tier", "key"}
    assert substituted(rubric, {"tier": "gold"}) == 'Answers {"score": 1}, or {{ {"a": 1} }}, as gold says'
    assert substituted({"{{a}}": ["{{ a }}", "x{{a}}"]}, {"a": 7}) == {7: [7, "x7"]}
    assert list(combinations({"a": [1, 2], "b": "x"})) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]


def test_places_lead_to_values() -> None:
    document = {"a": [{"b.c": 1}, {"d": None}]}
    assert value_at(document, "$") == document
    assert value_at(document, "$.a[0]['b.c']") == 1
    assert value_at(document, "a[-1].d") is None
    for place in ("$.b", "$.a.b", "$.a[7]", "$.a[0].d[0]"):
        with pytest.raises(NothingThere, match="leads nowhere"):
            value_at(document, place)
    with pytest.raises(BadPlace):
        value_at(document, "$.a[x]")


def test_few_samples_say_little() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(9, 10)  # Brown, Cai and DasGupta 2001
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)
    assert wilson(3, 3)[0] < 0.44
    assert (pass_k(4, 5, 3), pass_k(5, 5, 5), pass_k(2, 5, 3), pass_k(1, 1, 2)) == (0.4, 1.0, 0.0, None)


@pytest.mark.parametrize("name", SCHEMAS)
def test_published_schemas_are_those_of_the_structs(name: str) -> None:
    path = CHECKOUT / "contracts" / "schemas" / f"{name}.json"
    assert path.read_text("utf-8") == schema_text(SCHEMAS[name]()), "python -m runstone.conversations.schema"


def test_the_schema_takes_variables_and_refuses_what_the_reader_refuses() -> None:
    schema = Draft202012Validator(of_scenarios())
    assert schema.is_valid(GOOD)
    two_kinds = {"contains": "a", "regex": "b"}
    refused: tuple[dict[str, Any], ...] = ({"turnz": []}, {"expect": [{}]}, {"expect": [two_kinds]})
    for changes in refused:
        assert not schema.is_valid(GOOD | changes)


def test_list_and_schema_on_the_command_line(tmp_path: Path) -> None:
    listed = runstone("scenarios", "list", str(written(tmp_path)))
    assert (listed.returncode, listed.stdout.splitlines()[0]) == (
        0,
        "refund[order=42]  support, 1 turn, by stream",
    )
    assert json.loads(runstone("scenarios", "schema").stdout)["title"] == "Acceptance scenario"
    refused = runstone("scenarios", "run", str(written(tmp_path, asistant="x")))
    assert refused.returncode == 2
    assert "did you mean assistant?" in one_line_of_error(refused)
