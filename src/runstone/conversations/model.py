"""A language model at any address that speaks the OpenAI API: it judges rubrics, and plays users.

Its key comes from the environment and is written down nowhere. What it answers is recorded by the digest of
the question; what it fails to answer is an error of the judge, never a verdict on the agent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.conversations.format import Simulate
from runstone.conversations.playing import ModelFailed
from runstone.conversations.questions import ANSWER_SCHEMA, CONTROL, Answer, Model, Question, answered
from runstone.errors import UsageError

if TYPE_CHECKING:
    import httpx
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion
    from pyrate_limiter import Limiter

KEY: Final = "OPENAI_API_KEY"
_RETRIES: Final = 3
_TIMEOUT_S: Final = 60.0
_AT_ONCE: Final = 4
_MOST_TOKENS: Final = 800  # of an answer: two sentences and a score, or what a user says
_CHARACTERS_PER_TOKEN: Final = 3  # so few that a call never costs more than was set aside
_FORMAT: Final = {"name": "judgement", "strict": True, "schema": ANSWER_SCHEMA}
_NO_CALLS: Final = "the limit of {0} calls of the model was reached"
_NO_MONEY: Final = "the budget of {0:g} USD for the model was used up"
_USER: Final = """\
You play a user who talks to an assistant. Stay in your role, write only what the user says next, and never \
help the assistant. Your goal: {goal}
{persona}{knows}When your goal is reached, or can no longer be reached, write {stop} and nothing else."""


class ModelMissing(UsageError):  # noqa: N818 - named as what it reports
    """No model can be asked: its package or its key is missing."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How far asking may go. `prices`: USD for a million tokens, of questions and of answers.

    `per_minute`: requests in any minute, those that are sent again included; more of them wait.
    """

    calls: int | None = None
    per_minute: int | None = None
    usd: float | None = None
    prices: tuple[float, float] | None = None
    retries: int = _RETRIES
    timeout_s: float = _TIMEOUT_S


@dataclass(slots=True)
class Purse:
    """What was spent, and what is set aside for calls that are under way."""

    limits: Limits
    calls: int = 0
    usd: float = 0.0

    def take(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Set a call's price aside; why that cannot be done, '' where it can."""
        if self.limits.calls is not None and self.calls >= self.limits.calls:
            return _NO_CALLS.format(self.limits.calls)
        most = self._most(messages)
        if self.limits.usd is not None and self.usd + most > self.limits.usd:
            return _NO_MONEY.format(self.limits.usd)
        self.calls += 1
        self.usd += most
        return ""

    def settle(self, messages: Sequence[Mapping[str, str]], tokens: tuple[int, int] | None) -> None:
        """Put what the call took in the place of what was set aside; None where nobody knows what it took."""
        if tokens is not None:
            self.usd += self._price(*tokens) - self._most(messages)

    def _most(self, messages: Sequence[Mapping[str, str]]) -> float:
        characters = sum(len(each["content"]) for each in messages)
        return self._price(characters // _CHARACTERS_PER_TOKEN, _MOST_TOKENS)

    def _price(self, asked: int, told: int) -> float:
        per_question, per_answer = self.limits.prices or (0.0, 0.0)
        return (asked * per_question + told * per_answer) / 1_000_000


@dataclass(slots=True)
class OpenAITalker:
    """A model asked by the openai client. Raises ModelMissing where the client or the key is missing."""

    model: Model
    url: str | None = None
    limits: Limits = field(default_factory=Limits)
    key_variable: str = KEY
    purse: Purse = field(init=False)
    _key: str = field(init=False, repr=False)
    _at_once: asyncio.Semaphore = field(init=False)
    _pace: Limiter | None = field(init=False)
    _controls: dict[str, Answer] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Find out at once whether it can be asked at all, and not in the middle of a run."""
        for package in ("openai", "pyrate_limiter"):
            if find_spec(package) is None:
                raise ModelMissing(
                    f"a model is asked with {package}, which is not installed; "
                    "install it with: pip install 'runstone[scenarios]'"
                )
        self._key = os.environ.get(self.key_variable, "")
        if not self._key and self.url is None:
            raise ModelMissing(
                f"the model {self.model.name} needs a key: set {self.key_variable}, "
                "or name a server of your own with --judge-url"
            )
        if self.limits.usd is not None and self.limits.prices is None:
            raise ModelMissing("--budget-usd needs the model's prices: --judge-prices QUESTION,ANSWER")
        self.purse = Purse(self.limits)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._pace = None if self.limits.per_minute is None else _pace_of(self.limits.per_minute)

    async def ask(self, question: Question) -> Answer:
        """The answer to a question; a failure is an answer with its `error`."""
        if question.key in self._controls:
            return self._controls[question.key]
        unasked = self.purse.take(question.messages)
        if unasked:
            return Answer(unasked=unasked)
        try:
            said = await self._complete(
                question.messages,
                seed=question.model.seed + question.sample,
                response_format={"type": "json_schema", "json_schema": _FORMAT},
            )
            text = _text_of(said)
        except ModelFailed as error:
            return Answer(error=str(error))
        tokens = 0 if said.usage is None else said.usage.total_tokens
        answer = msgspec.structs.replace(answered(text, question), model=said.model or "", tokens=tokens)
        if question.asker == CONTROL and not answer.error:  # it is not a sample, and is asked once for all
            self._controls[question.key] = answer
        return answer

    async def say(self, simulate: Simulate, told: Sequence[dict[str, Any]]) -> str:
        """What the user says next. Raises ModelFailed."""
        messages = [{"role": "system", "content": _role_of(simulate)}]
        for each in told:  # to the model that plays the user, the assistant is who talks to it
            content = str(each.get("text") or "")
            if "asks_for_approval" in each:
                content = f"(asks) {msgspec.json.encode(each['asks_for_approval']).decode()}"
            if content and each["role"] in {"user", "assistant"}:
                role = "assistant" if each["role"] == "user" else "user"
                messages.append({"role": role, "content": content})
        if len(messages) == 1:
            messages.append({"role": "user", "content": "(the conversation begins; you speak first)"})
        unasked = self.purse.take(messages)
        if unasked:
            raise ModelFailed(unasked)
        text = _text_of(await self._complete(messages, seed=self.model.seed)).strip()
        if not text:
            raise ModelFailed("it said nothing")
        return text

    async def _complete(self, messages: list[dict[str, str]], **fields: Any) -> ChatCompletion:
        """Raises ModelFailed for whatever keeps the model from answering."""
        import openai  # the extra `scenarios`; importing it takes 0.5 s

        async with self._at_once, self._client() as client:
            try:
                answer: ChatCompletion = await client.chat.completions.create(
                    model=self.model.name,
                    messages=messages,  # type: ignore[arg-type]  # they are messages, spelled as mappings
                    temperature=self.model.temperature,
                    max_completion_tokens=_MOST_TOKENS,
                    **fields,
                )
            except openai.APIStatusError as error:
                told = f"the model answered {error.status_code}: {error.message}"
                raise ModelFailed(self._plainly(told)) from None
            except openai.APITimeoutError:
                raise ModelFailed(f"the model did not answer within {self.limits.timeout_s:g} s") from None
            except openai.OpenAIError as error:
                raise ModelFailed(self._plainly(f"the model cannot be asked: {error}")) from None
            except ValueError as error:  # what came is not JSON at all
                raise ModelFailed(f"the model's server answered no JSON: {error}") from None
        usage = getattr(answer, "usage", None)
        self.purse.settle(messages, None if usage is None else (usage.prompt_tokens, usage.completion_tokens))
        return answer

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        return AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            max_retries=self.limits.retries,
            timeout=self.limits.timeout_s,
            # Of every request: those that the client sends again count as any other.
            http_client=DefaultAsyncHttpxClient(event_hooks={"request": [self._wait_its_turn]}),
        )

    async def _wait_its_turn(self, _: httpx.Request) -> None:
        if self._pace is not None:
            await self._pace.try_acquire_async()

    def _plainly(self, text: str) -> str:
        """On one line, and without the key, which a server may repeat."""
        line = " ".join(text.split())[:300]
        return line.replace(self._key, f"[{self.key_variable}]") if self._key else line


def _pace_of(per_minute: int) -> Limiter:
    """So many in any minute. Its requests are few, so that none need be forgotten by a thread of its own."""
    from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, SingleBucketFactory

    bucket = InMemoryBucket([Rate(per_minute, Duration.MINUTE)])
    return Limiter(SingleBucketFactory(bucket, schedule_leak=False))


def _text_of(answer: ChatCompletion) -> str:
    """What the model wrote. Raises ModelFailed for a refusal and for an answer that was cut."""
    choices = getattr(answer, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise ModelFailed("the model's server answered without a message")
    choice = choices[0]
    if getattr(choice.message, "refusal", None):
        raise ModelFailed(f"the model refused: {choice.message.refusal}")
    if choice.finish_reason == "length":
        raise ModelFailed("the model's answer was cut: it is longer than an answer may be")
    return choice.message.content or ""


def _role_of(simulate: Simulate) -> str:
    persona = f"Who you are: {simulate.persona}\n" if simulate.persona else ""
    known = msgspec.json.encode(simulate.knows).decode()
    knows = f"What you know, and tell when you are asked: {known}\n" if simulate.knows else ""
    return (
        _USER.replace("{stop}", simulate.stop)
        .replace("{persona}", persona)
        .replace("{knows}", knows)
        .replace("{goal}", simulate.goal)
    )
