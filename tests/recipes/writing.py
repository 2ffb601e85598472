"""Recipes start real processes, wait for them, and leave none behind."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from runstone.target.recipes import Recipe

SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ok" else 404)
        self.end_headers()
        seen = {"colour": os.environ.get("COLOUR"), "options": sys.argv[2:], "files": os.listdir(".")}
        self.wfile.write(json.dumps(seen).encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up on http://127.0.0.1:%s" % sys.argv[1])
"""
SERVE = SERVER + "server.serve_forever()\n"

Write = Callable[..., Recipe]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def busy_port(listener: socket.socket) -> int:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return int(listener.getsockname()[1])
