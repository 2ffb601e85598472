"""The pytest plugin: options and fixtures; `pytest suites --target URL` judges as `runstone check` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone.contracts import Profile
from runstone.errors import RunstoneError
from runstone.judge.hooks import JUDGING, Judging
from runstone.locations import locate
from runstone.scenario.scenario import PATIENT_S, QUICK_S
from runstone.session.opening import Asked, open_session
from runstone.session.session import Session
from runstone.wire.network import Network
from runstone.wire.trace import Trace


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("runstone", "conformance of a server that speaks the LangGraph run API")
    group.addoption("--target", metavar="URL", help="the server to observe, or a recipe that starts it")
    group.addoption("--evidence", metavar="DIR", type=Path, help="judge this evidence instead of a server")
    group.addoption("--config", metavar="FILE", type=Path, help="default: runstone.toml, if there is one")
    group.addoption("--profile", help="the contract's profile (default: langgraph)")
    group.addoption("--header", action="append", default=[], metavar="'NAME: VALUE'", help="send this header")
    group.addoption(
        "--second-header", action="append", default=[], metavar="'NAME: VALUE'", help="of a second user"
    )
    group.addoption("--ca-file", metavar="FILE", help="trust who is certified by these authorities (PEM)")
    group.addoption("--client-cert", metavar="FILE", help="the certificate that is shown to the target (PEM)")
    group.addoption("--client-key", metavar="FILE", help="its key, if that is in a file of its own")
    group.addoption("--insecure", action="store_true", help="check no certificate; every report says so")
    group.addoption(
        "--proxy", metavar="URL|env", help="reach the target by this proxy, or as HTTP_PROXY says"
    )
    group.addoption("--out", metavar="DIR", type=Path, help="where reports and evidence go")
    group.addoption(
        "--concurrency",
        type=int,
        help="scenarios at once, beside as many that sleep (default: 16, quick: 24)",
    )
    group.addoption("--budget", type=float, metavar="SECONDS", help="end the observation then")
    group.addoption(
        "--quick", action="store_true", help=f"leave out scenarios that wait more than {QUICK_S:g} s"
    )
    group.addoption(
        "--patient", action="store_true", help=f"hold also those that wait more than {PATIENT_S:g} s"
    )
    group.addoption("--fail-on", choices=("must", "should"), help="what makes a target fail (default: must)")
    group.addoption("--waivers", metavar="FILE", type=Path, help="known failures")
    group.addoption("--area", action="append", default=[], help="only this area")
    group.addoption(
        "--select", action="append", default=[], metavar="ID-GLOB", help="only these requirements"
    )
    group.addoption(
        "--no-self-check", action="store_true", help="judge even a target without fit conformance graphs"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): this test judges a requirement of the catalogue")
    config.addinivalue_line("markers", "needs(*capabilities): this case applies only to targets with them")
    if not any(isinstance(plugin, Judging) for plugin in config.pluginmanager.get_plugins()):
        judging = Judging(lambda: _session_from(config), demanding=_names_all_suites(config))
        config.pluginmanager.register(judging, "runstone-judging")


def _names_all_suites(config: pytest.Config) -> bool:
    """Whether pytest was given the folder of Runstone's suites, and not only some files of it."""
    given = [(config.invocation_params.dir / word).resolve() for word in config.args]
    return any(locate("suites").is_relative_to(path) for path in given)


def _session_from(config: pytest.Config) -> Session:
    """The session of a plain `pytest suites`; where there is none, pytest ends with one line and our code."""
    try:
        return open_session(_asked(config), _quiet)
    except RunstoneError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _quiet(_name: str, _done: int, _total: int) -> None:
    """Plain pytest shows its own progress."""


def _asked(config: pytest.Config) -> Asked:
    option = config.option
    return Asked(
        target=option.target,
        evidence=option.evidence,
        config=option.config,
        profile=option.profile,
        headers=option.header,
        second_headers=option.second_header,
        network=Network(**{name: getattr(option, name) for name in Network.__struct_fields__}),
        out=option.out,
        concurrency=option.concurrency,
        budget_s=option.budget,
        quick=option.quick,
        patient=option.patient,
        fail_on=option.fail_on,
        areas=option.area,
        select=option.select,
        waivers=option.waivers,
        insist_on_fitness=not option.no_self_check,
        idle=option.collectonly,
    )


@pytest.fixture(scope="session")
def runstone_session(pytestconfig: pytest.Config) -> Session:
    """The session that holds the traces; scenarios' fixtures take theirs from it."""
    return pytestconfig.stash[JUDGING].session


@pytest.fixture(scope="session")
def profile(runstone_session: Session) -> Profile:
    """The profile in force: where a wait's body carries values, error and interrupts."""
    return runstone_session.settings.profile


@pytest.fixture(scope="session")
def traces(runstone_session: Session) -> list[Trace]:
    """Every trace of the session, for monitors; by name, so that evidence judged again reads alike."""
    seen = sorted(runstone_session.seen().items())
    return [trace for _, trace in seen if not trace.cut_short]
