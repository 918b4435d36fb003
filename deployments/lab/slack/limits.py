"""Block Kit's documented limits, told as Slack tells them. Source: docs.slack.dev/reference/block-kit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

BLOCKS = 50
"""Blocks in one message, or in one attachment."""

ALL_TEXT = 13_000
"""Characters of all blocks together; undocumented, seen as `msg_blocks_too_long`."""

ATTACHMENTS = 100

_PLAIN = ("plain_text",)
_ANY = ("plain_text", "mrkdwn")
_ELEMENTS = (
    "button",
    "checkboxes",
    "datepicker",
    "datetimepicker",
    "overflow",
    "radio_buttons",
    "static_select",
    "timepicker",
    "users_select",
    "conversations_select",
    "channels_select",
    "external_select",
)

Problems = Iterator[str]


def check_blocks(blocks: object, at: str = "/blocks") -> list[str]:
    """Return what is wrong with a message's blocks, each with its JSON pointer; nothing if they are fine."""
    if not isinstance(blocks, list):
        return [_say("must be an array", at)]
    problems = list(_items(blocks, at, most=BLOCKS, least=0))
    seen: set[str] = set()
    for position, block in enumerate(blocks):
        here = f"{at}/{position}"
        problems += _block(block, here)
        name = block.get("block_id") if isinstance(block, dict) else None
        if isinstance(name, str) and name in seen:
            problems.append(_say("must be unique: block_id", f"{here}/block_id"))
        seen |= {name} if isinstance(name, str) else set()
    return problems


def total_text(value: object) -> int:
    """Count the characters of all texts in blocks."""
    if isinstance(value, list):
        return sum(total_text(item) for item in value)
    if isinstance(value, dict):
        own = value.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(total_text(item) for item in value.values())
    return 0


def _say(problem: str, at: str) -> str:
    return f"{problem} [json-pointer:{at}]"


def _block(block: object, at: str) -> Problems:
    if not isinstance(block, dict):
        yield _say("must be an object", at)
        return
    check = _BLOCKS.get(str(block.get("type")))
    if check is None:
        yield _say(f"unsupported type: {block.get('type')}", f"{at}/type")
        return
    allowed, function = check
    for name in sorted(set(block) - allowed - {"type", "block_id"}):
        yield _say(f"invalid additional property: {name}", at)
    yield from _string(block.get("block_id"), f"{at}/block_id", most=255, required=False)
    yield from function(block, at)


def _string(value: object, at: str, *, most: int, required: bool = True) -> Problems:
    if value is None:
        if required:
            parent, _, name = at.rpartition("/")
            yield _say(f"missing required field: {name}", parent)
    elif not isinstance(value, str):
        yield _say("must be a string", at)
    elif not value:
        yield _say("must be more than 0 characters", at)
    elif len(value) > most:
        yield _say(f"must be less than {most + 1} characters", at)


def _text(value: object, at: str, *, most: int, types: tuple[str, ...] = _ANY, required: bool = True) -> Problems:
    """Check a text object; like Slack, say first that the whole object does not match."""
    if value is None:
        yield from _string(None, at, most=most, required=required)
        return
    if not isinstance(value, dict):
        yield _say("must be an object", at)
        return
    problems = []
    if value.get("type") not in types:
        problems.append(_say("must be a valid enum value", f"{at}/type"))
    problems += _string(value.get("text"), f"{at}/text", most=most)
    allowed = {"type", "text"} | ({"emoji"} if value.get("type") == "plain_text" else {"verbatim"})
    problems += [_say(f"invalid additional property: {name}", at) for name in sorted(set(value) - allowed)]
    if problems:
        yield _say("failed to match all allowed schemas", at)
        yield from problems


def _items(value: object, at: str, *, most: int, least: int = 1) -> Problems:
    if not isinstance(value, list):
        yield from _string(None, at, most=0) if value is None else iter([_say("must be an array", at)])
    elif len(value) > most:
        yield _say(f"no more than {most} items allowed", at)
    elif len(value) < least:
        yield _say(f"no fewer than {least} items allowed", at)


