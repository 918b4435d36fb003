"""References to values that a spec must not hold: addresses that differ by place, and secrets.

`{env: NAME}`, `{file: path}` and `{secret: prefect-block}` are resolved only when a task runs, by a resolver that
remembers what it handed out so that `scrub` can take it out of any text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from tasks.core.model import Model


class Reference(Model):
    """Where a value is to be found: exactly one of `env`, `file` and `secret`."""

    env: str | None = Field(None, description="Name of an environment variable.", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    file: str | None = Field(None, description="Path of a file whose stripped text is the value.")
    secret: str | None = Field(None, description="Name of a Prefect Secret block.", pattern=r"^[a-z0-9][a-z0-9-]*$")

    @model_validator(mode="after")
    def _exactly_one(self) -> Reference:
        if sum(value is not None for value in (self.env, self.file, self.secret)) != 1:
            raise ValueError("a reference names exactly one of env, file and secret")
        return self

    def __str__(self) -> str:
        kind, name = next((k, v) for k in ("env", "file", "secret") if (v := getattr(self, k)) is not None)
        return f"{kind} {name}"


class AddressReference(Reference):
    """Where an address is to be found, and which one it is when nothing is set there."""

    default: str | None = Field(None, description="The address where the reference is not set. Never a secret.")


def _no_plain_secret(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("a secret is never written in a spec: write {env: NAME}, {file: path} or {secret: block}")  # noqa: TRY004
    return value


SecretReference = Annotated[Reference, BeforeValidator(_no_plain_secret)]
"""A reference where plain text is refused."""

Address = Annotated[
    Annotated[str, Tag("text")] | Annotated[AddressReference, Tag("reference")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "reference"),
]
"""Plain text, or where to find it."""


def references_in(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Reference]]:
    """Yield every reference inside a model with its path, as the file spells it."""
    if isinstance(value, Reference):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from references_in(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references_in(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from references_in(item, (*path, str(position)))


class Resolver(Protocol):
    """Turns references into values, and takes the values back out of texts."""

    def resolve(self, reference: Reference | str) -> str:
        """Return the value; plain text is its own.

        Raises:
            ConfigError: Nothing is set there; the message names the reference, never a value.
        """
        ...

    def scrub(self, text: str) -> str:
        """Return the text with every resolved secret replaced by `***`."""
        ...
