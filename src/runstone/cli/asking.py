"""The options of commands that may ask a language model, and run functions of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from runstone.conversations.assertions import OwnCheck
    from runstone.conversations.model import OpenAITalker
    from runstone.conversations.playing import Talker

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")
_OPTIONS = (
    click.option(
        "--judge-model", envvar="RUNSTONE_JUDGE_MODEL", metavar="NAME", help="Judges rubrics, plays users."
    ),
    click.option(
        "--judge-url",
        envvar="RUNSTONE_JUDGE_URL",
        metavar="URL",
        help="Of its OpenAI API. Default: OpenAI's own.",
    ),
    click.option(
        "--judge-key",
        default="OPENAI_API_KEY",
        show_default=True,
        metavar="VARIABLE",
        help="The environment variable that holds its key, which is recorded nowhere.",
    ),
    click.option("--judge-temperature", type=click.FloatRange(0, 2), default=0.0, show_default=True),
    click.option("--judge-seed", type=click.IntRange(0), default=0, show_default=True),
    click.option("--judge-retries", type=click.IntRange(0, 20), default=3, show_default=True),
    click.option(
        "--judge-timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds."
    ),
    click.option("--max-calls", type=click.IntRange(0), help="Ask the model no more often than this."),
    click.option(
        "--max-calls-per-minute",
        type=click.IntRange(1),
        help="Send the model no more requests in any minute, retries included; the others wait.",
    ),
    click.option(
        "--budget-usd", type=click.FloatRange(0), help="Spend no more on the model; needs its prices."
    ),
    click.option(
        "--judge-prices",
        metavar="QUESTION,ANSWER",
        help="USD for a million tokens of either, like 0.15,0.60.",
    ),
    click.option(
        "--trust-python",
        is_flag=True,
        help="Run the functions that `python` assertions name; else: not judged.",
    ),
)


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line says of who judges what no assertion can."""

    judge_model: str | None = None
    judge_url: str | None = None
    judge_key: str
    judge_temperature: float
    judge_seed: int
    judge_retries: int
    judge_timeout: float
    max_calls: int | None = None
    max_calls_per_minute: int | None = None
    budget_usd: float | None = None
    judge_prices: str | None = None
    trust_python: bool = False

    def talkers(self) -> Callable[[], Talker | None]:
        """Makes the model for each of several batches; they keep to one budget. Raises ModelMissing."""
        first = self.talker()

        def another() -> Talker | None:
            made = self.talker()
            if made is not None and first is not None:
                made.purse = first.purse
            return made

        return another

    def talker(self) -> OpenAITalker | None:
        """The model that is meant; None where none is named. Raises ModelMissing."""
        from runstone.conversations.model import Limits, OpenAITalker
        from runstone.conversations.questions import Model

        if self.judge_model is None:
            return None
        return OpenAITalker(
            model=Model(name=self.judge_model, temperature=self.judge_temperature, seed=self.judge_seed),
            url=self.judge_url,
            key_variable=self.judge_key,
            limits=Limits(
                calls=self.max_calls,
                per_minute=self.max_calls_per_minute,
                usd=self.budget_usd,
                prices=_prices(self.judge_prices),
                retries=self.judge_retries,
                timeout_s=self.judge_timeout,
            ),
        )

    def own(self, *folders: Path) -> Callable[[str], OwnCheck] | None:
        """What finds functions of the user's own; None where they are not trusted."""
        from runstone.conversations.functions import trusted

        return trusted((Path.cwd(), *folders)) if self.trust_python else None


def asking(
    command: Callable[Concatenate[Asking, _Params], _Result],
) -> Callable[_Params, _Result]:
    """Give a command these options; it gets what they say as its first argument."""

    @wraps(command)
    def called(*args: _Params.args, **given: _Params.kwargs) -> _Result:
        own: dict[str, Any] = {name: given.pop(name) for name in Asking.__struct_fields__}
        return command(Asking(**own), *args, **given)

    for each in reversed(_OPTIONS):
        each(called)
    return called


def _prices(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        asked, told = map(float, text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not QUESTION,ANSWER, like 0.15,0.60", param_hint="--judge-prices"
        ) from None
    return asked, told
