"""Rows and the objects that they name are held against each other both ways."""

import pytest

from tasks.core.drill_plan import Reconciliation
from tasks.core.results import Outcome
from tasks.overall import reconciled

ROWS = {"a", "b", "c", "d", "e"}


def held(wanted, there, **limits):
    return reconciled(Reconciliation(rows="database", query="SELECT 1", objects="storage", **limits), wanted, there)


@pytest.mark.parametrize(
    ("there", "limits", "outcome", "note"),
    [
        (ROWS, {}, Outcome.PASSED, ""),
        (ROWS - {"a"}, {}, Outcome.FAILED, "named by rows and not in the backup: a"),
        (ROWS - {"a"}, {"missing": 1}, Outcome.PASSED, "named by rows and not in the backup: a"),
        (set("z"), {}, Outcome.FAILED, "named by rows and not in the backup: a, b, c and 2 more"),
        (ROWS | {"x"}, {}, Outcome.PASSED, ""),
        (ROWS | {"x"}, {"unnamed": 1}, Outcome.PASSED, ""),
        (ROWS | {"x", "y"}, {"unnamed": 1}, Outcome.FAILED, "in the backup and named by no row: x, y"),
    ],
)
def test_what_rows_name_and_is_not_there_and_what_is_there_and_no_row_names_is_told(there, limits, outcome, note):
    found, _, observed, said = held(ROWS, there, **limits)
    assert (found, said) == (outcome, note)
    assert observed == f"{len(ROWS - there)} of 5 missing, {len(there - ROWS)} that no row names"


def test_where_no_row_names_anything_it_could_not_be_told():
    assert held(set(), {"x"})[0] is Outcome.ERRORED
