"""Connects to a bucket as its spec says, and tries again what trying again may help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tasks.clients import s3
from tasks.core.errors import TransientError, Unreachable
from tasks.core.system import Access
from tasks.systems.s3.spec import Spec

_PAUSES = (0.5, 2.0, 5.0)
_SECONDS = 30.0
_Answer = TypeVar("_Answer")


def connect(spec: Spec, access: Access, *, for_backup: bool = False, service: str = "s3") -> s3.S3Client:
    """Return a client with the spec's credentials, or with those for backups where it has any."""

    def resolved(reference: Any) -> str | None:
        return None if reference is None else access.resolver.resolve(reference)

    own = for_backup and spec.backup_access_key is not None
    return s3.connect(
        resolved(spec.endpoint),
        spec.region,
        resolved(spec.backup_access_key if own else spec.access_key),
        resolved(spec.backup_secret_key if own else spec.secret_key),
        _SECONDS if for_backup else spec.timeout.total_seconds(),
        access.ca_bundle,
        service,
    )


def patiently(call: Callable[[], _Answer], operation: str) -> _Answer:
    """Call, and again after each pause where that may help.

    Raises:
        botocore.exceptions.ClientError: The store refuses; `tasks.clients.s3.translated` explains it.
        Unreachable: It does not answer, however often it is asked.
    """
    for pause in (*_PAUSES, None):
        try:
            return call()
        except s3.Failure as error:
            ours = s3.translated(error, operation)
            if not isinstance(ours, TransientError):
                raise
            if pause is None:
                raise Unreachable(ours.message, operation=operation, hint=ours.hint) from None
        time.sleep(pause)
    raise AssertionError
