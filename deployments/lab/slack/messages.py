"""Accepting a message: what Slack refuses, and with which words."""

from __future__ import annotations

from typing import Any

from deployments.lab.slack.limits import ALL_TEXT, ATTACHMENTS, check_blocks, total_text

LONGEST_TEXT = 40_000
"""Characters of a new message's text."""

LONGEST_UPDATE = 4_000
"""Characters of an updated message's text."""

_METADATA = 1 << 14


class Refused(Exception):
    """Slack's answer `ok: false`, with the documented error and, for malformed arguments, its messages."""

    def __init__(self, error: str, messages: list[str] | None = None) -> None:
        super().__init__(error)
        self.error, self.messages = error, messages or []

    def document(self) -> dict[str, Any]:
        """Return the answer's body."""
        body: dict[str, Any] = {"ok": False, "error": self.error}
        if self.messages:
            body["errors"] = self.messages
            body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return body


def accept(arguments: dict[str, Any], *, longest: int = LONGEST_TEXT, empty: bool = False) -> dict[str, Any]:
    """Return the content of a message (text, blocks, attachments, metadata) if Slack would take it.

    Args:
        arguments: The call's arguments, JSON already read.
        longest: How many characters the text may have.
        empty: Whether it may say nothing, because it carries files.

    Raises:
        Refused: Slack would not.
    """
    blocks, attachments = arguments.get("blocks") or [], arguments.get("attachments") or []
    text = arguments.get("text") or ""
    _check_content(text, blocks, attachments, longest)
    if not (empty or text.strip() or blocks or attachments):
        raise Refused("no_text")
    content: dict[str, Any] = {"text": text}
    if blocks:
        content["blocks"] = [_named(block, position) for position, block in enumerate(blocks)]
    if attachments:
        content["attachments"] = [item | {"id": place} for place, item in enumerate(attachments, start=1)]
    if arguments.get("metadata"):
        content["metadata"] = _metadata(arguments["metadata"])
    return content


def _check_content(text: object, blocks: Any, attachments: Any, longest: int) -> None:
    if not isinstance(text, str):
        raise Refused("invalid_arguments", ["must be a string [json-pointer:/text]"])
    if problems := check_blocks(blocks):
        raise Refused("invalid_blocks", problems)
    if total_text(blocks) > ALL_TEXT:
        raise Refused("msg_blocks_too_long")
    _check_attachments(attachments)
    if len(text) > longest:
        raise Refused("msg_too_long")


def _check_attachments(attachments: Any) -> None:
    if not isinstance(attachments, list) or not all(isinstance(item, dict) for item in attachments):
        raise Refused("invalid_attachments")
    if len(attachments) > ATTACHMENTS:
        raise Refused("too_many_attachments")
    for position, item in enumerate(attachments):
        if problems := check_blocks(item.get("blocks") or [], f"/attachments/{position}/blocks"):
            raise Refused("invalid_blocks", problems)


def _metadata(metadata: Any) -> dict[str, Any]:
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        raise Refused("invalid_metadata_format")
    if len(str(metadata)) > _METADATA:
        raise Refused("metadata_too_large")
    return metadata


def _named(block: dict[str, Any], position: int) -> dict[str, Any]:
    return block if block.get("block_id") else {**block, "block_id": f"b{position}"}
