"""From the text of a YAML file to plain data with the position of every key, or to what is wrong with the text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str, ...]

_MOST_CHARACTERS = 2_000_000
_MOST_VALUES = 50_000
_DEEPEST = 60
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file: where it is, what is wrong, what is allowed, and what was likely meant."""

    file: str
    line: int
    column: int
    path: str
    message: str
    allowed: tuple[str, ...] = ()
    meant: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: " + (f"{self.path}: " if self.path else "") + self.message
        if self.meant is not None:
            text += f"; did you mean {self.meant!r}?"
        if self.allowed:
            text += f"; allowed: {', '.join(self.allowed)}"
        return text


@dataclass
class Document:
    """A YAML document as plain data, with the position of every key and value."""

    file: str
    data: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, *, allowed: Iterable[str] = (), wrong: str | None = None) -> Problem:
        """Describe a mistake at a path; the position is that of the nearest part that is written in the file."""
        known = path
        while known not in self.positions and known:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        options = tuple(allowed)
        return Problem(self.file, line, column, ".".join(path), message, options, _meant(wrong, options))


def _meant(wrong: str | None, options: Iterable[str]) -> str | None:
    """Return the option that was likely meant, whatever its case."""
    if wrong is None:
        return None
    folded = {option.casefold(): option for option in options}
    close = difflib.get_close_matches(wrong.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def read_yaml(text: str | bytes, file: str) -> Document:
    """Parse YAML (safe subset) and keep the positions.

    Bad syntax, bad encoding, doubled keys, tags, circles, and documents beyond any sense in size or depth become
    problems of the document; nothing is raised.

    Args:
        text: The file's text, or its bytes in UTF-8.
        file: The name that problems show.
    """
    document = Document(file)
    if isinstance(text, bytes):
        decoded = _decode(text, document)
        if decoded is None:
            return document
        text = decoded
    if len(text) > _MOST_CHARACTERS:
        document.problems.append(Problem(file, 1, 1, "", f"longer than {_MOST_CHARACTERS:,} characters: no spec is"))
        return document
    node = _compose(text, document)
    if node is not None:
        _Reader(document).read(node)
    return document


def _decode(data: bytes, document: Document) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(error.object[: error.start].decode("utf-8"), error.start)
        byte = error.object[error.start]
        document.problems.append(Problem(document.file, line, column, "", f"byte 0x{byte:02x} is not UTF-8 text"))
        return None


def _position(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _TooMuchError(Exception):
    """The document holds more than any spec does."""


def _compose(text: str, document: Document) -> yaml.Node | None:
    try:
        node: yaml.Node | None = _Loader(text).get_single_node()
    except _TooMuchError as error:
        document.problems.append(Problem(document.file, 1, 1, "", str(error)))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = ", ".join(part for part in (error.context, error.problem) if part)
        hint = ": indent with spaces, not with tabs" if r"'\t'" in what else ""
        document.problems.append(Problem(document.file, line, column, "", f"not valid YAML: {what}{hint}"))
        return None
    except yaml.reader.ReaderError as error:
        line, column = _position(text, error.position)
        what = f"character U+{ord(text[error.position]):04X} is not allowed in YAML"
        document.problems.append(Problem(document.file, line, column, "", f"not valid YAML: {what}"))
        return None
    if node is None:
        document.problems.append(Problem(document.file, 1, 1, "", "the file is empty"))
    return node


class _Loader(yaml.SafeLoader):
    """Stops before a deep document exhausts the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _TooMuchError(f"nested deeper than {_DEEPEST} levels")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Turns the nodes of one document into data."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.loader = yaml.SafeLoader("")
        self.values = 0
        self.checked: set[int] = set()
        self.above: list[int] = []

    def read(self, node: yaml.Node) -> None:
        """Fill the document."""
        try:
            self.document.data = self._construct(node, ())
        except _TooMuchError as error:
            self.document.problems = [Problem(self.document.file, 1, 1, "", str(error))]

    def _construct(self, node: yaml.Node, path: Path) -> Any:
        self.values += 1
        if self.values > _MOST_VALUES:
            raise _TooMuchError(f"more than {_MOST_VALUES:,} values, aliases followed")
        if len(path) > _DEEPEST:
            raise _TooMuchError(f"nested deeper than {_DEEPEST} levels")
        self.document.positions.setdefault(path, _start(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.above:
            self._complain(path, "holds itself")
            return None
        if node.tag not in _PLAIN:
            self._complain(path, f"the tag {node.tag} is not allowed")
        self.above.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self._construct(item, (*path, str(index))) for index, item in enumerate(node.value)]
        finally:
            self.above.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        if id(node) not in self.checked:
            self.checked.add(id(node))
            self._check_keys(node, path)
            try:
                self.loader.flatten_mapping(node)
            except yaml.YAMLError:
                self._complain((*path, "<<"), "merges what is no mapping")
                node.value = [(key, value) for key, value in node.value if key.tag != _MERGE]
        result = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                at = (*path, key.value)
                self.document.positions[at] = _start(key)
                result[key.value] = self._construct(value, at)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        try:
            return self.loader.construct_object(node)
        except yaml.MarkedYAMLError:
            self._complain(path, f"the tag {node.tag} is not allowed")
        except (yaml.YAMLError, ValueError) as error:
            self._complain(path, f"not a value that YAML can hold: {error}")
        return None

    def _check_keys(self, node: yaml.MappingNode, path: Path) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line, column = _start(key)
            if not isinstance(key, yaml.ScalarNode):
                at = ".".join(path)
                self.document.problems.append(Problem(self.document.file, line, column, at, "a key must be plain text"))
            elif key.value in first:
                message = f"{key.value!r} is named twice; first on line {first[key.value]}"
                at = ".".join((*path, key.value))
                self.document.problems.append(Problem(self.document.file, line, column, at, message))
            else:
                first[key.value] = line

    def _complain(self, path: Path, message: str) -> None:
        self.document.problems.append(self.document.problem(path, message))


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
