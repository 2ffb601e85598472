"""Where the webhooks of one worker's runs arrive: a listener on loopback, on gevent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from gevent.pywsgi import WSGIServer

from runstone.wire.exchange import Exchange

HOST: Final = "127.0.0.1"
_MOST_BYTES: Final = 256 * 1024  # of a delivery, as it is kept


class Listener:
    """Takes every call; the last part of the path is the token of its start."""

    def __init__(self, take: Callable[[str, Exchange], None]) -> None:
        self._take = take
        listening = socket.create_server((HOST, 0), backlog=1024)
        # With a name it need not look one up, for which it would let others run, in the midst of this.
        named = {"SERVER_NAME": HOST}
        self._server = WSGIServer(listening, self._answer, log=None, error_log=None, environ=named)
        self._server.start()
        self.url = f"http://{HOST}:{listening.getsockname()[1]}/webhook"

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body: bytes = environ["wsgi.input"].read()
        path: str = environ["PATH_INFO"]
        exchange = Exchange(
            scenario="",
            number=0,
            label="delivery",
            method=environ["REQUEST_METHOD"],
            url=self.url.removesuffix("/webhook") + path,
            sent_at=0.0,
            request_headers=(("content-type", str(environ.get("CONTENT_TYPE", ""))),),
            request_body=body[:_MOST_BYTES].decode("utf-8", "replace"),
            request_truncated=len(body) > _MOST_BYTES,
            code=200,
        )
        self._take(path.rpartition("/")[2], exchange)
        start("200 OK", [("Content-Length", "0")])
        return [b""]
