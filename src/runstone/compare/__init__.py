"""Two or more targets side by side.

`sides` reads what is to be compared, `meaning` says what of an exchange counts, `differences` aligns two
traces, `comparison` makes the whole, and `texts` and `terminal` show it. Targets after the first are compared
with the first.
"""

from runstone.compare.comparison import Comparison, Side, compare
from runstone.compare.published import publish, results_table, show_in, with_results
from runstone.compare.sides import Wanted, open_sides
from runstone.compare.terminal import print_comparison
from runstone.compare.texts import to_html, to_json, to_markdown, write

__all__ = [
    "Comparison",
    "Side",
    "Wanted",
    "compare",
    "open_sides",
    "print_comparison",
    "publish",
    "results_table",
    "show_in",
    "to_html",
    "to_json",
    "to_markdown",
    "with_results",
    "write",
]
