"""Tournaments: which strategy earns what among which others, under which mechanism; and which lies pay.

Worlds that differ in who plays what are the runs of one study (``scenarios.studies``), so that the same persons meet
the same luck in all of them, and what a change of strategy is worth to a person is a difference of two worlds.
"""
