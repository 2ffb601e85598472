"""Two or more targets side by side; those after the first are compared with the first.

`sides` reads what is to be compared, `answers` says what of an exchange counts, `differences` aligns two
traces, `comparison` makes the whole, and `texts` and `terminal` show it.
"""

from runstone.compare.comparison import compare
from runstone.compare.published import publish, show_in
from runstone.compare.sides import open_sides
from runstone.compare.terminal import print_comparison
from runstone.compare.texts import texts_of

__all__ = ["compare", "open_sides", "print_comparison", "publish", "show_in", "texts_of"]
