"""``opsmantik backup`` and ``opsmantik restore``: copies of the whole database, tried before they are needed.

What is not in a copy unless a passphrase is given: the secret key and the encryption keys. Without the second what is
sealed in the database (webhooks' and telephone systems' secrets, second factors) stays closed for ever.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from opsmantik import keyring
from opsmantik import settings as environment
from opsmantik.cli import logs
from opsmantik.counters import store as counters
from opsmantik.db import backup as copies
from opsmantik.db import embedded, roles
from opsmantik.db.migrate import ensure_app_role
from opsmantik.errors import SettingsError, Unprocessable
from opsmantik.settings import Settings

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
PLACE: Final = b"opsmantik keys of a backup, 1"
SHORTEST: Final = 12

Passphrase = Annotated[
    Path | None,
    typer.Option(
        help="A file with a passphrase of 12 characters or more, by which the keys go with the copy."
    ),
]


class KeyFiles(msgspec.Struct, frozen=True):
    """The installation's keys, as settings and files hold them."""

    secret: str
    encryption: list[str]


def backup(
    what: Annotated[list[str], typer.Argument(metavar="DIR | drill DIR", show_default=False)],
    passphrase_file: Passphrase = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            help="Where the drill's server may live for a while; a temporary directory if not given."
        ),
    ] = None,
) -> None:
    """Copy the database into a new directory, while everything runs; or try a copy: restore it into a server of its own and
    see whether every table and every counter is what it was."""
    logs.configure(environment.load().log_level)
    match what:
        case ["drill", directory]:
            _drill(Path(directory), scratch)
        case [directory] if directory != "drill":
            _back_up(Path(directory), passphrase_file)
        case _:
            raise Unprocessable(reason="say where: opsmantik backup DIR, or opsmantik backup drill DIR")


def restore(
    directory: Annotated[Path, typer.Argument(help="What opsmantik backup has made.")],
    passphrase_file: Passphrase = None,
    without_keys: Annotated[
        bool,
        typer.Option("--without-keys", help="Also where the keys are not here: what they sealed is lost."),
    ] = False,
) -> None:
    """Put a copy back, into an empty home directory or an empty database. Nothing is ever overwritten."""
    installation = environment.load()
    logs.configure(installation.log_level)
    directory = directory.absolute()
    manifest = copies.read(directory)
    _refuse_full_home(installation)
    keys = _opened(directory, manifest, passphrase_file)
    _put_keys(installation, manifest, keys, without_keys)
    with embedded.up(installation, typer.echo):
        owner, app = embedded.database_urls(installation)
        wrong = asyncio.run(_put_back(installation, owner, app, directory, manifest))
    _tell(wrong)
    typer.echo(
        f"Restored: {manifest.total:,} rows of {manifest.made_at:%Y-%m-%d %H:%M} UTC,"
        f" {copies.age(manifest)} old. What came in after that is not in it."
    )


def _back_up(directory: Path, passphrase_file: Path | None) -> None:
    installation = environment.load()
    held = KeyFiles(environment.secret(installation), _encryption_keys(installation))
    sealed = _seal(held, _passphrase(passphrase_file)) if passphrase_file else None
    keys = copies.Keys(copies.fingerprint(held.secret), list(keyring.keyring(installation).ids), sealed)
    with embedded.up(installation, typer.echo):
        owner = embedded.database_urls(installation)[0]
        manifest = copies.back_up(owner, directory.absolute(), keys, typer.echo)
    typer.echo(
        f"{directory}: {manifest.total:,} rows of {len(manifest.rows)} tables, {manifest.dump_bytes / 1e6:,.1f} MB."
    )
    if manifest.with_keys:
        typer.echo("The keys are in it, sealed with the passphrase; keep that elsewhere.")
    else:
        typer.echo(
            "The keys are NOT in it. Keep secret.key and encryption.keys (or what OPSMANTIK_SECRET_KEY and"
            " OPSMANTIK_ENCRYPTION_KEYS hold) elsewhere: without them what is sealed in the database stays closed."
        )
    typer.echo(f"Try it now and then: opsmantik backup drill {directory}")


def _drill(directory: Path, scratch: Path | None) -> None:
    directory = directory.absolute()
    manifest = copies.read(directory)
    typer.echo(
        f"Made {manifest.made_at:%Y-%m-%d %H:%M} UTC, {copies.age(manifest)} ago, by OpsMantik {manifest.program}."
    )
    with copies.scratch(scratch) as home:
        installation = Settings(home=home, secret_key="drill" * 8)
        with embedded.up(installation, typer.echo):
            owner, app = embedded.database_urls(installation)
            wrong = asyncio.run(_put_back(installation, owner, app, directory, manifest))
            _tell(wrong)
            differing = asyncio.run(_differing(owner))
    for name, n in differing.items():
        typer.echo(f"{name}: {n} figures are not what the rows say", err=True)
    if differing:
        raise typer.Exit(1)
    typer.echo(
        f"It can be restored: {manifest.total:,} rows of {len(manifest.rows)} tables, every counter right."
    )


