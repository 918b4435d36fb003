"""What a spec says of vaults and backups: each mistake with its place, and what was likely meant."""

from __future__ import annotations

import pytest

from tasks.core.loading import SpecError, load_platform
from tasks.systems import platform_model

GOOD = """\
platform: shop
title: Web shop
slack: {channel: "#shop"}
severities: {P1: {means: down, respond: 15m}}
default_severity: {warn: P1, critical: P1}
vaults:
  local: {kind: folder, path: /backups, keep: {last: 3}}
  offsite: {kind: s3, bucket: shop-vault, lock: 7d, keep: {daily: 30}}
encryption: {recipients: [age1abc]}
systems:
  cache:
    kind: redis
    url: {env: SHOP_REDIS_URL}
    backup: {to: [local, offsite]}
  api: {kind: http, url: "https://shop.example.com", expect: {/: {}}}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_platform(text, "shop.yaml", platform_model())
    return [str(problem) for problem in caught.value.problems]


def test_a_good_spec_is_read_with_what_is_backed_up():
    spec = load_platform(GOOD, "shop.yaml", platform_model())
    assert list(spec.protected) == ["cache"]
    assert list(spec.vaults) == ["local", "offsite"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "to: [local, offsite]",
            "to: [local, ofsite]",
            "shop.yaml:14:26: systems.cache.backup.to.1: 'ofsite' is no vault; did you mean 'offsite'?",
        ),
        (
            "to: [local, offsite]",
            "to: [local, local]",
            "shop.yaml:14:14: systems.cache.backup.to: local is named twice: a second copy in the same vault is none",
        ),
        ("to: [local, offsite]", "too: [local]", "systems.cache.backup.too: unknown key; did you mean 'to'?"),
        ("to: [local, offsite]", "to: []", "systems.cache.backup.to: "),
        ("keep: {last: 3}", "keep: {}", "an empty policy would remove every backup"),
        ("keep: {last: 3}", "keep: {lasst: 3}", "vaults.local.keep.lasst: unknown key; did you mean 'last'?"),
        ("kind: folder", "kind: foldr", "'foldr' is no kind; did you mean 'folder'?"),
        ("lock: 7d", "lock: soon", "vaults.offsite.lock: "),
        ("encryption: {recipients: [age1abc]}\n", "", "there are vaults and no encryption"),
        ("encryption: {recipients: [age1abc]}", "encryption: {recipients: []}", "encryption.recipients: "),
        (
            'url: "https://shop.example.com"',
            'backup: {to: [local]}, url: "https://shop.example.com"',
            "systems.api.backup: unknown key",
        ),
    ],
)
def test_a_mistake_is_told_once_with_its_place(old, new, says):
    assert GOOD.count(old) == 1, old
    assert len([problem for problem in problems_of(GOOD.replace(old, new)) if says in problem]) == 1


def test_a_system_that_is_to_be_backed_up_where_there_are_no_vaults_is_a_problem_for_each():
    begin, end = GOOD.index("vaults:"), GOOD.index("encryption:")
    found = problems_of(GOOD[:begin] + GOOD[end:])
    assert [problem.partition(": ")[2] for problem in found] == [
        "systems.cache.backup.to.0: it is to be backed up, and there are no `vaults`",
        "systems.cache.backup.to.1: it is to be backed up, and there are no `vaults`",
    ]
