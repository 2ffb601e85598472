"""What reports are tested with: the examples of the schema, exchanges to show, and hostile text."""

from __future__ import annotations

from pathlib import Path

import msgspec

from runstone import report as reports
from runstone.verdict.model import Report
from runstone.wire.exchange import Exchange

EXAMPLES = Path(__file__).parents[1] / "contracts/schemas/examples/report/conforms"
OWNED = (
    "</script><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
)


def example(name: str) -> Report:
    """The report in the example of that name; in `every-verdict` each of them occurs."""
    return reports.from_json((EXAMPLES / f"{name}.json").read_bytes())


def exchange(scenario: str, number: int, *, content: str = "{}", **changes: object) -> Exchange:
    plain = Exchange(
        scenario=scenario,
        number=number,
        label="wait",
        method="POST",
        url="http://127.0.0.1:2024/threads/6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10/runs/wait",
        sent_at=1.5,
        request_headers=(("content-type", "application/json"), ("x-api-key", "[redacted:x-api-key]")),
        request_body='{"assistant_id":"tools"}',
        code=200,
        response_headers=(("content-type", "application/json"),),
        content=content,
        headers_after=0.012,
        first_byte_after=0.013,
        finished_after=1.0423,
    )
    return msgspec.structs.replace(plain, **changes)
