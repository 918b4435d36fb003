"""Slack messages: a summary that fits one phone screen, and the details for its thread.

Slack takes at most 50 blocks, 3,000 characters in a section, and refuses blocks of more than about 13,000 characters
in all; here the whole message stays under 10,000. What does not fit is counted, and stands in the thread or the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Outcome
from tasks.reports import wording

Block = dict[str, Any]

MOST_BLOCKS = 50
MOST_CHARACTERS = 10_000
MOST_IN_SECTION = 3_000
MOST_PROBLEMS = 10
MOST_MESSAGES = 5
_MOST_IN_TEXT = 600
_MOST_GREEN = 15
_MOST_REASONS = 4
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"}


class SlackMessage(Model):
    """One message: `text` is what a notification shows, `blocks` what the channel shows."""

    text: str
    blocks: list[Block]


def summary(report: Report, platform: PlatformSpec | None = None, *, url: str | None = None) -> SlackMessage:
    """Return the message for the channel; all green is three lines.

    Args:
        report: What to tell.
        platform: Its spec, for response times and escalation.
        url: Where the one button leads; the run in the Prefect UI by default.
    """
    address = wording.web_address(url or report.run_url or "")
    late = wording.lateness(report)
    head = [section(_bold_verdict(report) + (f"\n⏰ {mrkdwn(late)}" if late else ""))]
    tail = [*_silenced(report), *_quiet_parts(report), *_foot(report, platform, address)]
    if not report.problems:
        return SlackMessage(text=_text(report, platform), blocks=head + tail)
    lead = [*head, section(_changes(report))]
    problems = wording.ranked(report.loud, platform)
    shown = fitting((_problem(f, report, platform) for f in problems[:MOST_PROBLEMS]), lead + tail)
    rest = len(problems) - len(shown)
    more = [context(f"… and {wording.plural(rest, 'more problem')}, in the thread and in the report")] if rest else []
    return SlackMessage(text=_text(report, platform), blocks=[*lead, *shown, *more, *tail])


def details(report: Report, platform: PlatformSpec | None = None) -> list[SlackMessage]:
    """Return the messages for the thread: every problem, then what passed; none where all is green.

    Beyond five messages the last one says how much is left to the report itself.
    """
    return pages(list(_detail_blocks(report, platform)), wording.name_of(report)) if report.problems else []


def pages(blocks: list[Block], name: str) -> list[SlackMessage]:
    """Spread blocks over as many messages as they need, at most five; the last one says how much is left out."""
    spread: list[list[Block]] = []
    while blocks and len(spread) < MOST_MESSAGES:
        page = fitting(blocks, [context(_left_out(len(blocks)))])
        blocks = blocks[len(page) :]
        spread.append(page)
    if blocks:
        spread[-1].append(context(_left_out(len(blocks))))
    return [
        SlackMessage(text=mrkdwn(f"{name}: details {number} of {len(spread)}"), blocks=page)
        for number, page in enumerate(spread, start=1)
    ]


def mrkdwn(text: str, limit: int = 1_000) -> str:
    """Escape a text for Slack; the limit counts escaped characters, and no entity is cut."""
    parts: list[str] = []
    length = 0
    for sign in wording.plain(text):
        escaped = _ENTITIES.get(sign, sign)
        if length + len(escaped) >= limit:
            return "".join(parts) + "…"
        parts.append(escaped)
        length += len(escaped)
    return "".join(parts)


def size(blocks: Iterable[Block]) -> int:
    """Count the characters of blocks as Slack receives them."""
    return len(json.dumps(list(blocks), ensure_ascii=False))


def fitting(candidates: Iterable[Block], others: list[Block]) -> list[Block]:
    """Take as many blocks from the front as fit beside the others, with room for a line on the rest."""
    taken: list[Block] = []
    room = MOST_CHARACTERS - size(others) - 300
    for block in candidates:
        room -= size([block])
        if room < 0 or len(taken) + len(others) + 1 >= MOST_BLOCKS:
            break
        taken.append(block)
    return taken


def _text(report: Report, platform: PlatformSpec | None) -> str:
    return mrkdwn(wording.headline(report, platform), _MOST_IN_TEXT)


def _bold_verdict(report: Report) -> str:
    name, word = mrkdwn(wording.name_of(report)), wording.verdict_word(report)
    numbers = f" · {wording.scope(report)}" if word == wording.ALL_GREEN else f"\n{wording.counted(report)}"
    return f"{wording.verdict_icon(report)} *{name}: {word}*{numbers}"


def _changes(report: Report) -> str:
    return mrkdwn(wording.change_line(report), MOST_IN_SECTION // 2)


def _problem(finding: Finding, report: Report, platform: PlatformSpec | None) -> Block:
    urgency = wording.urgency(finding, platform)
    first = f"{wording.ICONS[finding.outcome]} *{mrkdwn(wording.brief(finding), 500)}*"
    facts = [f"*{mrkdwn(urgency, 120)}*" if urgency else ""]
    facts += [mrkdwn(wording.versus(finding), 300), mrkdwn(wording.since(finding, report), 200)]
    facts += [mrkdwn(wording.because(finding, report, platform), 200)]
    lines = [
        first,
        " · ".join(fact for fact in facts if fact),
        mrkdwn(finding.note, 300),
        f"→ {mrkdwn(finding.remedy, 300)}" if finding.remedy else "",
    ]
    return section("\n".join(line for line in lines if line))


def _silenced(report: Report) -> list[Block]:
    """Name what nobody is notified of in a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for finding in wording.ranked(report.problems):
        if finding.quiet is not None:
            reasons.setdefault(wording.silence(finding, report), []).append(wording.problem(finding))
    if not reasons:
        return []
    lines = [f"{mrkdwn(wording.listed(what, 5), 400)}: {mrkdwn(why, 300)}" for why, what in reasons.items()]
    more = [f"… and {len(lines) - _MOST_REASONS} more reasons"] if len(lines) > _MOST_REASONS else []
    return [section("\n".join(["🔕 *Silenced*", *lines[:_MOST_REASONS], *more]))]


