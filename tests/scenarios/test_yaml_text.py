"""The YAML that scenario files are written in: YAML 1.2 words, plain values, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.yaml_text import BadYaml, read_yaml, write_yaml

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(plain_values)
def test_what_is_written_reads_back_equal(value):
    assert read_yaml(write_yaml(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("no", "no"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("010", 10), ("true", True)],
)
def test_plain_words_mean_what_yaml_1_2_says(text, value):
    assert read_yaml(text) == value


@pytest.mark.parametrize("text", ["!!int two", "!!timestamp 2024-01-01", "!!bool maybe", "!!set {a, b}"])
def test_tags_that_make_something_else_are_refused(text):
    with pytest.raises(BadYaml):
        read_yaml(text)


@pytest.mark.parametrize("text", ["\x85", "a\x85b", "a\u2028b\nc", "\ufeffx"])
def test_text_with_unusual_line_breaks_reads_back_equal(text):
    assert read_yaml(write_yaml({text: text})) == {text: text}
