"""How long a scenario may have to wait before a check leaves it out, in seconds."""

from typing import Final

QUICK_S: Final = (
    5.0  # `--quick` leaves out scenarios that must wait longer than this, heavy and thorough ones
)
SLEEPS_S: Final = 1.0  # what waits so long spends most of its time asleep
PATIENT_S: Final = 60.0  # and only `--patient` runs those that must wait longer than this
