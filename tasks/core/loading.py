"""From a YAML file to a model, or to every problem in it with its line and column."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.core.errors import ConfigError
from tasks.core.platform import PlatformSpec
from tasks.core.yaml_text import Document, Path, Problem, read_yaml

__all__ = ["Document", "Problem", "SpecError", "load_platform", "platform_of", "read_yaml", "validate"]

AnyModel = TypeVar("AnyModel", bound=BaseModel)
AnyPlatform = TypeVar("AnyPlatform", bound=PlatformSpec)
Location = tuple[int | str, ...]

_NAMED = {
    "severities": re.compile(r"default_severity\.(warn|critical)|systems\.(.+\.)?severity"),
    "systems": re.compile(r"systems\.[^.]+\.depends_on\.\d+"),
    "vaults": re.compile(r"systems\.[^.]+\.backup\.to\.\d+"),
}
"""Where in a spec names of which of its parts are used, as far as that is plain before the spec is understood."""
_UNKNOWN = "unknown key"
_MISSING = "is required"
_WORDS = {
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be yes or no",
    "bool_parsing": "must be yes or no",
}


class SpecError(ConfigError):
    """A file with problems; its text lists them all, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column, problem.path))
        super().__init__("\n".join(map(str, self.problems)))


def validate(document: Document, model: type[AnyModel]) -> AnyModel:
    """Make the model.

    Raises:
        SpecError: With every problem of the document.
    """
    if document.problems:
        raise SpecError(document.problems)
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(_problems(error, document, model)) from None


def load_platform(text: str | bytes, file: str, model: type[AnyPlatform]) -> AnyPlatform:
    """Read a platform's spec and hold its names against each other.

    Args:
        text: The file's text, or its bytes.
        file: The name that errors show.
        model: The platform model with the union of all kinds.

    Raises:
        SpecError: With every problem in it.
    """
    return platform_of(read_yaml(text, file), model)


def platform_of(document: Document, model: type[AnyPlatform]) -> AnyPlatform:
    """Make the platform of a document that is read already, and hold its names against each other.

    Raises:
        SpecError: With every problem in it.
    """
    try:
        spec = validate(document, model)
    except SpecError as error:
        told = {problem.path for problem in error.problems}
        raise SpecError([*error.problems, *(one for one in _unknown_names(document) if one.path not in told)]) from None
    problems = [
        document.problem(path, _no_such_name(path, name, spec), allowed=known, wrong=name)
        for path, name, known in spec.references()
        if name not in known
    ]
    if not problems and (circle := spec.cycle()):
        problems.append(
            document.problem(("systems", circle[0], "depends_on"), f"depends on itself: {' -> '.join(circle)}")
        )
    if problems:
        raise SpecError(problems)
    return spec


def _unknown_names(document: Document) -> Iterator[Problem]:
    """Find names that lead nowhere in a spec that is broken elsewhere, so that all is told at once."""
    spec: Any = document.data if isinstance(document.data, dict) else {}
    names = {key: tuple(map(str, spec[key])) for key in _NAMED if isinstance(spec.get(key), dict)}
    for path, name in _strings(spec):
        if "body" in path or "json" in path:  # what a service is sent and answers has severities of its own
            continue
        where = next((key for key, pattern in _NAMED.items() if pattern.fullmatch(".".join(path))), None)
        if where in names and name not in names[where]:
            yield document.problem(path, f"{name!r} names nothing in this spec", allowed=names[where], wrong=name)


def _strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _strings(inner, (*path, str(key)))
        case list():
            for position, inner in enumerate(value):
                yield from _strings(inner, (*path, str(position)))
        case str():
            yield path, value


def _no_such_name(path: Path, name: str, spec: PlatformSpec) -> str:
    if path[2:4] == ("backup", "to"):
        return f"{name!r} is no vault" if spec.vaults else "it is to be backed up, and there are no `vaults`"
    if path[:2] == ("systems", name):
        return "a system cannot need itself"
    if path[0] == "systems" and name in spec.systems and name not in spec.severities:
        return f"{name!r} is a {spec.systems[name].kind} system, which does not fit here"
    return f"{name!r} names nothing in this spec"