def _section(block: dict[str, Any], at: str) -> Problems:
    if block.get("text") is None and block.get("fields") is None:
        yield _say("missing required field: text", at)
    yield from _text(block.get("text"), f"{at}/text", most=3000, required=False)
    if block.get("fields") is not None:
        yield from _items(block["fields"], f"{at}/fields", most=10)
        for position, item in enumerate(block["fields"] if isinstance(block["fields"], list) else []):
            yield from _text(item, f"{at}/fields/{position}", most=2000)
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{at}/accessory", (*_ELEMENTS, "image"))


def _header(block: dict[str, Any], at: str) -> Problems:
    yield from _text(block.get("text"), f"{at}/text", most=150, types=_PLAIN)


def _divider(_block: dict[str, Any], _at: str) -> Problems:
    yield from ()


def _context(block: dict[str, Any], at: str) -> Problems:
    elements = block.get("elements")
    yield from _items(elements, f"{at}/elements", most=10)
    for position, element in enumerate(elements if isinstance(elements, list) else []):
        here = f"{at}/elements/{position}"
        if isinstance(element, dict) and element.get("type") == "image":
            yield from _image(element, here)
        else:
            yield from _text(element, here, most=2000)


def _actions(block: dict[str, Any], at: str) -> Problems:
    elements = block.get("elements")
    yield from _items(elements, f"{at}/elements", most=25)
    names: set[object] = set()
    for position, element in enumerate(elements if isinstance(elements, list) else []):
        yield from _element(element, f"{at}/elements/{position}", _ELEMENTS)
        name = element.get("action_id") if isinstance(element, dict) else None
        if name is not None and name in names:
            yield _say("action_id already exists in this block", f"{at}/elements/{position}/action_id")
        names.add(name)


def _element(element: object, at: str, types: tuple[str, ...]) -> Problems:
    if not isinstance(element, dict):
        yield _say("must be an object", at)
    elif element.get("type") not in types:
        yield _say(f"unsupported type: {element.get('type')}", f"{at}/type")
    elif element["type"] == "image":
        yield from _image(element, at)
    else:
        yield from _string(element.get("action_id"), f"{at}/action_id", most=255, required=False)
        if element["type"] == "button":
            yield from _button(element, at)


def _button(button: dict[str, Any], at: str) -> Problems:
    yield from _text(button.get("text"), f"{at}/text", most=75, types=_PLAIN)
    yield from _string(button.get("url"), f"{at}/url", most=3000, required=False)
    yield from _string(button.get("value"), f"{at}/value", most=2000, required=False)
    if button.get("style") not in (None, "primary", "danger"):
        yield _say("must be a valid enum value", f"{at}/style")


def _image(block: dict[str, Any], at: str) -> Problems:
    if block.get("slack_file") is None:
        yield from _string(block.get("image_url"), f"{at}/image_url", most=3000)
    yield from _string(block.get("alt_text"), f"{at}/alt_text", most=2000)
    yield from _text(block.get("title"), f"{at}/title", most=2000, types=_PLAIN, required=False)


def _markdown(block: dict[str, Any], at: str) -> Problems:
    yield from _string(block.get("text"), f"{at}/text", most=12_000)


def _table(block: dict[str, Any], at: str) -> Problems:
    rows = block.get("rows")
    yield from _items(rows, f"{at}/rows", most=100)
    for position, row in enumerate(rows if isinstance(rows, list) else []):
        yield from _items(row, f"{at}/rows/{position}", most=20)


def _rich_text(block: dict[str, Any], at: str) -> Problems:
    yield from _items(block.get("elements"), f"{at}/elements", most=1000)


_BLOCKS: dict[str, tuple[set[str], Callable[[dict[str, Any], str], Problems]]] = {
    "section": ({"text", "fields", "accessory", "expand"}, _section),
    "header": ({"text"}, _header),
    "divider": (set(), _divider),
    "context": ({"elements"}, _context),
    "actions": ({"elements"}, _actions),
    "image": ({"image_url", "slack_file", "alt_text", "title"}, _image),
    "markdown": ({"text"}, _markdown),
    "table": ({"rows", "column_settings"}, _table),
    "rich_text": ({"elements"}, _rich_text),
}
