"""`python -m runstone`."""

from runstone.cli import main

main()
