"""The connection of one user, on gevent: requests go out, exchanges come back, whatever the target does."""

from __future__ import annotations

import ssl
from typing import Any, Final

import gevent
import httpx
import msgspec
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from geventhttpclient.url import URL

from runstone.load.clock import Clock
from runstone.load.messages import Orders
from runstone.wire.exchange import Event, Exchange, Refusal
from runstone.wire.pace import MOST_PAUSES, refusal
from runstone.wire.redaction import Redactor

_MOST_BYTES: Final = 2 * 1024 * 1024  # of a body
_CONNECT_S: Final = 10.0
_IDLE_S: Final = 3.0  # a connection is used again; uvicorn and Node close one that is idle for 5 s
_LONGEST_PAUSE_S: Final = 60.0  # that a target may ask for
_UNKNOWN: Final = "no answer within {:g} s"


class Road:
    """What the users of one worker share: the way to the target, its secrets, and who asks to wait."""

    def __init__(self, orders: Orders, clock: Clock) -> None:
        url = URL(orders.plan.url)
        self.prefix = "" if url.path == "/" else url.path
        self.clock = clock
        self.url = orders.plan.url
        self.headers = {**orders.headers, "content-type": "application/json"}
        self.redactor = Redactor(orders.headers)
        self.shown = self.redactor.headers(tuple(self.headers.items()))
        self.longest_s = max(60.0, orders.plan.drain_s)
        self.throttled: dict[str, int] = {}
        self.throttled_s = 0.0
        self._not_before = 0.0
        self._network = orders.network
        self._proxy = _proxy_options(orders.network.proxy_for(orders.plan.url))
        self._trust: ssl.SSLContext | None = None

    def client(self) -> HTTPClient:
        """A connection of its own."""
        if self._trust is None:
            self._trust = self._network.trust(self.url)
        trust = self._trust
        return HTTPClient.from_url(
            URL(self.url),
            concurrency=1,
            connection_timeout=_CONNECT_S,
            network_timeout=self.longest_s,
            ssl_context_factory=lambda: trust,
            insecure=self._network.insecure,
            **self._proxy,
        )

    def obey(self, refused: Refusal) -> None:
        """Nobody sends anything for the time that the target asks for."""
        self.throttled[str(refused.code)] = self.throttled.get(str(refused.code), 0) + 1
        self.throttled_s += refused.pause_s
        self._not_before = max(self._not_before, self.clock.now + refused.pause_s)

    def wait_for_it(self) -> None:
        """Wait until requests are welcome again."""
        while (ahead := self._not_before - self.clock.now) > 0:
            gevent.sleep(ahead)


