"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil

import pytest

import trisent

MODULES = [m.name for m in pkgutil.walk_packages(trisent.__path__, "trisent.") if not m.name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(name), optionflags=flags).failed == 0
