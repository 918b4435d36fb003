"""References: where a value is to be found, never the value."""

from __future__ import annotations

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tasks.core.model import Model
from tasks.core.references import Address, AddressReference, Reference, SecretReference, references_in

ADDRESS = TypeAdapter(Address)
SECRET = TypeAdapter(SecretReference)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ({"env": "A_B"}, "env A_B"),
        ({"file": "/run/secrets/x"}, "file /run/secrets/x"),
        ({"secret": "my-block"}, "secret my-block"),
    ],
)
def test_a_reference_shows_where_it_points(written, shown):
    assert str(SECRET.validate_python(written)) == shown


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "exactly one"),
        ({"env": "A", "secret": "b"}, "exactly one"),
        ({"env": "NOT A NAME"}, "match pattern"),
        ({"env": "A", "default": "hunter2"}, "Extra inputs"),
        ("hunter2", "never written in a spec"),
    ],
)
def test_a_secret_is_a_reference_and_has_no_default(written, says):
    with pytest.raises(ValidationError, match=says):
        SECRET.validate_python(written)


def test_an_address_is_text_or_a_reference_with_a_default():
    assert ADDRESS.validate_python("https://example.com") == "https://example.com"
    reference = ADDRESS.validate_python({"env": "URL", "default": "https://example.com"})
    assert isinstance(reference, AddressReference)
    assert reference.default == "https://example.com"


class Leaf(Model):
    where: SecretReference
    other: Address = "http://x"


class Tree(Model):
    leaf: Leaf
    more: dict[str, Leaf] = Field(default_factory=dict)
    row: tuple[Leaf, ...] = ()


def test_every_reference_is_found_with_its_path():
    leaf = Leaf(where=Reference(env="A"), other=AddressReference(env="B", default="http://b"))
    tree = Tree(leaf=leaf, more={"x": Leaf(where=Reference(file="f"))}, row=(Leaf(where=Reference(secret="s")),))
    assert [(".".join(path), str(reference)) for path, reference in references_in(tree)] == [
        ("leaf.where", "env A"),
        ("leaf.other", "env B"),
        ("more.x.where", "file f"),
        ("row.0.where", "secret s"),
    ]
