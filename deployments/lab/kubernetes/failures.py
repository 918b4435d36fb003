"""Refusals, worded and coded as the real API server's `Status` objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from deployments.lab.kubernetes.resources import Resource


@dataclass(frozen=True)
class Cause:
    """One field that a 422 complains of."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class Failure(Exception):
    """A request that is refused; `status` is the body that the real API server sends."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if details:
            self.status["details"] = details
        if not reason:
            del self.status["reason"]


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}


def unauthorized() -> Failure:
    """401: the token is nobody's."""
    return Failure(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, resource: Resource, subresource: str, namespace: str, name: str) -> Failure:
    """403: the user has no such right."""
    what = resource.plural + (f"/{subresource}" if subresource else "")
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{resource.qualified} {f"{chr(34)}{name}{chr(34)} " if name else ""}is forbidden: User "{user}" cannot {verb} '
        f'resource "{what}" in API group "{resource.group}" {where}'
    )
    return Failure(HTTPStatus.FORBIDDEN, "Forbidden", message, _details(resource, name))


def forbidden_path(user: str, verb: str, path: str) -> Failure:
    """403 for a path that is no resource."""
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return Failure(HTTPStatus.FORBIDDEN, "Forbidden", message, {})


def not_found(resource: Resource, name: str) -> Failure:
    """404: no such object."""
    return Failure(
        HTTPStatus.NOT_FOUND, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name)
    )


def no_such_path() -> Failure:
    """404: no such resource at all; the real server answers plain text here, and this one's caller does too."""
    return Failure(HTTPStatus.NOT_FOUND, "NotFound", "404 page not found")


def already_exists(resource: Resource, name: str) -> Failure:
    """409: the name is taken."""
    message = f'{resource.qualified} "{name}" already exists'
    return Failure(HTTPStatus.CONFLICT, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Failure:
    """409: somebody else changed it in between, or a precondition does not hold."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Failure(HTTPStatus.CONFLICT, "Conflict", message, _details(resource, name))


def apply_conflict(manager: str, fields: Sequence[str]) -> Failure:
    """409: a server-side apply would take fields from another manager."""
    count = len(fields)
    plural = "conflicts" if count > 1 else "conflict"
    listed = f": {fields[0]}" if count == 1 else ":\n" + "\n".join(f"- {field}" for field in fields)
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field} for field in fields
    ]
    message = f'Apply failed with {count} {plural}: {plural} with "{manager}"{listed}'
    return Failure(HTTPStatus.CONFLICT, "Conflict", message, {"causes": causes})


def expired() -> Failure:
    """410: the page or the version that was asked for is no longer kept."""
    message = "The provided continue parameter is too old to display a consistent list result."
    return Failure(HTTPStatus.GONE, "Expired", message)


def too_large(version: int, present: int) -> Failure:
    """504: the version that was asked for is yet to come."""
    message = f"Too large resource version: {version}, current: {present}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return Failure(HTTPStatus.GATEWAY_TIMEOUT, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> Failure:
    """422: the object is well-formed but means nothing."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {"name": name, "group": resource.group, "kind": resource.kind} | {
        "causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    }
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def unprocessable(message: str) -> Failure:
    """422: a patch that cannot be carried out."""
    return Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message)


def bad_request(message: str) -> Failure:
    """400: the request itself is wrong."""
    return Failure(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def method_not_allowed() -> Failure:
    """405: the resource does not know this verb."""
    message = "the server does not allow this method on the requested resource"
    return Failure(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: Sequence[str]) -> Failure:
    """415: the body is of a type that is not taken here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)


def not_acceptable() -> Failure:
    """406: the client takes nothing that is spoken here."""
    message = "only the following media types are accepted: application/json"
    return Failure(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", message)
