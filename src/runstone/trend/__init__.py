"""A memory over nights: the lines of a history, what they say together, and pages of it."""

from runstone.trend.course import Course, course_of
from runstone.trend.history import MalformedHistory, Night, TwoTargets, WrongClock, add, night_of, read
from runstone.trend.pages import is_late, texts_of

__all__ = [
    "Course",
    "MalformedHistory",
    "Night",
    "TwoTargets",
    "WrongClock",
    "add",
    "course_of",
    "is_late",
    "night_of",
    "read",
    "texts_of",
]
