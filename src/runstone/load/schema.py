"""The JSON Schemas of load.json and of a comparison of loads, made from the structs that write them.

`python -m runstone.load.schema` writes both to contracts/schemas.
"""

from __future__ import annotations

from typing import Any

from runstone.contracts.schemas import schema_of, schema_text
from runstone.files import replace_file
from runstone.load.comparing import LoadComparison
from runstone.load.model import Load
from runstone.locations import CHECKOUT


def of_load() -> dict[str, Any]:
    """The schema of load.json."""
    return schema_of("load", "A load", "What `runstone load` and `runstone soak` found.", Load)


def of_comparison() -> dict[str, Any]:
    """The schema of the compare.json of loads."""
    said = "What `runstone compare` found of loads side by side."
    return schema_of("load-comparison", "A comparison of loads", said, LoadComparison)


def main() -> None:
    """Write the schemas again."""
    folder = CHECKOUT / "contracts" / "schemas"
    replace_file(folder / "load.json", schema_text(of_load()))
    replace_file(folder / "load-comparison.json", schema_text(of_comparison()))


if __name__ == "__main__":
    main()
