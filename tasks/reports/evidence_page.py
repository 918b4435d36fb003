"""The page of a pack of evidence: for each item what was proven, when, by what and by whom. Made of records alone."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.core.compliance import denominator

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
h2 { margin-top: 2.5rem } h3 { margin-top: 1.5rem } .wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .6rem; vertical-align: top }
td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
code { font-size: 12px; overflow-wrap: anywhere } small { opacity: .75 } td small { display: block }
.result { display: inline-block; white-space: nowrap; padding: 0 .5rem; border-radius: .6rem }
.result { color: #fff; background: #5b6069 }
.fail, .failed, .error { background: #a4161a } .pass, .passed { background: #1b7a3d }
.attested { background: #2257a8 } .waived, .warned { background: #8a5a00 }
ul { margin: .2rem 0; padding-left: 1.1rem }
"""
_WORDS = {"pass": "proven", "fail": "not kept", "error": "in error", "not checked": "not checked"}


def page(records: Sequence[dict[str, Any]], title: str, files: dict[int, str], attached: Sequence[str] = ()) -> str:
    """Return the page of a pack.

    Args:
        records: In the order of their numbers; those whose content is withheld are among them.
        title: What it is of.
        files: The file of each record in the pack, by its number.
        attached: The files that people gave as evidence, by their hash.
    """
    lists = _newest_lists(records)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{_e(title)}</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>{_e(title)}</h1>
{_summary(records, lists)}
{"".join(_platform(record, records, files, set(attached)) for record in lists.values())}
{_requirements(lists)}
<h2 id="records">All records</h2>
<p>Each holds the hash of the one before. What they say in full stands in the files; <code>evidence.csv</code> and
<code>items.csv</code> hold the same for a spreadsheet.</p>
<div class="wide"><table><thead><tr><th>record</th><th>collected at</th><th>platform</th><th>what</th><th>result</th>
<th>said</th><th>by</th><th>hash</th></tr></thead><tbody>
{"".join(_line(record, files) for record in records)}</tbody></table></div>
</body></html>
"""


def _summary(records: Sequence[dict[str, Any]], lists: dict[str, dict[str, Any]]) -> str:
    held = [record for record in records if "facts" in record]
    times = sorted(str(record.get("collected_at")) for record in held)
    span = f"collected from {_e(times[0])} to {_e(times[-1])}" if times else "nothing was recorded"
    withheld = len(records) - len(held)
    others = f" Of {withheld} records of other platforms only the place in the chain is shown." if withheld else ""
    head = f"{records[-1]['sequence']}:{records[-1]['sha256']}" if records else "none"
    said = "".join(
        f'<li><a href="#{_e(name)}">{_e(_facts(record).get("title") or name)}</a>: {_e(_denominator(record))}</li>'
        for name, record in lists.items()
    )
    missing = "" if lists else "<p>No compliance checklist was made in this time: nothing is shown as proven.</p>"
    return f"""<p>{len(held)} records, {span}.{others}</p><ul>{said}</ul>{missing}
<p><b>To check all of this</b>, offline and with nothing but Python:
<code>python3 verify.py PACK.zip --head NUMBER:HASH</code>. The head was told outside when each report was told: in
Slack, the last line of each message is <code>evidence NUMBER:HASH</code>. This pack ends with <code>{_e(head)}</code>.
<code>README.txt</code> says how time stamps are checked.</p>
<p><small>proven: a program saw it, and showed in the same run that it can see a breach. attested: a named person
stated it, with evidence, for a time. waived: not kept, and accepted by a named person until a date. not checked: nobody
looked; it counts as nothing.</small></p>"""


def _platform(
    record: dict[str, Any], records: Sequence[dict[str, Any]], files: dict[int, str], attached: set[str]
) -> str:
    facts, name = _facts(record), str(record["platform"])
    rows = "".join(_item(item, record, files, attached) for item in facts.get("items", ()))
    notes = "".join(f"<li>{_e(note)}</li>" for note in facts.get("notes", ()))
    others = [one for one in _lists(records) if one["platform"] == record["platform"] and one is not record]
    earlier = ", ".join(_link(one, files, str(one["collected_at"])) for one in others)
    compared = facts.get("compared_with")
    file = _link(record, files, f"record {record['sequence']}")
    made = f"Watchkeeper {_e(record.get('watchkeeper'))} by the spec <code>{_e(str(record.get('spec'))[:12])}</code>"
    return f"""<h2 id="{_e(name)}">{_e(facts.get("title") or name)}</h2>
