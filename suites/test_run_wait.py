"""POST /threads/{thread_id}/runs/wait: block until the run ends, answer with its final values."""

from __future__ import annotations

from runstone.suite import Profile, Trace, requirement


@requirement("RUN-WAIT-002")
def test_body_is_the_final_values(success: Trace, profile: Profile) -> None:
    turn = success.part("wait")
    assert profile.wait.values_in(turn.result.object) == turn.state.object["values"]
