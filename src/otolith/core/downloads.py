"""Downloads: https only, pinned sha256, resumable, refused when offline, licence gate."""

from __future__ import annotations

import errno
import hashlib
import http.client
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from otolith.core.errors import DownloadError, IntegrityError, LicenceError, OfflineError
from otolith.core.files import read_json, sha256_file, write_json
from otolith.core.home import home, is_offline
from otolith.core.progress import progress

_CHUNK_BYTES = 1 << 18
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_NO_NETWORK = {errno.ENETUNREACH, errno.ENETDOWN}


@dataclass(frozen=True)
class Downloaded:
    """A file that lies on disk.

    Args:
        path: Where it lies.
        sha256: Its hash.
        fetched: Whether it was fetched now (False: it was there and whole).
    """

    path: Path
    sha256: str
    fetched: bool


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    size_bytes: int = 0,
    timeout_s: float = 30.0,
    attempts: int = 4,
) -> Downloaded:
    """Fetch `url` to `target`; go on where an earlier try stopped.

    The unfinished part lies in `<target>.part`. A finished file is checked and then renamed.

    Args:
        url: https address (http only on loopback).
        target: Final path.
        sha256: Expected hash; empty = not known.
        size_bytes: Expected size; 0 = not known.
        timeout_s: Longest silence of the server in s.
        attempts: How often to try after a broken connection.

    Returns:
        Path, hash and whether it was fetched now.

    Raises:
        OfflineError: $OTOLITH_OFFLINE forbids fetching, or there is no network.
        DownloadError: Refused address, or the server does not deliver.
        IntegrityError: The file differs from the expected size or hash; it is removed.
    """
    if target.is_file() and size_bytes in {0, target.stat().st_size}:
        digest = sha256_file(target)
        if sha256 in {"", digest}:
            return Downloaded(target, digest, fetched=False)
    _check_address(url)
    if is_offline():
        raise OfflineError(
            f"{target.name} is not here and $OTOLITH_OFFLINE forbids fetching it.",
            f"Put the file from {url} at {target}, or unset $OTOLITH_OFFLINE.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, attempts + 1):
        try:
            _fetch(url, part, size_bytes, timeout_s)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == attempts:
                raise DownloadError(
                    f"{url} answered {error.code} {error.reason}.",
                    "Check the address in a browser.",
                ) from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if attempt == attempts and _is_no_network(error):
                raise OfflineError(
                    f"There is no network, so {url} cannot be reached.",
                    f"Connect and repeat (it goes on where it stopped), or put the file at {target}.",
                ) from None
            if attempt == attempts:
                raise DownloadError(
                    f"{url} cannot be reached ({getattr(error, 'reason', error)}).",
                    f"Check the network and repeat (it goes on where it stopped), or put the file at {target}.",
                ) from None
        time.sleep(min(0.25 * 2**attempt, 8.0))
    digest = _check(part, url, sha256, size_bytes)
    part.replace(target)
    return Downloaded(target, digest, fetched=True)


def _is_no_network(error: BaseException) -> bool:
    """Whether no server at all could be asked: no route, or nobody answers for names."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_AGAIN  # a name that is gone gives EAI_NONAME
    return isinstance(reason, OSError) and reason.errno in _NO_NETWORK


def require_licence(name: str, licence: str, licence_url: str, *, accept: bool = False) -> None:
    """Let pass only when the licence of a data set was accepted, now or earlier.

    Args:
        name: Data set.
        licence: Its licence in words.
        licence_url: Where to read it.
        accept: Whether the user accepts it now; this is remembered below the home folder.

    Raises:
        LicenceError: Not accepted yet.
    """
    record = home() / "licences.json"
    accepted = read_json(record) if record.exists() else {}
    if accepted.get(name) == licence:
        return
    if not accept:
        where = f" ({licence_url})" if licence_url else ""
        raise LicenceError(
            f'The data set "{name}" is published under: {licence}{where}.',
            "Read it and repeat with --accept-licence.",
        )
    write_json(record, {**accepted, name: licence})


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or local) or not parts.hostname:
        raise DownloadError(f"{url} is not an https address.", "Use the https address.")


class _SameSecurity(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # noqa: ANN001, ANN202  # signature of urllib
        """Follow redirects to https (or from loopback to loopback) alone."""
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, part: Path, size_bytes: int, timeout_s: float) -> None:
    """Append the missing bytes of `url` to `part`."""
    have = part.stat().st_size if part.exists() else 0
    if size_bytes and have == size_bytes:
        return
    headers = {"User-Agent": "otolith"} | ({"Range": f"bytes={have}-"} if have else {})
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context()), _SameSecurity()
    )
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # checked to be https
    try:
        answer = opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            raise ConnectionResetError("the unfinished part does not fit; starting over") from None
        raise
    with answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        ranged = answer.headers.get("Content-Range") or ""
        if resumed and ranged and not ranged.startswith(f"bytes {have}-"):
            part.unlink()
            raise ConnectionResetError(f'the server sent "{ranged}"; starting over')
        length = int(answer.headers.get("Content-Length") or 0)
        total = (length + (have if resumed else 0)) or None
        with part.open("ab" if resumed else "wb") as file, progress(total, part.stem) as bar:
            bar.advance(have if resumed else 0)
            received = 0
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                received += len(chunk)
                bar.advance(len(chunk))
        if length and received < length:
            raise ConnectionResetError(f"connection closed after {received} of {length} bytes")


def _check(part: Path, url: str, sha256: str, size_bytes: int) -> str:
    """Return the hash of a finished file, or remove it and raise."""
    size = part.stat().st_size
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    wrong_size = bool(size_bytes) and size != size_bytes
    if wrong_size or (sha256 and digest != sha256):
        part.unlink()
        fact = (
            f"{size} bytes instead of {size_bytes}"
            if wrong_size
            else f"sha256 {digest} instead of {sha256}"
        )
        raise IntegrityError(
            f"{url} gave a file with {fact}; it was removed.",
            "The publishers may have changed it: compare with their page.",
        )
    return digest
