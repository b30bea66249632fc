"""No dataclass of ours shows a secret in its repr: it would be one careless log line away."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator

import postroad
from postroad.base.seams import Entropy

# Names that hold what nobody else may know, wherever they stand.
SECRET = re.compile(
    r"(^|_)(seed|secret|entropy|words|passphrase|password|content_key|tickets?|salted)$"
)
HARMLESS = {
    "Keyring.password",  # a PasswordVerifier: it hides its own fields
    "MyDrop.tickets",  # a digest of hashes
    "AnyOf.words",  # what a key of the policy may say
}


def ours() -> Iterator[type]:
    for module in pkgutil.walk_packages(postroad.__path__, "postroad."):
        if not module.name.endswith("__main__"):
            for thing in vars(importlib.import_module(module.name)).values():
                if isinstance(thing, type) and dataclasses.is_dataclass(thing):
                    yield thing


def test_no_secret_is_shown() -> None:
    found = {
        f"{one.__name__}.{field.name}"
        for one in ours()
        if one.__module__.startswith("postroad.")
        for field in dataclasses.fields(one)
        if SECRET.search(field.name) and field.repr and field.type is not Entropy
    }
    assert found - HARMLESS == set()


def test_all_rooms_are_looked_at() -> None:
    names = {one.__name__ for one in ours()}
    assert {"Keyring", "SigningKey", "Identity", "SetUp", "Invitation", "MyDrop", "Login"} <= names
