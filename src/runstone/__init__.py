"""Runstone proves whether a server that speaks the LangGraph run API keeps its promises."""

__version__ = "0.1.0"
