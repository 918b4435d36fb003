"""The tables of failures of the data stores, on texts that servers and drivers really write."""

import psycopg
import pytest
from botocore import exceptions
from pymongo import errors

from tasks.clients import s3
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, PermanentError, TransientError, Unreachable
from tasks.systems.mongodb import connection as mongodb
from tasks.systems.postgres import connection as postgres

AT = 'connection failed: connection to server at "10.0.0.7", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (AT + "FATAL:  the database system is starting up", Unreachable, "the database system is starting up"),
        (
            AT + "FATAL:  the database system is in recovery mode",
            Unreachable,
            "the database system is in recovery mode",
        ),
        (AT + "FATAL:  the database system is shutting down", Unreachable, "the database system is shutting down"),
        (AT + "FATAL:  sorry, too many clients already", Unreachable, "sorry, too many clients already"),
        (
            AT + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            Unreachable,
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        ),
        (
            AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "wk", database "apex", no encryption',
            Denied,
            'no pg_hba.conf entry for host "10.0.0.9", user "wk", database "apex", no encryption',
        ),
        (AT + "fe_sendauth: no password supplied", Denied, "fe_sendauth: no password supplied"),
        (
            AT + "ERROR:  unsupported startup parameter in options: statement_timeout",
            ConfigError,
            "a pooler stands before it: unsupported startup parameter in options: statement_timeout",
        ),
        (AT + "SSL error: certificate verify failed", Unreachable, "TLS failed: SSL error: certificate verify failed"),
        (AT + "server closed the connection unexpectedly", Unreachable, "it closed the connection"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", Unreachable, "there is no such host"),
    ],
)
def test_a_connection_that_postgres_refuses_is_told_for_what_it_is(text, kind, message):
    error = postgres.translated(psycopg.OperationalError(text))
    assert (type(error), error.message) == (kind, message)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.InsufficientPrivilege("permission denied for view"), Denied),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), TransientError),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), TransientError),
        (psycopg.errors.ObjectNotInPrerequisiteState("must be loaded via shared_preload_libraries"), NotOffered),
        (psycopg.errors.UndefinedColumn("column does not exist"), NotOffered),
        (psycopg.errors.AdminShutdown("terminating connection due to administrator command"), Unreachable),
        (psycopg.errors.DataCorrupted("invalid page in block 7"), TransientError),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), Unreachable),
        (psycopg.DataError("odd"), PermanentError),
    ],
)
def test_a_statement_that_postgres_refuses_is_told_for_what_it_is(error, kind):
    assert type(postgres.translated(error)) is kind


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            errors.OperationFailure("x", 18, {"errmsg": "Authentication failed."}),
            Denied,
            "the user or the password is wrong",
        ),
        (errors.OperationFailure("x", 13, {"errmsg": "not authorized"}), Denied, "not authorized"),
        (errors.OperationFailure("x", 59, {"errmsg": "no such"}), NotOffered, "the server does not know the command"),
        (errors.OperationFailure("x", 9001, {"errmsg": "odd"}), PermanentError, "odd"),
        (errors.ExecutionTimeout("x", 50, {}), TransientError, "it took longer than the check may take"),
        (
            errors.ServerSelectionTimeoutError(
                "db:27017: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed (_ssl.c:1006)"
                " (configured timeouts: connectTimeoutMS: 20000.0ms), Timeout: 5s, Topology Description: <...>"
            ),
            Unreachable,
            "TLS failed: certificate verify failed: self-signed",
        ),
        (
            errors.ServerSelectionTimeoutError("db:27017: timed out (configured timeouts: ...), Timeout: 5s, Topology"),
            Unreachable,
            "it did not answer in time",
        ),
        (errors.AutoReconnect("db:27017: connection closed"), Unreachable, "it broke off the connection"),
        (errors.ProtocolError("Message length (99) is larger"), Garbled, "it does not speak MongoDB's protocol"),
        (errors.ConfigurationError("Unknown option"), ConfigError, "the uri is not valid: Unknown option"),
    ],
)
def test_a_failure_of_mongodb_is_told_for_what_it_is(error, kind, message):
    told = mongodb.translated(error)
    assert (type(told), told.message) == (kind, message)


def refused(code, status, message=""):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused("AccessDenied", 403), Denied),
        (refused("403", 403), Denied),
        (refused("RequestTimeTooSkewed", 403), Denied),
        (refused("NotImplemented", 501), NotOffered),
        (refused("SlowDown", 503), TransientError),
        (
            refused("XMinioStorageFull", 507, "Storage backend has reached its minimum free drive threshold."),
            Unreachable,
        ),
        (refused("NoSuchKey", 404), PermanentError),
        (refused("PreconditionFailed", 412), PermanentError),
        (refused("AuthorizationHeaderMalformed", 400), ConfigError),
        (exceptions.NoCredentialsError(), ConfigError),
        (exceptions.ParamValidationError(report="x"), ConfigError),
        (exceptions.ReadTimeoutError(endpoint_url="https://key:s3cret@store"), Unreachable),
        (ConnectionResetError("reset"), Unreachable),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), Garbled),
    ],
)
def test_a_failure_of_s3_is_told_for_what_it_is_and_shows_no_secret(error, kind):
    told = s3.translated(error, "list objects")
    assert type(told) is kind
    assert told.operation == "list objects"
    assert "s3cret" not in str(told)


def test_only_a_refusal_of_s3_has_a_code():
    assert s3.error_code(refused("NoSuchKey", 404)) == "NoSuchKey"
    assert s3.error_code(OSError()) == ""
