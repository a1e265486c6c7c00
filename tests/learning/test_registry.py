import pytest

from learning.registry import Registry, UnknownName


@pytest.fixture
def animals() -> Registry:
    registry = Registry("animal")
    registry.register("horse")("neighs")
    registry.register("cow")("moos")
    return registry


def test_entries_are_found_by_name_in_order_of_registration(animals):
    assert list(animals) == ["horse", "cow"]
    assert animals["cow"] == "moos"
    assert len(animals) == 2
    assert "dog" not in animals


def test_an_unknown_name_suggests_the_nearest(animals):
    with pytest.raises(UnknownName) as caught:
        animals["hose"]
    assert str(caught.value) == "unknown animal 'hose', did you mean 'horse'?"


def test_an_unknown_name_without_a_near_one_lists_all(animals):
    with pytest.raises(UnknownName, match="unknown animal 'xyz', known: horse, cow"):
        animals["xyz"]


def test_a_name_is_taken_only_once(animals):
    with pytest.raises(ValueError, match="animal 'cow' is registered twice"):
        animals.register("cow")("bellows")


def test_the_decorator_hands_back_what_it_files():
    registry = Registry("function")

    @registry.register("double")
    def double(value):
        """Twice the value.

        More words.
        """
        return 2 * value

    assert registry["double"] is double
    assert registry.description("double") == "Twice the value."


def test_an_entry_without_docstring_has_an_empty_description():
    registry = Registry("function")
    registry.register("silent")(lambda: None)
    assert registry.description("silent") == ""
