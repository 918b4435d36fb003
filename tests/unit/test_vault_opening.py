"""From a spec to a vault: what is resolved, when, and what is refused."""

from datetime import timedelta

import pytest

from tasks.clients.blobs import FolderStore
from tasks.clients.secrets import SecretResolver
from tasks.core.errors import ConfigError
from tasks.core.references import Reference
from tasks.core.vaults import DeleteKeys, Encryption, FolderVault, ReadKeys, S3Vault
from tasks.vault.keys import new_key
from tasks.vault.opening import identity_of, open_vault
from tests.unit.test_vault import NOW, TEXT, contents, take

PAIR, OTHER = new_key(), new_key()
KEEP = {"last": 3}


def folder_spec(path, **more):
    return FolderVault(kind="folder", path=str(path), keep=KEEP, **more)


def encryption(*recipients, identity=None):
    return Encryption(recipients=recipients or (PAIR.recipient,), identity=identity)


def env(name):
    return Reference(env=name)


def test_a_folder_is_opened_encrypts_for_all_and_is_read_with_the_identity(tmp_path):
    resolver = SecretResolver({"KEY": PAIR.identity, "ALL": f"# both\n{PAIR.recipient}\n{OTHER.recipient}\n"})
    told = encryption({"env": "ALL"}, identity=env("KEY"))
    vault = open_vault("local", folder_spec(tmp_path / "v"), told, resolver, now=lambda: NOW)
    manifest = take(vault, {"a": TEXT})
    assert manifest.recipients == (PAIR.recipient, OTHER.recipient)
    assert contents(vault, manifest, identity_of(told, resolver)) == {"a": TEXT}
    assert isinstance(vault.store, FolderStore)


def test_not_encrypted_is_only_what_the_platform_says_so_of(tmp_path):
    vault = open_vault("local", folder_spec(tmp_path), "none", SecretResolver({}), now=lambda: NOW)
    assert contents(vault, take(vault, {"a": TEXT}), identity_of("none", SecretResolver({}))) == {"a": TEXT}
    with pytest.raises(ConfigError, match="who may read"):
        open_vault("local", folder_spec(tmp_path), None, SecretResolver({}))


@pytest.mark.parametrize("text", ["age1nonsense", PAIR.identity, "# nobody\n"], ids=["nonsense", "secret", "nobody"])
def test_a_recipient_that_is_none_is_refused_and_a_secret_one_is_not_shown(tmp_path, text):
    resolver = SecretResolver({"ALL": text})
    with pytest.raises(ConfigError) as refused:
        open_vault("local", folder_spec(tmp_path), encryption({"env": "ALL"}), resolver)
    assert PAIR.identity not in str(refused.value)


def test_the_bandwidth_of_the_spec_holds_back_what_is_written(tmp_path):
    vault = open_vault("v", folder_spec(tmp_path, bandwidth="1KiB"), "none", SecretResolver({}), now=lambda: NOW)
    waited = []
    vault.recipe.pace._sleep = waited.append
    vault.recipe.pace._clock = lambda: 0.0
    vault.recipe.pace._due = 0.0
    take(vault, {"files/a": bytes(range(256)) * 40})
    assert max(waited) == pytest.approx(10, abs=0.2)


def s3_spec(**more):
    keys = {"access_key": env("KEY"), "secret_key": env("SECRET")}
    return S3Vault(kind="s3", bucket="backups", endpoint="http://127.0.0.1:1", keep=KEEP, **keys, **more)


def test_the_credentials_that_delete_are_resolved_only_when_something_is_removed():
    resolver = SecretResolver({"KEY": "k", "SECRET": "s"})
    delete = DeleteKeys(access_key=env("DELETE_KEY"), secret_key=env("DELETE_SECRET"))
    vault = open_vault("far", s3_spec(delete=delete), encryption(), resolver)
    with pytest.raises(ConfigError, match="DELETE_KEY"):
        _ = vault.erasing
    assert vault.keeping is vault.store
    plain = open_vault("far", s3_spec(), encryption(), resolver)
    assert plain.erasing is plain.store


def test_what_is_only_read_is_opened_by_the_credentials_that_read_and_the_others_need_not_be_there():
    resolver = SecretResolver({"READ_KEY": "r", "READ_SECRET": "s"})
    read = ReadKeys(access_key=env("READ_KEY"), secret_key=env("READ_SECRET"))
    assert open_vault("far", s3_spec(read=read), encryption(), resolver, reading=True).store is not None
    with pytest.raises(ConfigError, match="KEY"):
        open_vault("far", s3_spec(read=read), encryption(), resolver)
    with pytest.raises(ConfigError, match="KEY"):
        open_vault("far", s3_spec(), encryption(), resolver, reading=True)


def test_a_lock_is_for_what_makes_up_a_backup_and_not_for_marks():
    resolver = SecretResolver({"KEY": "k", "SECRET": "s"})
    vault = open_vault("far", s3_spec(lock="30d", lock_mode="compliance"), encryption(), resolver)
    assert vault.keeping._lock == (timedelta(days=30), "compliance")
    assert vault.store._lock is None
    assert vault.erasing is vault.keeping
