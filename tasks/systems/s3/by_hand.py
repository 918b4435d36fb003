"""How a backup of a bucket is restored by hand: tar, and any client of S3. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from tasks.core.backup import Taken
from tasks.core.errors import PermanentError
from tasks.systems.s3.index import CURRENT, INDEX, ODD_LIST, is_part

_READ = """\
    read_part() {
      case "$1" in
        *.zst.age) age -d -i "$KEY" "$1" | zstd -dc ;;
        *.zst) zstd -dc "$1" ;;
        *.age) age -d -i "$KEY" "$1" ;;
        *) cat "$1" ;;
      esac
    }
    unpack() {
      mkdir -p "from/$1" && for part in "$2"/data/objects/*; do read_part "$part" || exit 1; done |
        tar -x -i --no-same-owner -C "from/$1" -f -
    }
"""
_JOIN = """\
    mkdir -p objects
    {{read:{current}}} > current.list
    {{read:{odd}}} > odd.list
    for n in {numbers}; do
      sed -z -n "s|^$n ||p" current.list > "list.$n"
      tar -c -C "from/$n" --no-unquote --null --verbatim-files-from -T "list.$n" -f - | tar -x -C objects -f -
    done
"""
_PUT = """\
    aws s3 sync objects/ "s3://${BUCKET:?}/" --no-progress
    plain() { printf '%b' "${1//%/\\\\x}"; }
    while read -r n member key; do
      aws s3api put-object --bucket "$BUCKET" --key "$(plain "$key")" --body "from/$n/$(plain "$member")" > put.json
    done < odd.list
"""


def quoted(text: str) -> str:
    """Return a key without anything that a line of `odd.list` could be cut at."""
    return quote(text, safe="/")


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the text for RECOVERY.md. See `tasks.core.backup.Recovery`."""
    missing = {INDEX, CURRENT, ODD_LIST} - set(parts)
    if missing:
        raise PermanentError(f"the backup has no part {min(missing)}")
    chain = list(taken.details.get("chain", ()))
    holders = [(chain.index(backup), f"../{backup}") for backup in taken.parents]
    if any(is_part(name) for name in parts):
        holders.append((len(chain), "."))
    unpacked = "".join(f"    unpack {number} {place}\n" for number, place in holders)
    joined = _JOIN.format(current=CURRENT, odd=ODD_LIST, numbers=" ".join(str(number) for number, _ in holders))
    beside = ", ".join(f"`{backup}`" for backup in taken.parents)
    needs = f" What did not change lies in earlier backups: have {beside} beside this folder." if beside else ""
    if not holders:
        return "The bucket held not a single object.\n"
    shown = f"{taken.counts['objects']} objects of the bucket `{taken.details['bucket']}`"
    return f"""This shows {shown}.{needs}
Everything is unpacked first, so have twice the room; run all of it in one `bash`.

{_READ}{unpacked}
What was there at that moment goes into `objects/`, each under its key. Keys that cannot be paths are in `odd.list`.

{joined}
Then give it to a bucket, with the AWS command line (with `--endpoint-url` where the store is not AWS) or any other
client of S3:

{_PUT}
How each was served (`Content-Type`, what its owner wrote about it) is in `{INDEX}`, a line of JSON for each, with its
hash (`b2sum -l 256`); `aws s3 sync` guesses the type by the name.
"""