class GeventLine:
    """A `Line` of turns on one connection."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._client = road.client()
        self._used_at = road.clock.now

    @property
    def clock(self) -> float:
        """Seconds since the worker began."""
        return self._road.clock.now

    def sleep(self, seconds: float) -> None:
        """Let others go on meanwhile."""
        gevent.sleep(seconds)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        label: str,
        number: int,
        scenario: str,
        hang_up: bool = False,
    ) -> Exchange:
        """Send it; again where the target asks to wait, which nothing of this worker disregards."""
        content = b"" if body is None else msgspec.json.encode(body)
        blank = Exchange(
            scenario=scenario,
            number=number,
            label=label,
            method=method,
            url=self._road.url + path,
            sent_at=0.0,
            request_headers=self._road.shown,
            request_body=self._road.redactor.text(content.decode()) if content else None,
        )
        refusals: tuple[Refusal, ...] = ()
        while True:
            self._road.wait_for_it()
            exchange = self._sent(blank, self._road.prefix + path, content, hang_up=hang_up)
            refused = _refused(exchange)
            too_long = refused is not None and refused.pause_s > _LONGEST_PAUSE_S
            if refused is None or too_long or len(refusals) == MOST_PAUSES:
                return msgspec.structs.replace(exchange, refused=refusals) if refusals else exchange
            refusals += (refused,)
            self._road.obey(refused)

    def _sent(self, blank: Exchange, path: str, content: bytes, *, hang_up: bool) -> Exchange:
        """One attempt, under a deadline for the whole of it."""
        began = self.clock
        if began - self._used_at > _IDLE_S:
            self._client.close()
            self._client = self._road.client()
        came = _Coming(began, self._road)
        failure: str | None = None
        deadline = gevent.Timeout(self._road.longest_s)
        deadline.start()
        try:
            came.take(self._client.request(blank.method, path, content, self._road.headers), hang_up=hang_up)
        except gevent.Timeout:
            failure = _UNKNOWN.format(self._road.longest_s)
        # ValueError: an id that fits into no path; RuntimeError: a proxy that opens no tunnel.
        except (OSError, HTTPParseError, ValueError, RuntimeError) as error:
            failure = _told(error, self._road.longest_s)
        finally:
            deadline.close()
            self._used_at = self.clock
        if failure is not None:
            self._client.close()
            self._client = self._road.client()
        return came.exchange(blank, failure, hung_up=hang_up and failure is None)


class _Coming:
    """An answer as it comes."""

    def __init__(self, began: float, road: Road) -> None:
        self._began = began
        self._road = road
        self._code: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._headers_after: float | None = None
        self._body = b""
        self._events: list[Event] = []
        self._truncated = False

    def take(self, response: HTTPSocketPoolResponse, *, hang_up: bool) -> None:
        """Read it to its end, or to its first bytes."""
        self._code = response.status_code
        self._headers = tuple((name.lower(), str(value)) for name, value in response.headers)
        self._headers_after = self._after()
        if hang_up:
            self._body = response.read(1)
            response.release()
        elif self._is_stream:
            self._read_events(response)
        else:
            self._body = response.read(_MOST_BYTES)
        if not response.message_complete and not hang_up:
            self._truncated = len(self._body) >= _MOST_BYTES
            response.release()

    @property
    def _is_stream(self) -> bool:
        return any(name == "content-type" and "event-stream" in value for name, value in self._headers)

    def _read_events(self, response: HTTPSocketPoolResponse) -> None:
        """Line by line, so that each event has the time at which it was whole."""
        lines: list[bytes] = []
        pieces: list[bytes] = []
        size = 0
        while size < _MOST_BYTES and (line := response.readline(b"\n")):
            pieces.append(line)
            size += len(line)
            text = line.rstrip(b"\r\n")
            if text:
                lines.append(text)
            elif lines:
                self._note(lines)
                lines = []
        self._body = b"".join(pieces)

    def _note(self, lines: list[bytes]) -> None:
        """An event, where its lines make one."""
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.decode("utf-8", "replace").partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields or "event" in fields:
            text = self._road.redactor.text
            self._events.append(
                Event(
                    event=text(fields.get("event", [""])[-1]),
                    data=text("\n".join(fields.get("data", []))),
                    at=self._after(),
                    id=fields["id"][-1] if "id" in fields else None,
                    data_lines=len(fields.get("data", [])),
                )
            )

    def _after(self) -> float:
        return round(self._road.clock.now - self._began, 5)

    def exchange(self, blank: Exchange, failure: str | None, *, hung_up: bool) -> Exchange:
        """All that came."""
        redactor = self._road.redactor
        return msgspec.structs.replace(
            blank,
            sent_at=round(self._began, 5),
            code=self._code,
            response_headers=tuple((name, redactor.text(value)) for name, value in self._headers),
            content=redactor.text(self._body.decode("utf-8", "replace")),
            truncated=self._truncated,
            headers_after=self._headers_after,
            finished_after=self._after(),
            events=tuple(self._events),
            failure=failure,
            closed_by_client=hung_up,
        )


def _proxy_options(proxy: str | None) -> dict[str, Any]:
    """What a client is told of the proxy that it sends by; nothing for none."""
    if proxy is None:
        return {}
    url = httpx.URL(proxy)
    return {
        "proxy_host": url.host,
        "proxy_port": url.port or 80,
        "proxy_user": url.username or None,
        "proxy_password": url.password or None,
    }


def _refused(exchange: Exchange) -> Refusal | None:
    if exchange.code not in {429, 503}:
        return None
    return refusal(httpx.Response(exchange.code, headers=list(exchange.response_headers)), exchange.sent_at)


def _told(error: Exception, longest_s: float) -> str:
    """A failure in words that are alike for alike causes."""
    if isinstance(error, TimeoutError):
        return _UNKNOWN.format(longest_s)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".").lower() or type(error).__name__
