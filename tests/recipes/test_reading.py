"""Recipes are read: their versions, waivers, and what is malformed in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstone.errors import UsageError
from runstone.target import recipes
from tests.command_line import one_line_of_error, runstone
from tests.recipes.writing import Write


def test_every_recipe_of_the_house_loads() -> None:
    assert {"embedded", "langgraph-py", "langgraph-js", "pure-graph"} <= set(recipes.names())
    for name in recipes.names():
        recipe = recipes.load(name)
        assert recipe.name == name
        assert recipe.ready.says.endswith("127.0.0.1:{port}")


def test_the_embedded_recipe_declares_its_run_time_limit() -> None:
    target = recipes.load("embedded").target("http://127.0.0.1:1")
    assert target.run_time_limit is not None
    assert (target.run_time_limit.assistant, target.run_time_limit.seconds) == ("limited", 1)
    assert "limited=1" in recipes.load("embedded").command
    assert target.declared["wait_timeout"] is True


def test_the_official_server_is_pinned_to_the_last_package() -> None:
    install = recipes.load("langgraph-py").install
    assert install is not None
    assert install.python is not None
    lines = [
        line for line in Path(install.python).read_text("utf-8").splitlines() if line[:1] not in {"", "#"}
    ]
    assert len(lines) > 50
    assert [line for line in lines if "==" not in line] == []


def test_an_unknown_recipe_names_the_nearest_and_all() -> None:
    with pytest.raises(recipes.UnknownRecipe, match=r"did you mean langgraph-py\?.*embedded") as caught:
        recipes.load("langgraf-py")
    assert caught.value.exit_code == UsageError.exit_code


@pytest.mark.parametrize("name", ["langgraph-py", "langgraph-js"])
def test_the_official_servers_are_had_in_other_versions(name: str) -> None:
    pinned = recipes.load(name)
    assert pinned.install is not None
    assert pinned.install.versions is not None
    assert recipes.load(f"{name}@{pinned.install.versions.pinned}") == pinned
    other = recipes.load(f"{name}@0.5.42")
    assert (other.name, other.waivers) == (f"{name}@0.5.42", None)
    assert other.install is not None
    assert pinned.install.python_packages == []
    assert pinned.install.npm_packages == {}
    asked = [*other.install.python_packages, *other.install.npm_packages.values()]
    assert any(each.endswith("0.5.42") for each in asked)


def test_a_version_may_have_known_failures_of_its_own(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tiny.txt").touch()
    (tmp_path / "old.waivers.yaml").write_text("waivers: []\n", "utf-8")
    versions = {"pinned": "2.0", "python": ["tiny=={version}"], "waivers": {"1.0": "old.waivers.yaml"}}
    write(install={"python": "tiny.txt", "versions": versions})
    tiny = tmp_path / "tiny.yaml"
    found = {version: recipes.load(f"{tiny}@{version}").waivers for version in ("1.0", "1.1", "2.0")}
    assert found == {"1.0": str(tmp_path / "old.waivers.yaml"), "1.1": None, "2.0": None}
    assert recipes.waivers_of("langgraph-py@0.8.7") == recipes.load("langgraph-py@0.8.7").waivers
    assert recipes.waivers_of("127.0.0.1:2024") is None


def test_the_pinned_version_is_the_one_that_is_installed() -> None:
    python, npm = (recipes.load(name).install for name in ("langgraph-py", "langgraph-js"))
    assert python is not None and python.versions is not None and python.python is not None  # noqa: PT018
    assert f"langgraph-api=={python.versions.pinned}\n" in Path(python.python).read_text("utf-8")
    assert npm is not None and npm.versions is not None and npm.npm is not None  # noqa: PT018
    package = json.loads((Path(npm.npm) / "package.json").read_text("utf-8"))
    assert {package["dependencies"][each] for each in npm.versions.npm} == {npm.versions.pinned}


@pytest.mark.parametrize(
    "name, said",
    [
        ("embedded@1.0", "the recipe 'embedded' takes no version; leave out @1.0"),
        ("langgraph-py@latest", "langgraph-py@latest names no version; write one like langgraph-py@0."),
        ("langgraph-py@", "langgraph-py@ names no version"),
        ("langgraf-py@0.8.7", "no recipe 'langgraf-py'; did you mean langgraph-py?"),
    ],
)
def test_what_is_no_version_of_a_known_server(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipes.load(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["up"], ["check"], ["compare", "embedded"]])
def test_commands_take_a_version_and_refuse_one_that_is_none(words: list[str]) -> None:
    done = runstone(*words, "langgraph-py@latest")
    assert done.returncode == 2
    assert "langgraph-py@latest names no version" in one_line_of_error(done)


def test_a_missing_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(recipes.UnknownRecipe, match=r"none\.yaml: No such file"):
        recipes.load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"comand": []}, "unknown key 'comand'; did you mean command?"),
        ({"command": "one word"}, "expected `array`"),
        ({"command": []}, "command is empty"),
        ({"command": ["{pyhton}"]}, "{pyhton} is not a placeholder"),
        ({"env": {"A": "{"}}, "stray brace"),
        ({"waivers": "none.waivers.yaml"}, "names none.waivers.yaml, which is not next to it"),
        ({"install": {"python": "none.txt"}}, "names none.txt, which is not next to it"),
        ({"install": {"python": "a", "version": "1.0"}}, "install.version needs install.versions"),
        (
            {"install": {"python": "a", "versions": {"pinned": "1.0"}}},
            "install.versions.python says how install.python is had otherwise: give both or none",
        ),
        (
            {"install": {"python": "a", "versions": {"pinned": "1.0", "python": ["tinyserver"]}}},
            "install.versions.python never says {version}",
        ),
        ({"install": {"npm": "a", "python_version": "3.12"}}, "install.python_version needs install.python"),
        ({"services": ["mysql"]}, "invalid enum value 'mysql'"),
        ({"env": {"A": "{redis}"}, "services": ["postgresql"]}, "{redis} needs services: [redis]"),
        ({"env": {"A": "{password}"}}, "{password} needs services"),
        ({"run_time_limit": {"assistant": "limited"}}, "missing required field `seconds`"),
    ],
)
def test_a_malformed_recipe_is_refused_in_one_line(
    write: Write, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(recipes.BadRecipe) as caught:
        write(**fields)
    assert said in str(caught.value)
    assert "tiny.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: [unclosed\nother: }", "utf-8")
    with pytest.raises(recipes.BadRecipe, match=r"broken\.yaml is not valid YAML") as caught:
        recipes.load(str(path))
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(write: Write, tmp_path: Path) -> None:
    """The later command would silently win."""
    write()
    path = tmp_path / "tiny.yaml"
    path.write_text(path.read_text("utf-8") + "command: [other]\n", "utf-8")
    with pytest.raises(
        recipes.BadRecipe, match=r"tiny\.yaml is not valid YAML: the key 'command' is given twice"
    ):
        recipes.load(str(path))


def test_waivers_lie_next_to_the_recipe(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tiny.waivers.yaml").write_text("waivers: []", "utf-8")
    assert write(waivers="tiny.waivers.yaml").waivers == str(tmp_path / "tiny.waivers.yaml")
