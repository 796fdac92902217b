"""Daily files of a source: downloaded, compared with their checksum, and deleted once they are read."""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.archive import Archive
from tickertape.stream.feeds.hosts.budget import Budget, host_of
from tickertape.stream.feeds.hosts.limit import Limit, Limits
from tickertape.stream.feeds.hosts.request import RequestError, download, get

log = logging.getLogger(__name__)

# A host that is busy is waited for between two tries.
TRIES = 4
# A file that differs from its checksum may just be replaced.
DOWNLOADS = 2
# No limit is stated for them. Each file takes two requests.
LIMITS = Limits(requests=Limit(600, 60.0))


@asynccontextmanager
async def fetched(archive: Archive) -> AsyncIterator[Path | None]:
    """Download a file while the block runs; None if it isn't there, or isn't what its checksum says.

    Raises
    ------
    InputError
        There is no room on the disk.
    """
    try:
        with TemporaryDirectory(prefix="tickertape-backfill-") as folder:
            yield await _download(archive, Path(folder))
    except OSError as error:
        raise InputError(f"{archive.url}: can't be kept on this machine: {error}") from None


async def _download(archive: Archive, folder: Path) -> Path | None:
    path, budget = folder / archive.url.rpartition("/")[2], Budget(host_of(archive.url), LIMITS)
    failed = differed = 0
    while failed < TRIES and differed < DOWNLOADS:
        try:
            said = (await get(archive.checksum_url, budget, most_bytes=1 << 16)).body
            with path.open("w+b") as file:
                await download(archive.url, budget, file)
        except RequestError as error:
            if error.status == 404:
                log.info("%s isn't there; its day is asked for page by page", archive.url)
                return None
            log.warning("%s", error)
            failed += 1
            continue
        wanted = re.match(rb"[0-9a-fA-F]{64}\b", said.strip())
        if wanted is not None and wanted[0].decode().lower() == await asyncio.to_thread(_digest, path):
            return path
        log.warning("%s differs from its checksum", archive.url)
        differed += 1
    log.warning("%s can't be had; its day is asked for page by page", archive.url)
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
