"""A broken spec: every mistake once, with its place, what is allowed, and what was likely meant."""

from __future__ import annotations

import textwrap
from typing import Literal

import pytest
from pydantic import Field

from tasks.core.loading import SpecError, load_platform, read_yaml, validate
from tasks.core.model import Model
from tasks.systems import platform_model

GOOD = """\
platform: shop
title: Web shop
slack: {channel: "#shop"}
severities:
  P1: {means: down, respond: 15m}
  P2: {means: degraded, respond: next-day, outcome: warned}
default_severity: {warn: P2, critical: P1}
systems:
  cache:
    kind: redis
    url: {env: SHOP_REDIS_URL}
    limits: {memory_used: {warn: 80%}}
  api:
    kind: http
    url: https://shop.example.com
    depends_on: [cache]
    expect:
      /health: {severity: P1}
  jobs:
    kind: queue
    in: cache
    list: jobs
"""


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_platform(text, "shop.yaml", platform_model())
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def only_problem(old: str, new: str) -> str:
    problems = problems_of(changed(old, new))
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_spec_is_read():
    spec = load_platform(GOOD, "shop.yaml", platform_model())
    assert [system.kind for system in spec.systems.values()] == ["redis", "http", "queue"]


def test_a_good_spec_is_read_with_a_byte_order_mark_and_windows_lines():
    text = ("\ufeff" + GOOD).replace("\n", "\r\n").encode()
    assert load_platform(text, "shop.yaml", platform_model()).platform == "shop"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title: Web shop\n", "", "shop.yaml:1:1: title: is required"),
        ("    url: {env: SHOP_REDIS_URL}\n", "", "shop.yaml:9:3: systems.cache.url: is required"),
        (
            "    url: {env: SHOP",
            "    urll: {env: SHOP",
            "shop.yaml:11:5: systems.cache.urll: unknown key; did you mean 'url'?; allowed: backup, backup_url, ",
        ),
        (
            "title: Web",
            "titel: x\ntitle: Web",
            "shop.yaml:2:1: titel: unknown key; did you mean 'title'?; allowed: capacity, compliance, confirm,",
        ),
        (
            "memory_used",
            "memory_usd",
            "shop.yaml:12:14: systems.cache.limits.memory_usd: unknown key; did you mean 'memory_used'?; allowed:",
        ),
        (
            "warn: 80%",
            "warm: 80%",
            "shop.yaml:12:28: systems.cache.limits.memory_used.warm: unknown key; did you mean 'warn'?; allowed: by_s",
        ),
        (
            "kind: redis",
            "kind: reddis",
            "shop.yaml:10:5: systems.cache.kind: 'reddis' is no kind; did you mean 'redis'?",
        ),
        ("    kind: redis\n", "", "shop.yaml:9:3: systems.cache: has no kind; allowed: compose, files, host, http,"),
        (
            "warn: 80%",
            "warn: 80ms",
            "shop.yaml:12:14: systems.cache.limits.memory_used: memory_used is measured in ratio",
        ),
        ("warn: 80%", "warn: 80 percent", "shop.yaml:12:28: systems.cache.limits.memory_used.warn: 'percent' in"),
        (
            "severity: P1}",
            "severity: p1}",
            "shop.yaml:18:17: systems.api.expect./health.severity: 'p1' names nothing in this spec; did you mean 'P1'?",
        ),
        (
            "warn: P2",
            "warn: P3",
            "shop.yaml:7:20: default_severity.warn: 'P3' names nothing in this spec",
        ),
        (
            "[cache]",
            "[cach]",
            "shop.yaml:16:18: systems.api.depends_on.0: 'cach' names nothing in this spec; did you mean 'cache'?",
        ),
        ("[cache]", "[api]", "shop.yaml:16:18: systems.api.depends_on.0: a system cannot need itself"),
        (
            "in: cache",
            "in: api",
            "shop.yaml:21:5: systems.jobs.in: 'api' is a http system, which does not fit here; allowed: cache",
        ),
        (
            "    list: jobs\n",
            "",
            "shop.yaml:19:3: systems.jobs: a queue is exactly one of `list` and `celery`",
        ),
        (
            "url: {env: SHOP_REDIS_URL}",
            "url: redis://:hunter2@cache:6379",
            "shop.yaml:11:5: systems.cache.url: a secret is never written in a spec",
        ),
        (
            "url: {env: SHOP_REDIS_URL}",
            "url: {env: A, file: b}",
            "shop.yaml:11:5: systems.cache.url: a reference names exactly one of env, file and secret",
        ),
        (
            "url: {env: SHOP_REDIS_URL}",
            "url: {env: SHOP-URL}",
            "shop.yaml:11:11: systems.cache.url.env: 'SHOP-URL' does not match ^[A-Za-z_]",
        ),
        (
            "outcome: warned",
            "outcome: warn",
            "shop.yaml:6:44: severities.P2.outcome: 'warn' is not allowed; did you mean 'warned'?",
        ),
        (
            "respond: next-day",
            "respond: nextday",
            "shop.yaml:6:25: severities.P2.respond: 'nextday' is no quantity: write 80%, 200ms, 30d, 2GiB, 100 or",
        ),
        ("title: Web shop", "title: on", "shop.yaml:2:1: title: must be text: put True in quotes"),
        ("title: Web shop", "title: 12:30", "shop.yaml:2:1: title: must be text: put 750 in quotes"),
        ("title: Web shop", "title: [Web, shop]", "shop.yaml:2:1: title: must be text"),
        ("depends_on: [cache]", "depends_on: cache", "shop.yaml:16:5: systems.api.depends_on: must be a list"),
        (
            "slack: {channel",
            "slack: {chanel: x, channel",
            "shop.yaml:3:9: slack.chanel: unknown key; did you mean 'channel'?",
        ),
        (
            "    in: cache",
            "    timeout: 0s\n    in: cache",
            "shop.yaml:21:5: systems.jobs.timeout: Input should be greater",
        ),
        ("  jobs:", "  Jobs:", "shop.yaml:19:3: systems.Jobs: 'Jobs' does not match ^[a-z]"),
        (
            "title: Web shop",
            "title: Web shop\ntimezone: Mars/Base",
            "shop.yaml:3:1: timezone: 'Mars/Base' is no time zone",
        ),
    ],
)
def test_a_mistake_is_told_once_with_its_place(old, new, says):
    assert only_problem(old, new).startswith(says)


