"""From the text of manifests to resources with the line of every key, or to what is wrong with the text.

Nothing is skipped in silence: a document that is broken, a template, or no manifest at all is told by file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tasks.controls.kubernetes.resources import Listed, Located, Resource

_MOST_CHARACTERS = 20_000_000
_DEEPEST = 100
_SUSPICIOUS = 1_000
_STEEP = re.compile(r"(?:[-?][ \t]+){50}|^[ ]{400}", re.MULTILINE)
_MARK = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Unread:
    """A document that was not judged: where it is, why, and whether somebody must see to it.

    Attributes:
        file: Its file.
        line: The line there.
        why: `broken`, `template`, `no manifest`, `kustomization`.
        what: In a sentence.
    """

    file: str
    line: int
    why: str
    what: str


@dataclass
class Manifests:
    """All that was read: the facts of the controls."""

    resources: list[Resource] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    files: int = 0

    def read(self, text: str | bytes, file: str) -> None:
        """Read one file: YAML of any number of documents, or JSON."""
        self.files += 1
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = error.object[: error.start].count(b"\n") + 1
                self.unread.append(Unread(file, line, "broken", "it is not UTF-8 text"))
                return
        if len(text) > _MOST_CHARACTERS:
            self.unread.append(Unread(file, 1, "broken", f"longer than {_MOST_CHARACTERS:,} characters"))
            return
        for begin, part in _documents(text):
            self._read(part, file, begin)

    def refuse(self, file: str, what: str) -> None:
        """Say of a file why it was not read."""
        self.files += 1
        self.unread.append(Unread(file, 1, "broken", what))

    def _read(self, text: str, file: str, begin: int) -> None:
        try:
            node = _compose(text)
            data = None if node is None else _Builder(begin).build(node)
        except (yaml.YAMLError, _StrangeError, RecursionError) as error:
            self.unread.append(_why(error, text, file, begin))
            return
        if data is None:
            return
        for one in _flattened(data):
            self._add(one, file, text)

    def _add(self, data: Any, file: str, text: str) -> None:
        line = getattr(data, "line", 1)
        if not isinstance(data, Located) or not isinstance(data.get("kind"), str) or "apiVersion" not in data:
            names = isinstance(data, Located) and {"resources", "bases", "patches", "namePrefix"} & set(data)
            if names and file.rpartition("/")[2].startswith("kustomization"):
                what = "overlays are not applied: judge the output of `kubectl kustomize`"
                self.unread.append(Unread(file, line, "kustomization", what))
            else:
                self.unread.append(Unread(file, line, "no manifest", "it has no apiVersion and kind"))
            return
        if data["kind"] == "Kustomization":
            what = "overlays are not applied: judge the output of `kubectl kustomize`"
            self.unread.append(Unread(file, line, "kustomization", what))
            return
        resource = Resource(data, file)
        self.resources.append(resource)
        if "{{" in text and (at := resource.templated()):
            what = "values are filled in by a template: judge the output of `helm template`"
            self.unread.append(Unread(file, at, "template", what))


class _StrangeError(Exception):
    """What YAML allows and no manifest has."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what, self.line = what, line


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Yield the documents of a file with the number of lines before each, so that a broken one costs no other."""
    starts = [match.start() for match in _MARK.finditer(text)]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    line = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        if any(
            row.strip() and not row.lstrip().startswith(("#", "%")) and row.strip() not in ("---", "...")
            for row in part.split("\n")
        ):
            yield line, part
        line += part.count("\n")


def _compose(text: str) -> yaml.Node | None:
    if text.count("[") + text.count("{") > _SUSPICIOUS or _STEEP.search(text):
        _bounded(text)
    loader = _LOADER(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _bounded(text: str) -> None:
    """Refuse a document before its depth breaks the parser, which builds it by recursion."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _StrangeError(f"nested deeper than {_DEEPEST} levels", 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _why(error: Exception, text: str, file: str, begin: int) -> Unread:
    if isinstance(error, _StrangeError):
        what, line = error.what, error.line
    elif isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        line = begin + (mark.line + 1 if mark else 1)
    else:
        what, line = (
            "nested too deep" if isinstance(error, RecursionError) else "a character that YAML forbids",
            begin + 1,
        )
    if "{{" in text:
        return Unread(file, line, "template", "a template, no YAML yet: judge the output of `helm template`")
    return Unread(file, line, "broken", f"not valid YAML: {what}")


class _Builder:
    """Builds plain data whose mappings and lists know their lines; what an alias names is built once."""

    def __init__(self, begin: int) -> None:
        self._begin = begin
        self._built: dict[int, Any] = {}
        self._scalars = yaml.SafeLoader("")

    def build(self, node: yaml.Node, depth: int = 0) -> Any:
        line = self._begin + node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if depth > _DEEPEST:
            raise _StrangeError(f"nested deeper than {_DEEPEST} levels", line)
        if id(node) in self._built:
            found = self._built[id(node)]
            if found is None:
                raise _StrangeError("it holds itself", line)
            return found
        self._built[id(node)] = None
        made = self._mapping(node, line, depth) if isinstance(node, yaml.MappingNode) else self._list(node, line, depth)
        self._built[id(node)] = made
        return made

    def _list(self, node: yaml.Node, line: int, depth: int) -> Listed:
        made = Listed(self.build(item, depth + 1) for item in node.value)
        made.line = line
        made.lines = [self._begin + item.start_mark.line + 1 for item in node.value]
        return made

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Located:
        made = Located()
        made.line, made.lines = line, {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self.build(one, depth + 1)
                    if isinstance(merged, Located):
                        for name, held in merged.items():
                            made.setdefault(name, held)
                            made.lines.setdefault(name, merged.lines[name])
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _StrangeError("a key must be plain text", self._begin + key.start_mark.line + 1)
            made[key.value] = self.build(value, depth + 1)
            made.lines[key.value] = self._begin + key.start_mark.line + 1
        return made

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == "tag:yaml.org,2002:str":
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            return node.value


def _flattened(data: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a document, or what a List holds."""
    if (
        isinstance(data, Located)
        and str(data.get("kind", "")).endswith("List")
        and isinstance(data.get("items"), Listed)
    ):
        kind = str(data["kind"]).removesuffix("List")
        for item in data["items"]:
            if kind and isinstance(item, Located) and "kind" not in item:
                item["kind"], item["apiVersion"] = kind, data.get("apiVersion")
                item.lines |= {"kind": item.line, "apiVersion": item.line}
            if depth < _DEEPEST:
                yield from _flattened(item, depth + 1)
    else:
        yield data