async def _put_back(
    installation: Settings, owner: str, app: str, directory: Path, manifest: copies.Manifest
) -> dict[str, tuple[int, int]]:
    from opsmantik.cli.db import bring_up_to_date

    connection = await copies.connect(owner)
    try:
        await copies.refuse_unfit(connection, manifest)
        # Grants name this role, so it has to be there first.
        password = roles.app_password(app, environment.secret(installation))
        await ensure_app_role(connection, password)
    finally:
        await connection.close()
    wrong = await copies.restore(owner, directory, manifest, typer.echo)
    await bring_up_to_date(installation, owner, app, typer.echo)
    return wrong


async def _differing(owner: str) -> dict[str, int]:
    """Sites whose counters, or whose search for leads, are not what the rows say."""
    from opsmantik.upkeep import runner

    typer.echo("Recounting every figure ...")
    connection = await runner.connect(owner)
    try:
        await connection.execute("SET app.maintenance = 'on'")
        found = {}
        for site_id, name in await counters.sites(connection):
            n = len(await counters.differences(connection, site_id))
            n += len(await counters.lead_differences(connection, site_id))
            if n:
                found[name] = n
        return found
    finally:
        await connection.close()


def _tell(wrong: dict[str, tuple[int, int]]) -> None:
    for table, (was, now) in wrong.items():
        typer.echo(f"{table}: {was} rows when it was made, {now} now", err=True)
    if wrong:
        raise typer.Exit(1)


def _refuse_full_home(installation: Settings) -> None:
    data = installation.home / "postgres" / "data"
    if installation.database_url is None and data.exists():
        raise Unprocessable(reason=f"there is a database in {data} already, and nothing is overwritten")


def _put_keys(
    installation: Settings, manifest: copies.Manifest, keys: KeyFiles | None, without_keys: bool
) -> None:
    """Have the copy's keys in this installation: they are here already, or come with the copy."""
    home = installation.home
    if keys is not None:
        if not installation.secret_key and not (home / "secret.key").exists():
            _write(home / "secret.key", [keys.secret])
        if not installation.encryption_keys and not (home / keyring.FILE).exists():
            _write(home / keyring.FILE, keys.encryption)
    has_secret = bool(installation.secret_key) or (home / "secret.key").exists()
    has_keys = bool(installation.encryption_keys) or (home / keyring.FILE).exists()
    missing = []
    if not has_secret or copies.fingerprint(environment.secret(installation)) != manifest.secret:
        missing.append("the secret key (secret.key or OPSMANTIK_SECRET_KEY)")
    if not has_keys or not set(manifest.keys) <= set(keyring.keyring(installation).ids):
        missing.append(f"the encryption keys ({keyring.FILE} or OPSMANTIK_ENCRYPTION_KEYS)")
    if missing and not without_keys:
        raise Unprocessable(
            reason=f"{' and '.join(missing)} of the installation that was copied must be in {home} first, or come with the"
            " copy (--passphrase-file). With --without-keys it is restored all the same: links that were sent out are dead,"
            " and what was sealed stays closed"
        )  # fmt: skip
    if missing:
        typer.echo(f"Without {' and '.join(missing)}: what they signed or sealed is lost.", err=True)


def _write(path: Path, lines: list[str]) -> None:
    environment.private_directory(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _encryption_keys(installation: Settings) -> list[str]:
    if installation.encryption_keys:
        return list(installation.encryption_keys)
    return environment.keep_secret(installation.home / keyring.FILE).split()


def _passphrase(path: Path) -> bytes:
    try:
        text = path.read_text().strip()
    except OSError as failed:
        raise SettingsError(variable="--passphrase-file", problem=f"{path}: {failed.strerror}") from None
    if len(text) < SHORTEST:
        raise SettingsError(
            variable="--passphrase-file", problem=f"has {len(text)} characters, needs {SHORTEST} or more"
        )
    return text.encode()


def _cipher(passphrase: bytes, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase))


def _seal(keys: KeyFiles, passphrase: bytes) -> bytes:
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    return salt + nonce + _cipher(passphrase, salt).encrypt(nonce, msgspec.json.encode(keys), PLACE)


def _opened(directory: Path, manifest: copies.Manifest, passphrase_file: Path | None) -> KeyFiles | None:
    if passphrase_file is None:
        return None
    if not manifest.with_keys:
        raise Unprocessable(reason="the keys are not in this copy; leave --passphrase-file away")
    data = (directory / "keys.sealed").read_bytes()
    salt, nonce, rest = (
        data[:SALT_BYTES],
        data[SALT_BYTES : SALT_BYTES + NONCE_BYTES],
        data[SALT_BYTES + NONCE_BYTES :],
    )
    try:
        opened: Any = _cipher(_passphrase(passphrase_file), salt).decrypt(nonce, rest, PLACE)
    except InvalidTag:
        raise Unprocessable(reason="that is not the passphrase of this copy") from None
    return msgspec.json.decode(opened, type=KeyFiles)
