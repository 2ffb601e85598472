"""Conversations with a target that assert nothing, and how they are observed."""
