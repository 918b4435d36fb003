"""Resolving references, and keeping what was resolved out of every text."""

from __future__ import annotations

import os

import pytest

from tasks.clients.secrets import SecretResolver
from tasks.core.errors import ConfigError
from tasks.core.references import AddressReference, Reference


def resolver(**environment: str) -> SecretResolver:
    return SecretResolver(environment)


def test_a_reference_to_the_environment_is_its_value():
    assert resolver(DSN="postgresql://x").resolve(Reference(env="DSN")) == "postgresql://x"


def test_plain_text_is_its_own_value():
    assert resolver().resolve("https://example.com") == "https://example.com"


@pytest.mark.parametrize("environment", [{}, {"DSN": ""}])
def test_what_is_not_set_is_named_with_the_cure(environment):
    with pytest.raises(ConfigError, match=r"the environment variable DSN is not set \(export DSN=\.\.\.\)"):
        resolver(**environment).resolve(Reference(env="DSN"))


def test_an_address_falls_back_to_its_default():
    address = AddressReference(env="URL", default="http://localhost:8000")
    assert resolver().resolve(address) == "http://localhost:8000"
    assert resolver(URL="http://elsewhere").resolve(address) == "http://elsewhere"


def test_a_file_is_its_stripped_text(tmp_path):
    (tmp_path / "dsn").write_text("  postgresql://x\n", encoding="utf-8")
    assert resolver().resolve(Reference(file=str(tmp_path / "dsn"))) == "postgresql://x"


def test_with_the_lab_a_name_that_it_does_not_fill_is_an_error_and_never_the_default(tmp_path):
    secrets = SecretResolver({"DSN": "postgresql://lab", "EMPTY": ""}, only=tmp_path)
    assert secrets.resolve(Reference(env="DSN")) == "postgresql://lab"
    with pytest.raises(ConfigError, match="the lab does not fill env URL"):
        secrets.resolve(AddressReference(env="URL", default="https://api.example.com"))
    with pytest.raises(ConfigError, match="the lab does not fill env EMPTY"):
        secrets.resolve(AddressReference(env="EMPTY", default="https://api.example.com"))


def test_with_the_lab_only_its_own_files_are_read_and_no_block(tmp_path):
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "token").write_text("xoxb-lab", encoding="utf-8")
    (tmp_path / "token").write_text("xoxb-real", encoding="utf-8")
    (lab / "way-out").symlink_to(tmp_path / "token")
    secrets = SecretResolver({}, lambda name: f"value of {name}", only=lab)
    assert secrets.resolve(Reference(file=str(lab / "token"))) == "xoxb-lab"
    for real in (
        Reference(file=str(tmp_path / "token")),
        Reference(file=str(lab / "way-out")),
        Reference(secret="dsn"),
    ):
        with pytest.raises(ConfigError, match="the lab does not fill"):
            secrets.resolve(real)


def _latin(path):
    path.write_bytes(b"caf\xe9")


def _empty(path):
    path.write_text("\n", encoding="utf-8")


def _pipe(path):
    os.mkfifo(path)


def _huge(path):
    path.write_bytes(b"x" * 1_000_001)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _path: None, "there is none"),
        (_latin, "not UTF-8 text"),
        (_empty, "it is empty"),
        (_pipe, "not a small regular file"),
        (_huge, "not a small regular file"),
        (lambda path: path.mkdir(), "not a small regular file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_never_hangs(tmp_path, make, says):
    make(tmp_path / "dsn")
    with pytest.raises(ConfigError, match=says):
        resolver().resolve(Reference(file=str(tmp_path / "dsn")))
    assert resolver().resolve(AddressReference(file=str(tmp_path / "dsn"), default="x")) == "x"


def test_a_block_without_prefect_says_what_to_do():
    with pytest.raises(ConfigError, match="PREFECT_API_URL"):
        resolver().resolve(Reference(secret="dsn"))


def test_a_block_is_loaded_by_its_name():
    secrets = SecretResolver({}, lambda name: f"value of {name}")
    assert secrets.resolve(Reference(secret="dsn")) == "value of dsn"
    assert secrets.scrub("it is value of dsn") == "it is ***"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hunter2-token", "refused hunter2-token"),
        ("Bearer hunter2-token", "header hunter2-token refused"),
        ("postgresql://me:hunter2-x@db/shop", "cannot connect to postgresql://me:hunter2-x@db/shop"),
        ("postgresql://me:hunter2-x@db/shop", 'password "hunter2-x" is wrong'),
        ("postgresql://me:hunter2%2Fx@db/shop", "password hunter2/x is wrong"),
        ("postgresql://me:hunter2/x@y@db/shop", "password hunter2/x@y is wrong"),
        ("mongodb://me:hunter2-x@a:1,b:2/db", "hunter2-x@a:1"),
        ("redis://:hunter2-x@cache:6379/0", "AUTH hunter2-x"),
        ("host=db user=me password=hunter2-x dbname=shop", "password hunter2-x"),
        ("host=db password='hunter2 x'", "hunter2 x"),
        ("postgresql://db/shop?user=me&password=hunter2-x&sslmode=require", "hunter2-x"),
        ("-----BEGIN KEY-----\nhunter2hunter2hunter2hunter2\n-----END KEY-----", "at hunter2hunter2hunter2hunter2 in"),
    ],
)
def test_no_part_of_a_secret_shows_in_a_text(value, text):
    secrets = resolver(SECRET=value)
    secrets.resolve(Reference(env="SECRET"))
    assert "hunter2" not in secrets.scrub(text)


def test_a_password_in_an_address_is_a_secret_and_the_address_is_none():
    secrets = resolver(URL="http://me:hunter2-x@api.example.com")
    secrets.resolve(AddressReference(env="URL"))
    assert secrets.scrub("api.example.com says hunter2-x") == "api.example.com says ***"


def test_a_password_in_any_url_is_taken_out_even_if_nobody_resolved_it():
    assert resolver().scrub("see redis://user:hunter2@cache:6379") == "see redis://user:***@cache:6379"


def test_a_text_of_a_million_letters_without_a_space_is_scrubbed_as_it_comes():
    """A pattern that looked back from each letter would hold up every other check for minutes."""
    text = "x" * 1_000_000 + "://user:hunter2-secret@host"
    assert SecretResolver({}).scrub(text) == "x" * 1_000_000 + "://user:***@host"


def test_a_text_without_secrets_stays_as_it_is():
    secrets = resolver(SHORT="abc")
    secrets.resolve(Reference(env="SHORT"))
    assert secrets.scrub("abc is on port 5432 at 10:30, user@example.com") == (
        "abc is on port 5432 at 10:30, user@example.com"
    )
