"""Resolving references to environment variables and files, and taking secrets out of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from tasks.core.errors import ConfigError
from tasks.core.references import AddressReference, Reference

_SHORTEST_SECRET = 4
_SHORTEST_LINE = 16
_LARGEST_FILE = 1_000_000
_IN_URL = re.compile(r"://[^\s:/@]*:(\S+)@")
_IN_TEXT = re.compile(r"password=(?:'([^']+)'|([^\s&]+))")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token)\s+(\S+)", re.IGNORECASE)


class SecretResolver:
    """Resolves references and remembers the values, so that none gets out in a text.

    Args:
        environment: Where `{env: NAME}` is looked up.
        blocks: Loads the value of a Prefect Secret block; None where Prefect is not at hand.
        only: The embedded lab's folder, where the lab is meant. Then nothing counts but the environment handed in and
            files of this folder: no default address, no block and no other file, as all of these are the real ones.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        blocks: Callable[[str], str] | None = None,
        *,
        only: Path | None = None,
    ) -> None:
        self._environment = environment
        self._blocks = blocks
        self._only = only.resolve() if only is not None else None
        self._secrets: set[str] = set()

    def resolve(self, reference: Reference | str) -> str:
        """Return the value of a reference; plain text is its own.

        Raises:
            ConfigError: Nothing is set there; the message names the reference.
        """
        if isinstance(reference, str):
            return reference
        value = self._look_up(reference) if self._only is None else self._from_lab(reference, self._only)
        self._remember(value, whole=not isinstance(reference, AddressReference))
        return value

    def _from_lab(self, reference: Reference, lab: Path) -> str:
        if reference.env is not None and (value := self._environment.get(reference.env)):
            return value
        if reference.file is not None and Path(reference.file).resolve().is_relative_to(lab):
            return _read(Path(reference.file), None)
        raise ConfigError(f"the lab does not fill {reference}", hint="with the lab, nothing real is looked up")

    def _look_up(self, reference: Reference) -> str:
        default = reference.default if isinstance(reference, AddressReference) else None
        if reference.env is not None:
            value = self._environment.get(reference.env) or default
            if not value:
                raise ConfigError(
                    f"the environment variable {reference.env} is not set", hint=f"export {reference.env}=..."
                )
            return value
        if reference.file is not None:
            return _read(Path(reference.file), default)
        name = str(reference.secret)
        if self._blocks is None:
            raise ConfigError(
                f"the Prefect Secret block {name!r} cannot be read here", hint="set PREFECT_API_URL, or use {env: ...}"
            )
        return self._blocks(name)

    def _remember(self, value: str, *, whole: bool) -> None:
        if whole:
            self._secrets.add(value)
            self._secrets |= {line for line in value.splitlines() if len(line) >= _SHORTEST_LINE}
            if scheme := _SCHEME.fullmatch(value):
                self._secrets.add(scheme[1])
        passwords = {match[1] for match in _IN_URL.finditer(value)}
        passwords |= {match[1] or match[2] for match in _IN_TEXT.finditer(value)}
        for password in passwords:
            self._secrets |= {password, unquote(password), quote(unquote(password), safe="")}

    def scrub(self, text: str) -> str:
        """Return the text with every secret that was handed out, and every password in a URL, replaced by `***`."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return re.sub(r"(://[^\s:/@]*):[^\s/@]+@", r"\1:***@", text)


def _read(path: Path, default: str | None) -> str:
    """Read a secret's file; only a regular one, as a pipe or a device may never end."""
    try:
        if not path.exists():
            reason = "there is none"
        elif not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            reason = "not a small regular file"
        elif text := path.read_text(encoding="utf-8").strip():
            return text
        else:
            reason = "it is empty"
    except OSError as error:
        reason = str(error.strerror)
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    if default is not None:
        return default
    raise ConfigError(f"the file {path} cannot be read: {reason}")
