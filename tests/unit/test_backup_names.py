"""Names of parts come from databases, files and objects, whose names may be anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.backup import safe_name


@given(st.lists(st.text(max_size=400), unique=True, max_size=20))
def test_every_name_gets_one_of_its_own_that_is_safe_everywhere(names):
    names = [name.encode("utf-8", "replace").decode() for name in names]
    safe = {safe_name(name) for name in set(names)}
    assert len(safe) == len(set(names))
    assert all(len(name) <= 100 and name not in {".", ".."} and not set(name) & set("/\\ \0\"'$`%") for name in safe)
    assert all(name == name.lower() for name in safe)


@pytest.mark.parametrize("name", ["shop", "shop_2.main", "0-a"])
def test_a_plain_name_stays_as_it_is(name):
    assert safe_name(name) == name


@pytest.mark.parametrize(("name", "safe"), [("Shop", "~53hop"), ("../x", "~2e~2e~2fx"), ("", "~")])
def test_any_other_is_written_in_hexadecimal(name, safe):
    assert safe_name(name) == safe
