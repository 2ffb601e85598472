"""The embedded reference runtime: a server of the run API, small enough to read, that keeps every promise.

It executes the graphs of a langgraph.json with langgraph itself. The way of a request:

    routing     who asks, and which handler answers          errors, answers
    api_*       one module per resource
    planning    a run request becomes a plan                 bodies, assistants
    scheduler   the one path on which every run executes     execution, messages, outcome, webhooks
    channels    how wait, stream and join listen to it           feeds
    timetable   makes the runs that crons are due for            crons
    threads, runs, checkpoints, database                     what outlives the process
"""

from runstone.reference.app import create_app
from runstone.reference.server import serve
from runstone.reference.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
