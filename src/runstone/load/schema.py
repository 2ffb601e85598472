"""The JSON Schema of load.json, made from the structs that read and write it.

`python -m runstone.load.schema` writes it to contracts/schemas.
"""

from __future__ import annotations

from typing import Any

from runstone.contracts.schemas import schema_of, schema_text
from runstone.files import replace_file
from runstone.load.model import Load
from runstone.locations import CHECKOUT


def of_load() -> dict[str, Any]:
    """The schema of load.json."""
    return schema_of("load", "A load", "What `runstone load` and `runstone soak` found.", Load)


def main() -> None:
    """Write the schema again."""
    replace_file(CHECKOUT / "contracts" / "schemas" / "load.json", schema_text(of_load()))


if __name__ == "__main__":
    main()
