"""SQL injection in what was asked of a web server: decoded as often as attackers encode it, then matched narrowly.

The patterns look for SQL that is spliced into a value, not for words of SQL: a search for "drop a table" is none.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

_ROUNDS = 4
_LONGEST = 16384
_SHOWN = 80
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")
_WIDE = re.compile(r"%u([0-9A-Fa-f]{4})")
_COMMENT = re.compile(r"/\*(?!!).{0,200}?\*/|/\*!\d*|\*/", re.DOTALL)
_SPACE = re.compile(r"[\s\x00\ufffd]+")  # %A0 is a space to MySQL and no UTF-8
_WORTH_DECODING = re.compile(rb"""[%'"();+*\\ ]|--""")
_WORTH_MATCHING = re.compile(
    r"""['"`;(]|--|/\*|@@|union|select|\bor\b|\band\b|\|\||order by|having"""
    r"""|information_schema|sys\.|sysobjects|outfile"""
)
_Q = r"""['"`\u2019]"""
_END = r"""(?:--|#|/\*|;|$)"""
_VALUE = rf"""(?:{_Q}[^'"`]{{0,60}}{_Q}?|[\w.@]{{1,60}}|\()"""
_PATTERNS = {
    "union": re.compile(
        r"""\bunion[\s(]+(?:(?:all|distinct)[\s(]+)?select\b[\s(]*"""
        r"""(?:null|\d|0x|@|\*|['"`(]|[\w.`@$]+\s*[,(]|[\w.`@ ]{1,100}\bfrom\b|[\w.`@]+\s*(?:--|#|$))"""
    ),
    "tautology": re.compile(
        rf"""{_Q}\s*\)*\s*(?:or|and|xor|\|\||&&)\s*(?:not\s+)?\(*\s*"""
        rf"""(?:{_VALUE}\s*(?:=|<|>|!=|\blike\b|\bis\b|\bin\b|\bbetween\b|\brlike\b|\bregexp\b)"""
        rf"""|(?:true|\d+)\s*\)*\s*(?:{_END}|{_Q})|exists\s*\(|{_Q}{{2}})"""
        r"""|(?:^|[\d)=\s])\s*(?:or|and|xor|\|\||&&)\s+\(*\s*(?:not\s+)?(\d{1,9})(?:\s*[-+*/%]\s*\d{1,9}){0,5}\)*\s*"""
        r"""(?:=|<|>|like)\s*\(*\d"""
        r"""|\)\s*(?:or|and|xor)\s*\(+\d{1,9}\)*\s*[=<>]\s*\(*\d"""
        r"""|^(?:or|and)\s+(?:true\b|\d{1,9}\s*(?:--|\#))"""
        rf"""|(?:^|[\d)=])\s*(?:or|and)\s+\(*({_Q})([^'"`]{{0,30}})\2\s*(?:=|like)\s*\2\3"""
        r"""|(?:[\d)=])\s*(?:or|and)\s+(?:true|not\s+false)\s*(?:--|#)"""
        r"""|\bhaving\s+\(*\d{1,9}\s*[=<>]\s*\d"""
    ),
    "stacked": re.compile(
        rf"""(?:{_Q}|[;)\d])\s*;\s*(?:drop|alter|create|truncate)\s+(?:table|database|schema|view|user|login|function|"""
        r"""procedure|column|index)\b"""
        rf"""|(?:{_Q}|[\d)])\s*;\s*(?:insert\s+into|delete\s+from|update\s+[\w.`]+\s+set|select\b|exec(?:ute)?\b|"""
        r"""declare\s+@?|shutdown\b|waitfor\b|call\s+\w|grant\s|merge\s|begin\b|if\s*\()"""
        r"""|\b(?:drop|truncate)\s+table\s+[\w.`]+\s*(?:--|;|\#)|\bexec(?:ute)?\s+(?:master\.|sp_|xp_)"""
        r"""|;\s*(?:drop\s+(?:table|database)\s+[\w.`"\[\]]+|delete\s+from\s+[\w.`]+|insert\s+into\s+[\w.`]+\s*[(v]|"""
        r"""exec(?:ute)?\s+(?:master|sp_|xp_)|update\s+[\w.`]+\s+set\s+\w+\s*=|shutdown\s*(?:--|;|$))"""
    ),
    "comment": re.compile(
        rf"""[\w)]{_Q}\s*\)*\s*(?:--(?:\s|-|\+|$)|\#\s*$|/\*|;\s*(?:--|\#|%00|$)\s*$)|^{_Q}\s*\)*\s*(?:--|\#|;)\s*$"""
        rf"""|=\s*{_Q}\s*\)*\s*(?:--|\#|;\s*--)"""
    ),
    "time": re.compile(
        r"""\b(?:sleep|pg_sleep|benchmark|dbms_pipe\.receive_message|dbms_lock\.sleep|randomblob)\s*\(\s*['"\d(a-z@]"""
        r"""|\bwaitfor\s+(?:delay|time)\s+['"\d(@]"""
    ),
    "subquery": re.compile(
        r"""\(\s*select\b.{1,300}?(?:\bfrom\b|\)|@@|\bcase\b)"""
        r"""|\bselect\s+(?:\*|(?:count|concat|char|version|user|database|group_concat|load_file|unhex|hex)\s*\(|@@|null\b|"""
        r"""[\w.`]+(?:\s*,\s*[\w.`]+)+\s+from\b)"""
        rf"""|{_Q}\s*(?:\|\||\+|,)\s*\(?\s*(?:select\b|chr\s*\(|char\s*\(|{_Q}\s*(?:\|\||\+))"""
        rf"""|{_Q}\s*\|\|\s*{_Q}|\|\|\s*\(?\s*(?:select|elt|chr|char|utl_\w+|dbms_\w+|ctxsys)\b"""
        r"""|\bselect\s+.{1,200}?\bfrom\s+[\w.`"]+\s*(?:where\b|--|;|limit\s+\d|order\s+by|group\s+by|union\b)"""
    ),
    "order": re.compile(
        rf"""(?:{_Q}|[\d)])\s*\)*\s+(?:order|group)\s+by\s+\(*\d{{1,3}}\b"""
        rf"""|(?:{_Q}|\d\))\s*\)*\s+(?:order|group)\s+by\s+[\w.`,]+.{{0,40}}(?:--|\#)"""
    ),
    "names": re.compile(
        r"""\binformation_schema\b|\bpg_catalog\.|\bpg_shadow\b|\bsqlite_master\b|\bmysql\.user\b|\bsys(?:objects|columns)\b"""
        r"""|\bsys\.(?:tables|databases|user_tables|all_tables|schemas)\b|\bmaster\.\.|\bxp_(?:cmdshell|regread|dirtree)\b"""
        r"""|\bsp_(?:executesql|password|oacreate)\b|\bfrom\s+(?:dual|all_tables|user_tables)\b|\bv\$version\b"""
        r"""|\binto\s+(?:out|dump)file\b|\bload_file\s*\(|\bload\s+data\s+(?:local\s+)?infile\b"""
        r"""|@@(?:version|hostname|datadir|global|basedir)\b|\butl_(?:http|inaddr)\b|\bprocedure\s+analyse\b"""
        r"""|\b(?:extractvalue|updatexml|exp|floor|row)\s*\(.{0,80}(?:concat|select|rand)\b"""
        r"""|\b(?:ascii|ord|length|substr(?:ing)?|mid)\s*\(\s*\(?\s*(?:select\b|substr|database|user|version|current_user|@@|lower\s*\()"""
        r"""|\bcase\s+when\b.{1,200}\bthen\b|\bif\s*\(\s*[^,()]{0,60}[=<>][^,]{0,60},.{1,80},"""
        r"""|\b(?:r?like|regexp)\s*\(\s*(?:select|case)\b|\bconvert\s*\(\s*int\b|\bcast\s*\(.{1,80}\bas\s+(?:int|char|varchar|numeric)"""
    ),
}


def injection(text: bytes) -> tuple[str, str] | None:
    """Return the name of the pattern that a text matches, and the part that matched; None where it is harmless.

    Args:
        text: A target, a referrer or a user agent, as it was logged.
    """
    return None if _WORTH_DECODING.search(text) is None else _looked_at(text)


@lru_cache(maxsize=16384)
def _looked_at(text: bytes) -> tuple[str, str] | None:
    for plain in _readings(text[:_LONGEST].decode("utf-8", "replace")):
        if _WORTH_MATCHING.search(plain) is None:
            continue
        for name, pattern in _PATTERNS.items():
            found = pattern.search(plain)
            if found is not None:
                return name, _shown(found[0])
    return None


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _readings(text: str) -> list[str]:
    """Return the values of a target one by one, decoded until nothing changes."""
    if "\\x" in text:
        text = _ESCAPED.sub(_letter, text)
    path, question, query = text.partition("?")
    parts = [path, *re.split(r"&(?!&|[a-z]{2,6};|#)", query)] if question else [path]
    found = []
    for part in parts:
        name, equals, value = part.partition("=")
        plain = _decoded(part)
        if not equals or part is path:
            found.append(plain)
        else:
            found += [_decoded(value), _decoded(name)] if "%" in name or "(" in name else [_decoded(value)]
    if len(parts) > 1 and ("&&" in text or "%26" in text or "/*" in text):
        found.append(_decoded(query))
    return found


def _decoded(text: str) -> str:
    """Undo the percents (many times, as filters are passed by), wide characters, entities, comments and capitals."""
    text = text.replace("+", " ")
    for _ in range(_ROUNDS):
        if "%" not in text:
            break
        plain = unquote(_WIDE.sub(_letter, text) if "%u" in text else text)
        if plain == text:
            break
        text = plain
    if "&#" in text or "&quot" in text or "&apos" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u02b9", "'").replace("\u02bc", "'")
    if "*" in text:
        text = _COMMENT.sub(" ", text)
    return _SPACE.sub(" ", text).strip().lower()


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
