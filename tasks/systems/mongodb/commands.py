"""Carries out what the oplog tells of collections and indexes, as far as it is not done already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymongo import errors

from tasks.systems.mongodb.layout import BUCKETS
from tasks.systems.mongodb.made import Made

_IS_THERE = 48
_Content = dict[str, Any]
_COLL_MOD = frozenset(
    {"validator", "validationLevel", "validationAction", "changeStreamPreAndPostImages", "timeseries"}
)


def carry_out(made: Made, database: str, content: _Content) -> bool:
    """Carry out one command of the oplog; return whether it was one of what is asked for.

    Args:
        made: What is there.
        database: That the command is about.
        content: Its `o`: the first field is its name.
    """
    name = next(iter(content), "")
    if name == "dropDatabase":
        return _drop_database(made, database)
    if name == "renameCollection":
        return _rename(made, content)
    target = content[name]
    owner = target.removeprefix(BUCKETS) if isinstance(target, str) else ""
    if not made.wants(database, owner):
        return False
    if (act := _ACTS.get(name)) is not None:
        act(made, database, target, content)
        return True
    if name not in _WITHOUT_EFFECT:
        made.warn(f"{name} of {database}.{target} was not replayed")
    return False


def _create(made: Made, database: str, name: str, content: _Content) -> None:
    options = {key: value for key, value in content.items() if key not in {"create", "idIndex", "autoIndexId"}}
    if "viewPipeline" in options:
        options["pipeline"] = options.pop("viewPipeline")
    add = made.add_collection
    if name.startswith(BUCKETS):
        name, add = name.removeprefix(BUCKETS), made.add_series
        options = {key: value for key, value in options.items() if key in {"timeseries", "expireAfterSeconds"}}
    if {f"{database}.{name}", f"{database}.{BUCKETS}{name}"} & made.counts.keys():
        return
    try:
        add(database, name, options)
    except errors.OperationFailure as error:
        if error.code != _IS_THERE:
            raise


def _drop(made: Made, database: str, name: str, content: Mapping[str, Any]) -> None:  # noqa: ARG001
    made.client[database].drop_collection(name)
    made.forget(f"{database}.{name}")


def _drop_database(made: Made, database: str) -> bool:
    mine = [space for space in (*made.counts, *made.views) if space.partition(".")[0] == database]
    for space in mine:
        _drop(made, database, space.partition(".")[2], {})
    return bool(mine)


def _rename(made: Made, content: _Content) -> bool:
    source, target = content["renameCollection"], content["to"]
    from_database, _, from_name = source.partition(".")
    if not made.wants(from_database, from_name) or source not in made.counts:
        return False
    made.client.admin.command({"renameCollection": source, "to": target, "dropTarget": True})
    for held in (made.counts, made.sums):
        held[target] = held.pop(source, 0)
    made.indexes[target] = made.indexes.pop(source, {})
    return True


def _create_indexes(made: Made, database: str, name: str, content: _Content) -> None:
    indexes = content.get("indexes")
    alone = {key: value for key, value in content.items() if key != "createIndexes"}
    made.add_indexes(f"{database}.{name}", indexes if isinstance(indexes, list) else [alone])


def _drop_indexes(made: Made, database: str, name: str, content: _Content) -> None:
    held, index = made.indexes.get(f"{database}.{name}", {}), content.get("index")
    if index == "*":
        held.clear()
    else:
        held.pop(str(index), None)


def _coll_mod(made: Made, database: str, name: str, content: _Content) -> None:
    space = f"{database}.{name}"
    if isinstance(index := content.get("index"), dict):
        held = made.indexes.get(space, {}).get(str(index.get("name")))
        if held is not None:
            made.add_indexes(space, [{**held, **{key: value for key, value in index.items() if key != "keyPattern"}}])
    if space in made.views and "viewOn" in content:
        made.views[space] = {"viewOn": content["viewOn"], "pipeline": content.get("pipeline", [])}
    if space in made.counts and (wanted := {key: value for key, value in content.items() if key in _COLL_MOD}):
        made.client[database].command({"collMod": name, **wanted})


def _empty(made: Made, database: str, name: str, content: Mapping[str, Any]) -> None:  # noqa: ARG001
    space = f"{database}.{name}"
    if space in made.counts:
        made.client[database][name].delete_many({})
        made.counts[space] = made.sums[space] = 0


_ACTS: dict[str, Callable[[Made, str, str, _Content], None]] = {
    "create": _create,
    "drop": _drop,
    "createIndexes": _create_indexes,
    "commitIndexBuild": _create_indexes,
    "dropIndexes": _drop_indexes,
    "deleteIndexes": _drop_indexes,
    "dropIndex": _drop_indexes,
    "deleteIndex": _drop_indexes,
    "collMod": _coll_mod,
    "emptycapped": _empty,
}
_WITHOUT_EFFECT = frozenset({"startIndexBuild", "abortIndexBuild", "modifyCollectionShardingIndexCatalog"})