def test_no_secret_that_was_written_in_a_spec_is_repeated():
    assert "hunter2" not in "\n".join(problems_of(changed("{env: SHOP_REDIS_URL}", "redis://:hunter2@cache:6379")))


def test_a_value_that_two_rules_allow_is_refused_once_with_both():
    problem = only_problem("respond: next-day", "respond: nextday")
    assert "did you mean 'next-day'?; allowed: immediately, next-day, next-business-day" in problem


def test_an_unknown_key_lists_what_is_allowed():
    problem = only_problem("warn: 80%", "warm: 80%")
    assert problem.endswith("allowed: by_severity, critical, for, remedy, severity, warn")


def test_a_wrong_kind_lists_what_there_is():
    assert "allowed: compose, files, host, http, kubernetes, logs" in only_problem("kind: redis", "kind: oracle")


def test_all_mistakes_are_told_in_the_order_of_the_file():
    text = changed("title: Web shop", "title: 5").replace("80%", "lots").replace("kind: http", "kind: htp")
    lines = [int(problem.split(":")[1]) for problem in problems_of(text)]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_names_that_lead_nowhere_are_told_together_with_what_is_broken():
    text = changed("warn: P2, critical: P1", "warn: P9, critical: P1").replace("list: jobs", "lst: jobs")
    text = text.replace("depends_on: [cache]", "depends_on: [cash]").replace("{severity: P1}", "{severity: P0}")
    text = text.replace(
        "      /health:", "      /alarms: {json: {severity: high}, body: {severity: low}}\n      /health:"
    )
    assert [problem.split(": ")[1] for problem in problems_of(text)] == [
        "default_severity.warn",
        "systems.api.depends_on.0",
        "systems.api.expect./health.severity",
        "systems.jobs.lst",
    ]


