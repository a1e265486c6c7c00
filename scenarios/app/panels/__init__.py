"""The panels of the view: one function each, a ``View`` in, a ``Picture`` out; nothing is changed."""
