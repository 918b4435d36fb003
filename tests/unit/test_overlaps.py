"""A vault within what is backed up is refused before anything is read."""

from __future__ import annotations

import pytest

from tasks.clients.secrets import SecretResolver
from tasks.core.errors import ConfigError
from tasks.core.loading import load_platform
from tasks.overlaps import refuse_overlaps
from tasks.systems import platform_model

SPEC = """\
platform: shop
title: Web shop
slack: {{channel: "#shop"}}
severities: {{P1: {{means: down, respond: 15m}}}}
default_severity: {{warn: P1, critical: P1}}
vaults:
  kept: {vault}
encryption: {{recipients: [age1abc]}}
systems:
  source: {source}
"""
FILES = "{{kind: files, root: {root}, {more}backup: {{to: [kept]}}}}"
BUCKET = "{{kind: s3, bucket: {bucket}, {more}backup: {{to: [kept]}}}}"
STORE = "{{kind: s3, bucket: shop, {more}keep: {{last: 3}}}}"
REFUSED = "vault kept lies within source, so each backup would hold all those before it: put vault kept elsewhere"
HTTP = 'endpoint: "http://127.0.0.1:1/", '


def refused(vault, source):
    spec = load_platform(SPEC.format(vault=vault, source=source), "shop.yaml", platform_model())
    try:
        refuse_overlaps(spec, "source", SecretResolver({}))
    except ConfigError as error:
        return f"{error.message}: {error.hint}".startswith(REFUSED)
    return False


@pytest.mark.parametrize(
    ("vault", "more", "within"),
    [
        ("srv/backups", "", True),
        ("srv", "", True),
        ("link", "", True),
        ("elsewhere", "", False),
        ("srv2", "", False),
        ("srv/backups", "paths: [uploads], ", False),
        ("srv/backups/shop", "paths: ['back*'], ", True),
        ("srv/backups", "exclude: [/backups], ", False),
        ("srv/backups", "exclude: ['*.tmp'], ", True),
    ],
)
def test_a_folder_within_the_files_is_refused_unless_it_is_left_out(tmp_path, vault, more, within):
    (tmp_path / "srv").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "srv")
    place = f"{{kind: folder, path: {tmp_path / vault}, keep: {{last: 3}}}}"
    assert refused(place, FILES.format(root=tmp_path / "srv", more=more)) is within


@pytest.mark.parametrize(
    ("vault", "bucket", "source", "within"),
    [
        ("prefix: vault, ", "shop", "", True),
        ("", "shop", "", True),
        ("prefix: vault, ", "shop", "prefix: uploads/, ", False),
        ("prefix: uploads/vault, ", "shop", "prefix: uploads/, ", True),
        ("", "shop", "prefix: uploads/, ", False),
        ("", "other", "", False),
        (HTTP, "shop", HTTP.replace("1/", "1"), True),
        (HTTP, "shop", "", False),
    ],
)
def test_a_prefix_within_the_bucket_is_refused(vault, bucket, source, within):
    assert refused(STORE.format(more=vault), BUCKET.format(bucket=bucket, more=source)) is within
