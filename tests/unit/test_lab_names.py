"""What the lab shows to others, and what it leaves of the real world where it is meant."""

from __future__ import annotations

import importlib
import json
import pkgutil

import pytest

from deployments import lab
from tasks.core.errors import ConfigError
from tasks.core.references import AddressReference, Reference
from tasks.core.settings import Settings
from tasks.platforms import access


def test_no_module_of_the_lab_has_the_name_of_something_public():
    assert {module.name for module in pkgutil.iter_modules(lab.__path__)} & set(lab.__all__) == set()


def test_every_public_name_is_there_before_and_after_its_module_is_imported():
    importlib.import_module("deployments.lab.catalog")
    assert all(callable(getattr(lab, name)) for name in lab.__all__)
    assert set(lab.faults()["tls"]) >= {"expired", "expiring"}


def test_with_the_lab_no_probe_is_given_the_real_environment_or_a_real_address(tmp_path, monkeypatch):
    (tmp_path / "environment.json").write_text(json.dumps({"APEX_REDIS_URL": "redis://lab"}), encoding="utf-8")
    monkeypatch.setenv("APEX_REDIS_URL", "redis://real")
    monkeypatch.setenv("APEX_DATABASE_URL", "postgresql://real")
    resolver = access(Settings(lab=tmp_path)).resolver
    assert resolver.resolve(Reference(env="APEX_REDIS_URL")) == "redis://lab"
    for real in (Reference(env="APEX_DATABASE_URL"), AddressReference(env="NOWHERE", default="http://real")):
        with pytest.raises(ConfigError, match="the lab does not fill"):
            resolver.resolve(real)
    assert access(Settings()).resolver.resolve(Reference(env="APEX_DATABASE_URL")) == "postgresql://real"


def test_a_lab_that_is_meant_and_not_up_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="watchkeeper lab up"):
        access(Settings(lab=tmp_path))
