"""What an update in the oplog makes of a document, in each form that servers write."""

import pytest

from tasks.core.errors import Garbled
from tasks.systems.mongodb.diffs import is_replacement, patched


def held():
    return {"_id": 1, "a": 1, "b": {"c": 2, "d": [1, 2, {"e": 3}]}, "f": "x"}


def second(**diff):
    return {"$v": 2, "diff": diff}


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (second(u={"a": 5}, d={"f": False}), {"_id": 1, "a": 5, "b": held()["b"]}),
        (second(i={"g": {"h": 1}}), {**held(), "g": {"h": 1}}),
        (second(sb={"u": {"c": 9}, "i": {"n": 1}}), {**held(), "b": {"c": 9, "d": [1, 2, {"e": 3}], "n": 1}}),
        (second(sb={"sd": {"a": True, "u0": 7, "s2": {"u": {"e": 4}}}}),
         {**held(), "b": {"c": 2, "d": [7, 2, {"e": 4}]}}),
        (second(sb={"sd": {"a": True, "l": 1}}), {**held(), "b": {"c": 2, "d": [1]}}),
        (second(sb={"sd": {"a": True, "u4": 5}}), {**held(), "b": {"c": 2, "d": [1, 2, {"e": 3}, None, 5]}}),
        ({"$v": 1, "$set": {"b.d.2.e": 8, "n.m": 1}, "$unset": {"f": True}},
         {"_id": 1, "a": 1, "b": {"c": 2, "d": [1, 2, {"e": 8}]}, "n": {"m": 1}}),
        (second(updatedFields={"b.d.3": 7}, removedFields=["a"], truncatedArrays=[]),
         {"_id": 1, "b": {"c": 2, "d": [1, 2, {"e": 3}, 7]}, "f": "x"}),
        (second(updatedFields={}, removedFields=[], truncatedArrays=[{"field": "b.d", "newSize": 2}]),
         {**held(), "b": {"c": 2, "d": [1, 2]}}),
    ],
)  # fmt: skip
def test_every_form_is_understood(update, expected):
    assert not is_replacement(update)
    assert patched(held(), update) == expected


@pytest.mark.parametrize(
    "update",
    [
        second(sa={"u": {"c": 9}}),
        second(sf={"a": True, "u0": 1}),
        second(snone={"u": {"c": 9}}),
        second(sb={"sd": {"a": True, "s9": {"u": {"e": 1}}}}),
        second(d={"gone": False}),
        {"$v": 1, "$unset": {"x.y.z": True}},
        {"$set": {"a.b": 1}},
    ],
)
def test_what_finds_no_place_in_a_newer_document_changes_nothing(update):
    assert patched(held(), update) == held()


def test_a_field_that_is_put_in_anew_comes_last():
    assert list(patched(held(), second(i={"a": 1}))) == ["_id", "b", "f", "a"]


@pytest.mark.parametrize("update", [{"$inc": {"a": 1}}, second(x={}), second(sb={"sd": {"a": True, "b0": 1}})])
def test_a_form_that_nobody_knows_is_never_guessed(update):
    with pytest.raises(Garbled, match="unknown form"):
        patched(held(), update)


def test_a_whole_document_is_a_replacement():
    assert is_replacement({"_id": 1, "v": 2})
