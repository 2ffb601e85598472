"""A server is started again, on its port and with its folder."""

from __future__ import annotations

import httpx
import pytest

from runstone.errors import RunstoneError
from runstone.target import recipes
from tests.recipes.writing import SERVE, Write, alive


def test_every_failure_is_an_error_for_people() -> None:
    family = (recipes.UnknownRecipe, recipes.BadRecipe, recipes.PortTaken, recipes.InstallFailed)
    assert all(
        issubclass(error, RunstoneError) for error in (*family, recipes.StartFailed, recipes.StopFailed)
    )
    assert [error.exit_code for error in family] == [2, 2, 2, 3]
    assert (recipes.StartFailed.exit_code, recipes.StopFailed.exit_code) == (3, 4)


def test_a_server_is_started_again_on_its_port_with_its_folder(write: Write) -> None:
    """The tiny server lists its folder: what an earlier start has left is there."""
    recipe = write("import os, time; open(f'start-{time.time_ns()}', 'w').close()\n" + SERVE)
    with recipes.server(recipe) as server:
        first = server.start()
        with pytest.raises(recipes.StartFailed, match="is running already"):
            server.start()
        server.kill()
        assert not alive(first.pid)
        second = server.start()
        assert second.url == first.url
        server.stop()
        third = server.start()
        seen = httpx.get(third.url + "/ok", trust_env=False).json()["files"]
    assert len([name for name in seen if name.startswith("start-")]) == 3
    assert not alive(third.pid)


def test_only_what_is_said_since_the_last_start_counts(write: Write) -> None:
    """The first start announces itself, the second one is silent: the old line makes nothing ready."""
    code = SERVE.replace('print("up', 'if not os.listdir("."): print("up')
    code = code.replace("server.serve_forever()", "open('started', 'w').close(); server.serve_forever()")
    recipe = write(code, ready={"says": "http://127.0.0.1:{port}", "timeout_s": 2})
    with recipes.server(recipe) as server:
        server.start()
        server.stop()
        with pytest.raises(recipes.StartFailed, match="its output does not say"):
            server.start()


def test_a_closed_server_is_not_started(write: Write) -> None:
    with recipes.server(write()) as server:
        server.close()
        with pytest.raises(recipes.StartFailed, match="given up"):
            server.start()


def test_the_recipes_declare_what_outlives_what() -> None:
    declared = {name: recipes.load(name).target("").declared for name in ("embedded", "langgraph-py")}
    assert (declared["embedded"]["restart"], declared["embedded"]["kill"]) == (True, True)
    assert (declared["langgraph-py"]["restart"], declared["langgraph-py"]["kill"]) == (True, False)


def test_the_recipe_with_authentication_is_the_embedded_one_with_two_users() -> None:
    plain, closed = recipes.load("embedded"), recipes.load("embedded-auth")
    at = closed.command.index("--auth-secret")
    assert closed.command[:at] + closed.command[at + 2 :] == plain.command
    assert {**plain.capabilities, "auth": True} == closed.capabilities
    users = {"headers", "second_headers", "restricted_headers"}
    users = {"headers", "second_headers", "restricted_headers"}
    differ = {"name", "description", "command", "capabilities"} | users
    assert {
        name for name in plain.__struct_fields__ if getattr(plain, name) != getattr(closed, name)
    } == differ
    target = closed.target("")
    capabilities = target.capabilities({}, ())
    assert {capabilities[f"{who}_identity"].declared for who in ("second", "restricted")} == {True}
    assert target.headers != target.second_headers


def test_each_user_of_the_recipe_with_authentication_sees_his_own_threads() -> None:
    recipe = recipes.load("embedded-auth")
    with recipes.running(recipe) as server:
        first = httpx.Client(base_url=server.url, headers=recipe.headers, trust_env=False)
        second = httpx.Client(base_url=server.url, headers=recipe.second_headers, trust_env=False)
        with first, second:
            thread = first.post("/threads", json={}).json()["thread_id"]
            codes = [client.get(f"/threads/{thread}").status_code for client in (first, second)]
        codes.append(httpx.get(f"{server.url}/threads/{thread}", trust_env=False).status_code)
    assert codes == [200, 404, 401]
