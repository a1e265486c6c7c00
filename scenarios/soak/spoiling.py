"""Ways to spoil the content of a file: wrong types, extremes, holes, additions, depth, and broken bytes.

Most of these are refused where types are checked. Half of all files are therefore only shifted: numbers become others
of their kind and lists other lists, so that many get further, to what checks values together and to what computes.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from scenarios.soak.dice import Dice

EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, -0.0, 0.5, 7, 2**31, 2**63, -(2**63), 10**30, 10**400),
    *(1e-320, 1e-9, 1e15, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "nan", "1e5", "null", "2026-01-01", "../..", "\u202e\u0000\ufffd", "ß" * 300, "honest", "x\ny"),
    *([], {}, [[]], [None], {"name": None}, {"name": "honest"}, {"": ""}, {"kind": "constant"}, [1, "a", {}]),
)


FACTORS = (0, 0.5, 0.999, 1.001, 2, 3, 10, 1000, 1e-6, -1)
"""What numbers are shifted by."""


def spoiled(dice: Dice, content: Any) -> Any:
    """A copy of the content with one thing done to it, or a few: of all kinds, or of those that leave its shape."""
    found, do = copy.deepcopy(content), dice.one_of([_once, _shifted])
    for _ in range(dice.one_of([1, 1, 1, 2, 4])):
        found = do(dice, found)
    return found


def broken(dice: Dice, raw: bytes) -> bytes:
    """The bytes as they are in most cases; else cut off, or with others in them."""
    if dice.chance(0.9) or not raw:
        return raw
    place = dice.whole(0, len(raw) - 1)
    junk = dice.one_of(
        [b"\x00", b"\xff\xfe", b"\t", b"\xef\xbb\xbf", b"{", b"&a *a", b"!!python/object:os.system", b"\n"]
    )
    return raw[:place] if dice.chance(0.4) else raw[:place] + junk + raw[place:]


def as_yaml(content: Any) -> bytes:
    """The content as a YAML file."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


def as_json(content: Any) -> bytes:
    """The content as a JSON file, with NaN and Infinity where there are such numbers."""
    return json.dumps(content).encode()


def _once(dice: Dice, content: Any) -> Any:
    places = list(_places(content))
    if not places:
        return dice.one_of(EXTREMES)
    above, key = places[dice.whole(0, len(places) - 1)]
    way = dice.whole(0, 9)
    if way <= 4:
        above[key] = copy.deepcopy(dice.one_of(EXTREMES))
    elif way == 5:
        del above[key]
    elif way == 6:
        above[key] = [above[key]] * dice.one_of([1, 2, 50])
    elif way == 7:
        above[key] = _nested(above[key], dice.one_of([1, 5, 60]))
    elif way == 8 and isinstance(above, dict):
        above[dice.one_of(["", "nmae", "rate", "\u00e9", "a.b", "x" * 200])] = copy.deepcopy(dice.one_of(EXTREMES))
    elif isinstance(above[key], (int, float)) and not isinstance(above[key], bool):
        above[key] = above[key] * dice.one_of([-1, 1000, 1e-6, 1e12])
    else:
        above[key] = str(above[key])
    return content


def _shifted(dice: Dice, content: Any) -> Any:
    """One number is another of its kind, or two neighbours in a list change places, or one of them is another's."""
    places = [(above, key) for above, key in _places(content) if _is_number(above[key]) or isinstance(above, list)]
    if not places:
        return content
    above, key = dice.one_of(places)
    if isinstance(above, list) and (not _is_number(above[key]) or dice.chance(0.3)):
        other = dice.whole(0, len(above) - 1)
        above[key], above[other] = above[other], copy.deepcopy(above[dice.one_of([key, other])])
    else:
        above[key] = _another(dice, above[key])
    return content


def _another(dice: Dice, number: Any) -> Any:
    shifted = (float(number) or 1.0) * dice.one_of(FACTORS)
    if isinstance(number, str):
        return f"{shifted:g}"
    return int(shifted) if isinstance(number, int) else shifted


def _is_number(value: Any) -> bool:
    """Also one in a table that is written as text."""
    if isinstance(value, str):
        return value.replace(".", "", 1).isdecimal()
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _nested(content: Any, depth: int) -> Any:
    for _ in range(depth):
        content = {"name": content} if depth == 1 else [content]
    return content


def _places(content: Any) -> Any:
    if isinstance(content, dict):
        for key in list(content):
            yield content, key
            yield from _places(content[key])
    elif isinstance(content, list):
        for key in range(len(content)):
            yield content, key
            yield from _places(content[key])