def _problems(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Make one problem of each mistake; the branches of a union complain one by one about the same value."""
    by_path: dict[Path, list[Problem]] = {}
    for item in error.errors(include_url=False):
        path = _written_path(item, document.data)
        by_path.setdefault(path, []).append(_problem(item, path, document, model))
    for path, problems in tuple(by_path.items()):
        misspelt = (*path[:-1], problems[0].meant or "")
        if problems[0].message == _UNKNOWN and misspelt in by_path and by_path[misspelt][0].message == _MISSING:
            del by_path[misspelt]
    return [_merged(problems) for problems in by_path.values()]


def _merged(problems: list[Problem]) -> Problem:
    first = problems[0]
    messages = list(dict.fromkeys(problem.message for problem in problems))
    specific = [message for message in messages if not message.endswith("is not allowed")] or messages
    allowed = tuple(dict.fromkeys(option for problem in problems for option in problem.allowed))
    meant = next((problem.meant for problem in problems if problem.meant is not None), None)
    return Problem(first.file, first.line, first.column, first.path, "; ".join(specific), allowed, meant)


def _problem(  # noqa: PLR0911 - one case for each kind of mistake
    item: ErrorDetails, path: Path, document: Document, model: type[BaseModel]
) -> Problem:
    context: dict[str, Any] = item.get("ctx", {})
    given = item["input"]
    match item["type"]:
        case "extra_forbidden":
            return document.problem(path, _UNKNOWN, allowed=_siblings(item["loc"], model), wrong=path[-1])
        case "missing":
            return document.problem(path, _MISSING)
        case "union_tag_invalid":
            wrong, allowed = str(context["tag"]), _quoted(str(context["expected_tags"]))
            return document.problem((*path, "kind"), f"{wrong!r} is no kind", allowed=allowed, wrong=wrong)
        case "union_tag_not_found":
            return document.problem(path, "has no kind", allowed=_kinds(path, model))
        case "literal_error" | "enum":
            allowed = _quoted(str(context["expected"]))
            return document.problem(path, f"{given!r} is not allowed", allowed=allowed, wrong=str(given))
        case "string_type" if isinstance(given, bool | int | float):
            return document.problem(path, f"must be text: put {given!r} in quotes")
        case "string_type":
            return document.problem(path, "must be text")
        case "string_pattern_mismatch":
            return document.problem(path, f"{given!r} does not match {context['pattern']}")
        case other:
            return document.problem(path, _WORDS.get(other) or item["msg"].removeprefix("Value error, "))


def _quoted(text: str) -> list[str]:
    """Take the options out of pydantic's `'a', 'b' or <Outcome.WARNED: 'warned'>`."""
    return re.findall(r"'([^']*)'", text) or re.split(r", | or ", text)


def _written_path(item: ErrorDetails, data: Any) -> Path:
    """Drop from pydantic's location what is no part of the file: tags of unions, names of functions, `[key]`."""
    path: list[str] = []
    here = data
    for position, part in enumerate(item["loc"]):
        missing = item["type"] == "missing" and position == len(item["loc"]) - 1
        if isinstance(here, dict) and (part in here or missing):
            path.append(str(part))
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path.append(str(part))
            here = here[part]
    return tuple(path)


@functools.lru_cache(maxsize=8)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _kinds(path: Path, model: type[BaseModel]) -> list[str]:
    """List the tags of the union at a path."""
    for node in _nodes(path, model):
        if mapping := node.get("discriminator", {}).get("mapping"):
            return sorted(mapping)
    return []


def _siblings(location: Location, model: type[BaseModel]) -> list[str]:
    """List the keys that are allowed beside an unknown one."""
    return max((sorted(node.get("properties", {})) for node in _nodes(location[:-1], model)), key=len, default=[])


def _nodes(location: Location, model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yield the parts of the model's JSON Schema that a location may stand for, references followed."""
    schema = _schema(model)
    definitions = schema.get("$defs", {})

    def follow(node: dict[str, Any], rest: Location) -> Iterator[dict[str, Any]]:
        while "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        if not rest:
            yield node
        for child, left in _below(node, rest):
            yield from follow(child, left)

    yield from follow(schema, location)


def _below(node: dict[str, Any], rest: Location) -> Iterator[tuple[dict[str, Any], Location]]:
    """Yield the parts below a part of a JSON Schema, each with what is left of the location."""
    properties, mapping = node.get("properties", {}), node.get("discriminator", {}).get("mapping", {})
    if rest and rest[0] in properties:
        yield properties[rest[0]], rest[1:]
    elif rest and rest[0] in mapping:
        yield {"$ref": mapping[rest[0]]}, rest[1:]
    elif options := [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]:
        for option in options:
            yield option, rest
            if rest:
                yield option, rest[1:]
    elif rest:
        inner = (node.get("additionalProperties"), node.get("items"), *node.get("patternProperties", {}).values())
        yield from ((part, rest[1:]) for part in inner if isinstance(part, dict))
