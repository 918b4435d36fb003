"""`watchkeeper validate`: every problem of the specs' files, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tasks.core.errors import ConfigError
from tasks.core.loading import Document, Problem, SpecError, platform_of, read_yaml
from tasks.core.references import Resolver, references_in
from tasks.systems import platform_model


def validate(paths: Iterable[Path], *, secrets: bool, resolver: Resolver) -> list[Problem]:
    """Return every problem of the files, in their order; none means that they are fine.

    Args:
        paths: The files; one that is named twice is looked at once.
        secrets: Whether to resolve every reference too. No value is kept or shown.
        resolver: Resolves them.
    """
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for path in dict.fromkeys(path.absolute() for path in paths):
        shown = _shown(path)
        try:
            document = read_yaml(path.read_bytes(), shown)
            spec = platform_of(document, platform_model())
        except OSError as error:
            problems.append(Problem(shown, 1, 1, "", f"cannot be read: {error.strerror}"))
            continue
        except SpecError as error:
            problems += error.problems
            continue
        if spec.platform in first:
            other = _shown(first[spec.platform])
            problems.append(document.problem(("platform",), f"{spec.platform!r} is the name of {other} already"))
        first.setdefault(spec.platform, path)
        if secrets:
            problems += _unresolved(document, spec, resolver)
    return problems


def _unresolved(document: Document, spec: object, resolver: Resolver) -> list[Problem]:
    problems = []
    for path, reference in references_in(spec):
        try:
            resolver.resolve(reference)
        except ConfigError as error:
            problems.append(document.problem(path, str(error)))
    return problems


def _shown(path: Path) -> str:
    """Write a path as people gave it: relative where it lies below the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