<p><b>{_e(_denominator(record))}</b>. As of {_e(record["collected_at"])}, {file},
made by {_by(record)} with {made}{f"; compared with the list of {_e(compared)}" if compared else ""}.</p>
{f"<p>Earlier lists of this time: {earlier}</p>" if earlier else ""}
{f"<p>To look at:</p><ul>{notes}</ul>" if notes else ""}
<div class="wide"><table><thead><tr><th>result</th><th>what is to hold</th><th>what was found</th>
<th>by what, by whom</th><th>since, change</th><th>meets</th></tr></thead><tbody>{rows}</tbody></table></div>
{_operated(facts)}"""


def _item(item: dict[str, Any], record: dict[str, Any], files: dict[int, str], attached: set[str]) -> str:
    result = str(item["result"])
    machine = result in ("pass", "fail", "error", "stale", "waived") and not _lapsed(item)
    judged = f"{item.get('looked_at', 0)} things looked at" if machine else ""
    found = [*item.get("findings", ()), item.get("reason", "")]
    said = "".join(f"<li>{_cited(str(one), attached)}</li>" for one in found if one)
    whom = f"machine: {_by(record)}" if machine else "people: see what was found" if result == "attested" else "nobody"
    meets = "; ".join(f"{name} {', '.join(held)}" for name, held in item.get("requirements", {}).items() if held)
    shade = result.partition(" ")[0]
    return f"""<tr id="{_e(record["platform"])}-{_e(item["control"])}"><td><span class="result {_e(shade)}">
{_e(_WORDS.get(result, result))}</span></td><td>{_e(item["title"])}<small><code>{_e(item["control"])}</code>,
{_e(item.get("severity"))}</small><small>A pass proves: {_e(item.get("proves"))}</small></td>
<td>{judged}{f"<ul>{said}</ul>" if said else ""}</td>
<td>{whom}<small>owner {_e(item.get("owner"))}</small><small>{_e(record["collected_at"])},
{_link(record, files, f"record {record['sequence']}")}</small></td>
<td>{_e(str(item.get("since"))[:10])}<small>{_e(item.get("change"))}</small></td><td><small>{_e(meets)}</small></td></tr>
"""


def _lapsed(item: dict[str, Any]) -> bool:
    return any(str(one).startswith("not attested") for one in item.get("findings", ()))


def _operated(facts: dict[str, Any]) -> str:
    rows = []
    for one in facts.get("operated", ()):
        gaps = "".join(
            f"<li>{_e(gap['at'])}: {_e(gap.get('why') or 'not explained')}</li>" for gap in one.get("gaps", ())
        )
        rows.append(
            f"<tr><td>{_e(one['flow'])}</td><td>{_e(one['expected'])}</td><td>{_e(one['ran'])}</td>"
            f"<td>{f'<ul>{gaps}</ul>' if gaps else 'none'}</td></tr>"
        )
    if not rows:
        return ""
    return f"""<h3>Operating effectiveness: what was to run, and what ran</h3>
<div class="wide"><table><thead><tr><th>flow</th><th>expected</th><th>ran</th><th>gaps</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table></div>"""


def _requirements(lists: dict[str, dict[str, Any]]) -> str:
    met: dict[str, dict[str, list[str]]] = {}
    for name, record in lists.items():
        for item in _facts(record).get("items", ()):
            for framework, clauses in item.get("requirements", {}).items():
                for clause in clauses:
                    link = f'<a href="#{_e(name)}-{_e(item["control"])}">{_e(name)}: {_e(item["control"])}</a>'
                    met.setdefault(framework, {}).setdefault(clause, []).append(
                        f"{link} ({_e(_WORDS.get(item['result'], item['result']))})"
                    )
    rows = "".join(
        f"<tr><td>{_e(framework)} {_e(clause)}</td><td>{', '.join(met[framework][clause])}</td></tr>"
        for framework in sorted(met)
        for clause in sorted(met[framework])
    )
    if not rows:
        return ""
    return f"""<h2>By requirement</h2><p>A control helps to meet a clause; none meets one by itself.</p>
<div class="wide"><table><thead><tr><th>clause</th><th>controls</th></tr></thead><tbody>{rows}</tbody></table></div>"""


def _line(record: dict[str, Any], files: dict[int, str]) -> str:
    said = record.get("said") if "facts" in record else "withheld: another platform's"
    verdict = str(record.get("verdict", ""))
    return (
        f"<tr><td>{_link(record, files, str(record['sequence']))}</td><td>{_e(record.get('collected_at'))}</td>"
        f"<td>{_e(record.get('platform'))}</td><td>{_e(record.get('flow'))}</td>"
        f'<td>{f"""<span class="result {_e(verdict)}">{_e(verdict)}</span>""" if verdict else ""}</td>'
        f"<td>{_e(said)}</td><td>{_by(record)}</td><td><code>{_e(record.get('sha256'))}</code></td></tr>\n"
    )


def _lists(records: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.get("flow") == "compliance-checklist" and isinstance(record.get("facts"), dict):
            yield record


def _newest_lists(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(sorted((str(record["platform"]), record) for record in _lists(records)))


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = record["facts"]
    return facts


def _denominator(record: dict[str, Any]) -> str:
    return denominator([str(item["result"]) for item in _facts(record).get("items", ())])


def _by(record: dict[str, Any]) -> str:
    by = str(record.get("by") or "")
    return f'<a href="{_e(by)}">run</a> <small>{_e(by)}</small>' if by.startswith(("http://", "https://")) else _e(by)


def _cited(text: str, attached: set[str]) -> str:
    """Return a text in which the files of the pack are links."""
    escaped = _e(text)
    for sha256 in attached:
        escaped = escaped.replace(f"sha256:{sha256}", f'<a href="files/{sha256}">file {sha256[:12]}</a>')
    return escaped


def _link(record: dict[str, Any], files: dict[int, str], text: str) -> str:
    return f'<a href="{_e(files[record["sequence"]])}">{_e(text)}</a>'


def _e(text: Any) -> str:
    return html.escape("" if text is None else str(text))