def test_systems_that_need_each_other_are_a_circle():
    text = changed("    url: {env: SHOP_REDIS_URL}\n", "    url: {env: SHOP_REDIS_URL}\n    depends_on: [api]\n")
    (problem,) = problems_of(text)
    assert problem.startswith("shop.yaml:12:5: systems.cache.depends_on: depends on itself: cache -> api -> cache")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1:1: the file is empty"),
        ("# only a comment\n", "1:1: the file is empty"),
        ("a: [1, 2\nb: 3\n", "2:2: not valid YAML: while parsing a flow sequence"),
        ("a:\n\tb: 1\n", "2:1: not valid YAML: while scanning for the next token, found character '\\t'"),
        ("a: 1\n---\nb: 2\n", "2:1: not valid YAML: expected a single document"),
        ("a: *nothing\n", "1:4: not valid YAML: found undefined alias"),
        ("a: 1\nb: 2\na: 3\n", "3:1: a: 'a' is named twice; first on line 1"),
        ("a: {b: 1, b: 2}\n", "1:11: a.b: 'b' is named twice; first on line 1"),
        ("? [1, 2]\n: x\n", "1:3: a key must be plain text"),
        ("a: !!python/object:os.system {}\n", "1:1: a: the tag tag:yaml.org,2002:python/object:os.system is not"),
        ("a: !mine 1\n", "1:1: a: the tag !mine is not allowed"),
        ("a: 2026-13-45\n", "1:1: a: not a value that YAML can hold"),
        ("a: &a [*a]\n", "1:4: a.0: holds itself"),
        ("a: &a {b: *a}\n", "1:8: a.b: holds itself"),
        ("<<: 5\na: 1\n", "1:1: <<: merges what is no mapping"),
        ("a: \x01\n", "1:4: not valid YAML: character U+0001 is not allowed in YAML"),
        (b"a: 1\nb: caf\xe9\n", "2:7: byte 0xe9 is not UTF-8 text"),
        ("[" * 300, "1:1: nested deeper than 60 levels"),
        ("[" * 100 + "]" * 100, "1:1: nested deeper than 60 levels"),
        ("a: " + "x" * 2_000_001, "1:1: longer than 2,000,000 characters"),
    ],
)
def test_bad_yaml_is_a_problem_with_its_place_and_never_a_crash(text, says):
    problems = [str(problem) for problem in read_yaml(text, "x.yaml").problems]
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"x.yaml:{says}")


def test_an_alias_bomb_is_defused():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
    (problem,) = read_yaml(f"l0: &l0 boom\n{levels}\n", "x.yaml").problems
    assert "more than 50,000 values" in str(problem)


def test_tabs_are_answered_with_the_cure():
    (problem,) = read_yaml("a:\n\tb: 1\n", "x.yaml").problems
    assert str(problem).endswith("indent with spaces, not with tabs")


def test_a_list_at_the_top_is_no_platform():
    assert problems_of("- a\n- b\n") == ["shop.yaml:1:1: must be a mapping of keys to values"]


def test_keys_that_are_no_text_in_yaml_are_read_as_written():
    document = read_yaml("1: a\nyes: b\n2026-01-01: c\nnull: d\n", "x.yaml")
    assert document.data == {"1": "a", "yes": "b", "2026-01-01": "c", "null": "d"}
    assert document.problems == []


def test_anchors_and_merge_keys_work_as_in_yaml():
    text = """\
        base: &base {warn: 1, critical: 2}
        own: &own {<<: *base, warn: 3}
        again: *own
        both: {<<: [*own, {other: 4}], critical: 5}
        """
    document = read_yaml(textwrap.dedent(text), "x.yaml")
    assert document.problems == []
    assert document.data["own"] == {"warn": 3, "critical": 2}
    assert document.data["again"] == document.data["own"]
    assert document.data["both"] == {"warn": 3, "critical": 5, "other": 4}


def test_a_mistake_that_an_anchor_repeats_points_to_where_it_is_written():
    text = changed("    limits: {memory_used: {warn: 80%}}", "    limits: &limits {memory_used: {warn: lots}}")
    (problem,) = problems_of(text)
    assert problem.startswith(
        "shop.yaml:12:36: systems.cache.limits.memory_used.warn: 'lots' is no quantity: write 80%"
    )


def test_a_spec_of_five_hundred_systems_is_read():
    many = "".join(f"  api-{n}: {{kind: http, url: http://h{n}, expect: {{/: {{}}}}}}\n" for n in range(500))
    assert len(load_platform(GOOD + many, "shop.yaml", platform_model()).systems) == 503


def test_many_unknown_keys_are_each_told():
    many = "".join(f"  api-{n}: {{kind: http, url: http://h{n}, expect: {{/: {{}}}}, urll: x}}\n" for n in range(200))
    assert len(problems_of(GOOD + many)) == 200


class Cat(Model):
    kind: Literal["cat"]
    lives: int = Field(9, ge=1)


class House(Model):
    pets: dict[str, Cat]


def test_a_union_of_one_has_siblings_and_words_too():
    document = read_yaml("pets:\n  tom: {kind: dog, live: 9}\n", "house.yaml")
    with pytest.raises(SpecError) as caught:
        validate(document, House)
    assert [str(problem) for problem in caught.value.problems] == [
        "house.yaml:2:9: pets.tom.kind: 'dog' is not allowed; allowed: cat",
        "house.yaml:2:20: pets.tom.live: unknown key; did you mean 'lives'?; allowed: kind, lives",
    ]