def _quiet_parts(report: Report) -> list[Block]:
    if not report.problems:
        blocks = [context(_changes(report))]
    else:
        greens = [_green_line(*group) for group in wording.green(report)]
        left = len(greens) - _MOST_GREEN
        more = [f"… and {left} more kinds of systems"] if left > 0 else []
        blocks = [section("\n".join([*greens[:_MOST_GREEN], *more]))] if greens else []
    gaps = [f"{mrkdwn(wording.listed(names, 5), 400)}: {mrkdwn(why, 250)}" for why, names in wording.unchecked(report)]
    if gaps:
        more = [f"… and {len(gaps) - _MOST_REASONS} more reasons"] if len(gaps) > _MOST_REASONS else []
        icon = wording.ICONS[Outcome.NOT_CHECKED]
        blocks.append(section("\n".join([f"{icon} *Not checked*", *gaps[:_MOST_REASONS], *more])))
    return blocks


def _green_line(kind: str, names: list[str], number: int) -> str:
    icon = wording.ICONS[Outcome.PASSED]
    return f"{icon} {mrkdwn(kind, 40)}: {mrkdwn(wording.listed(names, 6), 110)} · {number:,} passed"


def _foot(report: Report, platform: PlatformSpec | None, url: str) -> list[Block]:
    took = mrkdwn(wording.took(report))
    if not report.problems:
        return [context(f"{took} · {link(url)}" if url else took)]
    call = wording.escalation(platform) if report.verdict is Verdict.FAILED else ""
    foot = [context(f"Call {mrkdwn(call, 500)}\n{took}" if call else took)]
    return [*foot, button(url)] if url else foot


def _detail_blocks(report: Report, platform: PlatformSpec | None) -> Iterator[Block]:
    order = sorted(report.systems, key=lambda system: system.outcome.rank)
    for system in order:
        problems = wording.ranked((f for f in system.findings if f.outcome.is_problem), platform)
        passed = [finding for finding in system.findings if finding.outcome is Outcome.PASSED]
        if problems or passed:
            yield section(f"*{mrkdwn(system.title, 120)}* ({mrkdwn(system.kind)})")
            yield from (_problem(finding, report, platform) for finding in problems)
            yield from _passed(system, passed)


def _passed(system: SystemReport, passed: list[Finding]) -> Iterator[Block]:
    if passed:
        prefix = f"{system.name} "
        said = [wording.brief(finding).removeprefix(prefix) for finding in passed]
        yield context(f"{wording.ICONS[Outcome.PASSED]} {mrkdwn(wording.listed(said, 20), 1_500)}")


def _left_out(number: int) -> str:
    return f"… and {number:,} more entries, in the report itself"


def link(url: str) -> str:
    """Write a link to the run."""
    return f"<{url.replace('&', _ENTITIES['&'])}|Open the run>"


def section(text: str) -> Block:
    """Make a block of text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def context(text: str) -> Block:
    """Make a block of small text."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def sealed(message: SlackMessage, seal: str) -> SlackMessage:
    """Return the message with the head of the ledger of evidence in its last small text; as it is where there is none.

    Args:
        message: What is told.
        seal: `NUMBER:HASH`, or nothing.
    """
    if not seal:
        return message
    said, blocks = f"evidence {seal}", list(message.blocks)
    for number in range(len(blocks) - 1, -1, -1):
        elements = blocks[number].get("elements", ())
        if blocks[number]["type"] == "context" and elements and elements[-1].get("type") == "mrkdwn":
            last = {**elements[-1], "text": f"{elements[-1]['text']} · {said}"}
            blocks[number] = {**blocks[number], "elements": [*elements[:-1], last]}
            return message.model_copy(update={"blocks": blocks})
    return message.model_copy(update={"blocks": [*blocks, context(said)]})


def button(url: str) -> Block:
    """Make the button that leads to the run."""
    label = {"type": "plain_text", "text": "Open the run"}
    return {"type": "actions", "elements": [{"type": "button", "text": label, "url": url, "action_id": "open-run"}]}
