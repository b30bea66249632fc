"""The names that the bus, the command line and the tray share are valid, and stand alone."""

import ast
import re
from pathlib import Path

from postroad import contract

ELEMENT = "[A-Za-z_][A-Za-z0-9_]*"  # of a name and of a path: D-Bus Specification, "Valid Names"
NAME = re.compile(rf"{ELEMENT}(\.{ELEMENT})+")
PATH = re.compile(rf"(/{ELEMENT})+")


def constants(suffix: str) -> list[str]:
    return [value for name, value in vars(contract).items() if name.endswith(suffix)]


def test_it_imports_nothing_but_the_enums_of_the_standard_library() -> None:
    tree = ast.parse(Path(contract.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["from enum import StrEnum"]


def test_every_name_and_path_is_one_that_the_bus_takes() -> None:
    names = [contract.BUS_NAME, *constants("_INTERFACE"), *contract.BusError]
    assert len(names) > 7
    for name in names:
        assert NAME.fullmatch(name), name
        assert name.startswith(contract.BUS_NAME)
    paths = constants("_PATH")
    assert len(paths) == 6
    assert all(PATH.fullmatch(path) for path in paths)


def test_health_and_severity_go_from_the_best_to_the_worst() -> None:
    assert list(contract.Health) == ["ok", "attention", "broken"]
    assert list(contract.Severity) == ["info", "attention", "broken"]
