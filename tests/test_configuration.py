"""runstone.toml: what it says holds, what it cannot mean is one line, flags and environment win over it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runstone.errors import UsageError
from runstone.locations import CHECKOUT, locate
from runstone.scenario.api import Api
from runstone.session import configuration
from runstone.session.configuration import BadConfiguration
from runstone.session.opening import open_session
from runstone.session.options import NOTHING, Given, given
from runstone.session.settings import Settings
from runstone.session.sources import TABLE
from runstone.target import recipes
from runstone.target.target import Target
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.command_line import embedded_with, judged, one_line_of_error, runstone
from tests.servers import heard_by

EXAMPLE = CHECKOUT / "docs" / "runstone.example.toml"
TOKENS = {
    "RUNSTONE_EXAMPLE_TOKEN": "token-of-the-first",
    "RUNSTONE_EXAMPLE_SECOND_TOKEN": "token-of-the-second",
    "RUNSTONE_EXAMPLE_READER_TOKEN": "token-of-the-reader",
}


@pytest.fixture(autouse=True)
def _without_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder of its own, and without the variables of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def loaded(text: str, **environment: str) -> Given:
    """What a runstone.toml of the current folder says."""
    Path("runstone.toml").write_text(text, "utf-8")
    return configuration.load(Path("runstone.toml"), environment)


def settings(asked: Given = NOTHING) -> Settings:
    """What a session would be opened with."""
    return open_session(asked, lambda *_: None, defaults=given(target_name="embedded")).settings


def target(asked: Given = NOTHING) -> Target:
    """The target that a session would observe."""
    found = settings(asked).target
    assert found is not None
    return found


# what it says


def test_the_example_shows_every_key() -> None:
    example = configuration.load(EXAMPLE, TOKENS)
    left_out = {name for name, each in TABLE.items() if each.option.key} - set(example)
    shown = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line.startswith("# ")]
    keys = {name: TABLE[name].option.key.rpartition(".")[2] for name in left_out}
    as_comments = {
        name for name, key in keys.items() if any(line.startswith(f"# {key} = ") for line in shown)
    }
    assert left_out == as_comments  # what would narrow the check, or names a file
    assert example["headers"] == {"Authorization": "Bearer token-of-the-first"}
    assert example["second_headers"] == {"Authorization": "Bearer token-of-the-second"}
    agent = example["agent"]
    assert (agent.assistant, agent.interrupt.resume) == ("my-agent", "yes")


def test_without_a_file_nothing_is_configured() -> None:
    found = settings()
    assert (found.scenarios_at_once, found.fail_on, found.profile.name) == (16, "must", "langgraph")
    assert found.limits == {}
    assert found.target is not None
    assert (found.target.name, found.target.headers, found.target.assistants) == ("embedded", {}, {})


def test_what_the_file_says_holds() -> None:
    Path("runstone.toml").write_text(
        """
        target = "http://127.0.0.1:9"
        path_prefix = "/api"
        profile = "wait-state"
        fail_on = "should"
        out = "elsewhere"
        headers = {X-Tenant = "ours"}
        second_identity.headers = {X-Tenant = "theirs"}
        assistants = {echo = "parrot"}
        capabilities = {crons = true}
        run_time_limit = {assistant = "limited", seconds = 3}
        limits = {concurrency = 3, budget_s = 40, request_s = 9.5}
        server = {restart = ["true"]}
        """,
        "utf-8",
    )
    found = settings()
    assert (found.profile.name, found.fail_on, found.concurrency) == ("wait-state", "should", 3)
    assert (found.budget_s, found.limits) == (40, {"request_s": 9.5})
    assert found.out == Path("elsewhere")
    server = target()
    assert server.url == "http://127.0.0.1:9/api"
    assert (server.headers, server.second_headers) == ({"X-Tenant": "ours"}, {"X-Tenant": "theirs"})
    assert server.assistant("echo") == "parrot"
    assert server.assistant("steps") == "steps"
    declared = server.capabilities({}, ())
    names = ("crons", "restart", "second_identity", "run_time_limit", "wait_timeout")
    assert [declared[name].declared for name in names] == [True] * len(names)
    assert "kill" not in declared


def test_flag_before_environment_before_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runstone.toml").write_text(
        'target = "http://127.0.0.1:1"\nprofile = "wait-state"\nfail_on = "should"\n'
        'limits = {concurrency = 2}\nheaders = {X-Tenant = "file", X-File = "file", x-env = "file"}\n',
        "utf-8",
    )
    monkeypatch.setenv("RUNSTONE_TARGET", "http://127.0.0.1:2")
    monkeypatch.setenv("RUNSTONE_PROFILE", "langgraph")
    monkeypatch.setenv("RUNSTONE_HEADERS", "X-Tenant: environment\nX-Env: environment")
    by_environment = settings()
    assert (target().url, by_environment.profile.name) == ("http://127.0.0.1:2", "langgraph")
    asked = given(
        target_name="http://127.0.0.1:3",
        profile_name="wait-state",
        fail_on="must",
        concurrency=5,
        headers={"x-tenant": "flag"},
    )
    by_flag = settings(asked)
    assert (target(asked).url, by_flag.profile.name) == ("http://127.0.0.1:3", "wait-state")
    assert (by_flag.fail_on, by_flag.concurrency) == ("must", 5)
    assert target(asked).headers == {"x-tenant": "flag", "X-File": "file", "X-Env": "environment"}


def test_a_recipe_asked_for_is_not_the_server_of_the_file() -> None:
    Path("runstone.toml").write_text(
        'target = "http://127.0.0.1:1"\nheaders = {Authorization = "Bearer secret"}\n'
        'assistants = {echo = "parrot"}\nlimits = {concurrency = 2}\n',
        "utf-8",
    )
    asked = given(target_name="embedded")
    assert (target(asked).headers, target(asked).assistants) == ({}, {})
    assert settings(asked).concurrency == 2


def test_another_url_is_not_controlled_by_the_commands_of_the_file() -> None:
    Path("runstone.toml").write_text('target = "http://127.0.0.1:1"\nserver.restart = ["true"]\n', "utf-8")
    assert "restart" in target().declared
    assert "restart" not in target(given(target_name="http://127.0.0.1:2")).declared


def test_a_recipe_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.yaml").write_text(
        "{name: mine, description: ours, command: [x], headers: {A: b}, second_headers: {A: c}}", "utf-8"
    )
    (tmp_path / "mine" / "runstone.toml").write_text('target = "mine.yaml"\nheaders = {B = "d"}\n', "utf-8")
    found = target(given(config=tmp_path / "mine" / "runstone.toml"))
    assert (found.name, found.headers, found.second_headers) == ("mine", {"A": "b", "B": "d"}, {"A": "c"})


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "runstone.toml"
    file.write_text('out = "results"\nwaivers = "known.yaml"\n', "utf-8")
    found = configuration.load(file)
    assert (found["out"], found["waivers"]) == (tmp_path / "sub" / "results", tmp_path / "sub" / "known.yaml")


def test_variables_in_headers() -> None:
    text = 'headers = {A = "Bearer ${KEY}", B = "${USER}:${KEY}", C = "$KEY"}'
    found = loaded(text, KEY="t-1", USER="u")
    assert found["headers"] == {"A": "Bearer t-1", "B": "u:t-1", "C": "$KEY"}


# what it cannot mean


@pytest.mark.parametrize(
    "text, said",
    [
        ("target = ", "is not valid TOML: Invalid value"),
        ("a = 1\na = 2", "is not valid TOML"),
        ('targt = "x"', "unknown key 'targt'; did you mean target"),
        ("limits = {concurency = 3}", "unknown key 'concurency' at limits; did you mean concurrency"),
        ('second_identity = {header = {A = "b"}}', "at second_identity; did you mean headers"),
        ('server = {restrat = ["x"]}', "unknown key 'restrat' at server; did you mean restart"),
        ('agent = {asistant = "x"}', "unknown key 'asistant' at agent; did you mean assistant"),
        ('agent = {assistant = "x", success = {inputs = 1}}', "at agent.success; did you mean input"),
        ('agent = {assistant = "x"}', "missing required field `success` at agent"),
        ('agent = {assistant = " ", success = {input = 1}}', "agent.assistant is empty"),
        ('assistants = {ecko = "x"}', "unknown key 'ecko' at assistants; did you mean echo"),
        ('assistants = {echo = ""}', "assistants.echo is mapped to nothing"),
        ("assistants = {echo = 7}", "expected `str`, got `int` at assistants"),
        ("capabilities = {cron = true}", "unknown key 'cron' at capabilities; did you mean crons"),
        ("capabilities = {restart = true}", r"declare it by \[server\] restart"),
        ('capabilities = {crons = "yes"}', "expected `bool`, got `str` at capabilities"),
        ("target = 7", "got `int` at target"),
        ("target = 2026-01-01", "got `date` at target"),
        ('fail_on = "may"', "at fail_on"),
        ("limits = {concurrency = 0}", "at limits.concurrency"),
        ("limits = {budget_s = -1}", "at limits.budget_s"),
        ('server = {restart = "service restart"}', "got `str` at server.restart"),
        ('server = {kill = ["x"]}', "server.kill lacks server.start"),
        ('server = {start = ["x"]}', "server.start lacks server.kill"),
        ('server = {restart = [""]}', "server.restart names no program"),
        ('server = {restart = ["x"], timeout_s = 0}', "server.timeout_s is 0"),
        ('run_time_limit = {assistant = "x", seconds = 0}', "run_time_limit.seconds is 0"),
        ('path_prefix = "api"', "path_prefix 'api' is not a path"),
        ('path_prefix = "/api/"', "path_prefix '/api/' is not a path"),
        ('headers = {"A B" = "x"}', r"headers\.A B: "),
        ('headers = {A = "geheim\\u0001"}', r"headers\.A: .*no header can carry"),
    ],
)
def test_what_cannot_be_meant_is_one_line(text: str, said: str) -> None:
    with pytest.raises(BadConfiguration, match=said) as caught:
        loaded(text)
    assert str(caught.value).startswith("runstone.toml")
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert caught.value.exit_code == UsageError.exit_code


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(BadConfiguration, match=r"headers\.A needs the environment variable TOKEN"):
        loaded('headers = {A = "${USER}: ${TOKEN}"}', USER="u")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadConfiguration, match=r"cannot read nowhere\.toml: No such file"):
        settings(given(config=Path("nowhere.toml")))


@pytest.mark.parametrize("text", ["targt = 1", "= 1", 'assistants = {echo = ""}'])
@pytest.mark.parametrize("command", ["check", "judge"])
def test_the_command_line_says_it_in_one_line(command: str, text: str) -> None:
    Path("runstone.toml").write_text(text, "utf-8")
    done = runstone(command, *(["nowhere"] if command == "judge" else []))
    assert done.returncode == 2
    assert "runstone.toml" in one_line_of_error(done)
    assert not Path("reports").exists()


# on the wire


def test_the_servers_own_assistants_are_asked(tmp_path: Path) -> None:
    """A server that knows the graphs under other ids is fit once runstone.toml maps them, and not before."""
    house = locate("fixtures") / "graphs" / "python" / "langgraph.json"
    document = json.loads(house.read_bytes())
    graphs = {f"our-{name}": str(house.parent / path) for name, path in document["graphs"].items()}
    own = tmp_path / "langgraph.json"
    own.write_text(json.dumps({**document, "dependencies": [str(house.parent)], "graphs": graphs}), "utf-8")
    with recipes.running(embedded_with(own)) as server:
        lines = [f'target = "{server.url}"', "[assistants]"]
        lines += [f'{name} = "our-{name}"' for name in document["graphs"]]
        Path("runstone.toml").write_text("\n".join(lines), "utf-8")
        with_map = runstone("check", "--area", "turn", "--out", "with")
        without = runstone("check", server.url, "--config", os.devnull, "--area", "turn", "--out", "without")
    assert with_map.returncode == 0, with_map.stdout + with_map.stderr
    verdicts = {verdict for name, verdict in judged(Path("with/report.json")) if name.startswith("TURN-")}
    assert verdicts == {"pass"}
    assert without.returncode == 3
    assert "no fit conformance graphs" in one_line_of_error(without)


@pytest.mark.slow
def test_pytest_reads_the_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the others take 3 s to import
    Path("runstone.toml").write_text('target = "embedded"\nfail_on = "should"\nout = "here"\n', "utf-8")
    suite = str(locate("suites") / "test_thr_get.py")
    command = [sys.executable, "-m", "pytest", suite, "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(Path("here/report.json").read_bytes())
    assert (report["target"]["name"], report["fail_on"]) == ("embedded", "should")
    Path("runstone.toml").write_text('targt = "embedded"\n', "utf-8")
    wrong = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert wrong.returncode == 2
    assert "did you mean target?" in wrong.stdout + wrong.stderr


def test_each_identity_sends_its_own_headers_and_none_is_recorded() -> None:
    described = Target(
        name="t",
        url="",
        headers={"Authorization": "Bearer first-secret", "X-Tenant": "first-tenant"},
        second_headers={"Authorization": "Bearer second-secret"},
    )
    recording = Recording("identities")

    async def ask(url: str) -> None:
        others = {"second": described.second_headers}
        async with Recorder(url, described.headers, Limits(), others) as recorder:  # type: ignore[arg-type]
            api = Api(recorder, described, recording)
            await api.server_ok(label="first")
            await api.second.request("GET", "/echo/second-secret", label="second")
            await api.anonymous.server_ok(label="anonymous")
            await api.each(["p"], lambda part, _: part.second.server_ok(label="second in a part"))

    with heard_by() as (url, heard):
        asyncio.run(ask(url))
    sent = [(each.headers.get("authorization"), each.headers.get("x-tenant")) for each in heard]
    second = ("Bearer second-secret", None)
    assert sent == [("Bearer first-secret", "first-tenant"), second, (None, None), second]
    shown = [dict(each.request_headers).get("authorization") for each in recording.exchanges]
    redacted = "[redacted:second authorization]"
    assert shown == ["[redacted:authorization]", redacted, None, redacted]
    assert recording.exchanges[1].url.endswith("/echo/[redacted:second authorization]")
