"""Restores a MongoDB: a dump, and the oplog up to a moment; into a scratch server, or into an empty place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from pymongo import errors, uri_parser

from tasks.clients.places import places
from tasks.core.errors import ConfigError
from tasks.core.manifest import Manifest
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.system import Access
from tasks.core.versions import must_not_be_older
from tasks.systems.mongodb.chain import Chain, Limit, chain_of
from tasks.systems.mongodb.connection import blocking
from tasks.systems.mongodb.layout import OPLOG, collections_in
from tasks.systems.mongodb.load import load
from tasks.systems.mongodb.made import Made, databases_in
from tasks.systems.mongodb.newest import newest_of
from tasks.systems.mongodb.oplog import read_position
from tasks.systems.mongodb.replay import Replay
from tasks.systems.mongodb.scratch import program, scratch, version_of
from tasks.systems.mongodb.spec import Spec
from tasks.systems.mongodb.sums import shown

_SECONDS, _SCRATCH_SECONDS = 20.0, 10.0


def ready(manifest: Manifest) -> str:
    """Name the server that a backup is restored into here.

    Raises:
        NotOffered: There is none.
        ConfigError: It is older than the backup.
    """
    command = program()
    if (version := version_of(command)) is not None:
        must_not_be_older(version, manifest.server_version, product="MongoDB")
    return str(command)


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Load a dump, replay what goes on from it, and make the indexes; `order.only` has databases or collections.

    A slice of the oplog is restored by the dump that it goes on from. Users and roles come along in scratch only.

    Raises:
        ConfigError: No backup reaches the moment; the place has one of the databases, is the live one, or is older.
        Garbled: A part is damaged, or one that is needed is gone.
        NotOffered: There is no server here to restore into.
        WatchkeeperError: As the server says.
    """
    chain = chain_of(source, order)
    if order.into is not None and endpoints(order.into) & endpoints(access.resolver.resolve(spec.uri)):
        raise ConfigError("this is the live server", hint="name another one, then let the application use it")
    with ExitStack() as opened:
        with order.phase(Phase.PROVISION):
            uri = order.into or opened.enter_context(scratch(order.folder))
        seconds = _SCRATCH_SECONDS if order.into is None else _SECONDS
        with blocking(uri, seconds=seconds, ca_bundle=access.ca_bundle) as client:
            made = Made(client, order.only, with_users=order.into is None)
            version = str(client.server_info()["version"])
            must_not_be_older(version, source.manifest.server_version, product="MongoDB")
            _must_fit(made, chain)
            with order.phase(Phase.RESTORE):
                load(made, chain.base, order)
            with order.phase(Phase.RECOVER):
                replay = _replayed(made, chain)
                made.finish()
            newest = newest_of(client, spec, made.counts)
        yield _told(uri, version, chain, made, replay, newest)


def endpoints(address: str) -> frozenset[str]:
    """Return every server behind an address, names resolved.

    Raises:
        ConfigError: It is no address of a MongoDB.
    """
    try:
        nodes = uri_parser.parse_uri(address, warn=False)["nodelist"]
    except (errors.PyMongoError, ValueError, TypeError):
        raise ConfigError(
            "the uri is no MongoDB address", hint="write mongodb://user:password@host:port/database"
        ) from None
    return frozenset(place for host, port in nodes for place in places(host, port or 27017))


def _must_fit(made: Made, chain: Chain) -> None:
    """See that what is asked for is in the backup, and not yet on the server."""
    names = collections_in(part.name for part in chain.base.manifest.parts)
    wanted = {database for database, name in names if made.wants(database, name)}
    for one in made.only:
        if not any(one in {database, f"{database}.{name}"} for database, name in names):
            raise ConfigError(f"the backup has no {one}", hint="name a database, or database.collection")
    for database in sorted(wanted & databases_in(made.client)):
        if made.client[database].list_collection_names():
            raise ConfigError(
                f"the place is not empty: it has the database {database}",
                hint="name an empty server, or drop the database where nobody needs it",
            )


def _replayed(made: Made, chain: Chain) -> Replay:
    manifest = chain.base.manifest
    after = None
    if manifest.details.get("consistency") == "transaction" and "oplog" in manifest.position:
        after = read_position(manifest.position["oplog"])
    replay = Replay(made, after)
    if any(part.name == OPLOG for part in manifest.parts):
        replay.run(chain.base.read(OPLOG), Limit())
    for one in chain.slices:
        if not replay.run(one.read(OPLOG), chain.limit):
            break
    return replay


def _told(uri: str, version: str, chain: Chain, made: Made, replay: Replay, newest: datetime | None) -> Restored:
    counted = {space: count for space, count in made.counts.items() if space.partition(".")[0] != "admin"}
    return Restored(
        address=uri,
        recovered_to=newest or replay.newest or chain.base.manifest.consistent_as_of,
        server_version=version,
        counts=counted,
        details={
            "reached": chain.reached.isoformat(),
            "backups": [chain.base.manifest.id, *(one.manifest.id for one in chain.slices)],
            "replayed": replay.applied,
            "indexes": made.index_counts(),
            "expiring": made.expiring(),
            "sums": {space: shown(made.sums[space]) for space in counted if space in made.sums},
            **({"only": list(made.only)} if made.only else {}),
        },
        warnings=tuple(made.warnings),
    )
