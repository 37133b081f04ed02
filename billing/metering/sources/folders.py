"""Files of a folder or bucket, through fsspec: which there are, and their bytes."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import fsspec
from django.conf import settings

from billing.metering.sources.addresses import Secrets, check_folder, check_local, local_path, scheme_of
from billing.metering.sources.errors import SourceError, SourceUnreachable
from billing.metering.sources.tables import ENDINGS


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path for the driver, its name below the folder, its bytes, and what changes when it changes."""

    path: str
    name: str
    size: int
    stamp: str


class Folder:
    """A folder, a pattern of files, or one file; SourceUnreachable from everything when it does not answer."""

    def __init__(self, address: str, options: dict[str, Any], secrets: Secrets) -> None:
        check_folder(address)
        self.address, self.secrets = address, secrets
        self.local = scheme_of(address) == "file"
        url = f"file://{local_path(address)}" if self.local else secrets.fill(address)
        given = {} if self.local else secrets.fill_all(options)
        with self.answering():
            self.driver, self.path = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **given)

    def files(self) -> list[Found]:
        """The CSV files and workbooks that there are now, by name."""
        magic = [self.path.index(each) for each in "*?[" if each in self.path]
        base = self.path[: min(magic)].rpartition("/")[0] if magic else self.path
        with self.answering():
            if magic:
                infos = list(self.driver.glob(self.path, detail=True).values())
            elif self.driver.isdir(self.path):
                infos = self.driver.ls(self.path, detail=True)
            else:
                infos, base = [self.driver.info(self.path)], self.path.rpartition("/")[0]
        found = [_found(info, base) for info in infos if info.get("type") == "file"]
        return sorted((each for each in found if each.name.lower().endswith(ENDINGS)), key=lambda each: each.name)

    @contextmanager
    def opened(self, file: Found) -> Iterator[BinaryIO]:
        """The bytes of a file, which can be sought in. A workbook is copied first: it is read in leaps."""
        if self.local:
            check_local(file.path)
        workbook, limit = file.name.lower().endswith(".xlsx"), settings.METERBOOK_UPLOAD_LIMIT_BYTES
        if workbook and file.size > limit:
            raise SourceError(f"{file.name} has {file.size:,} bytes; a workbook may have {limit:,}. Send it as CSV.")
        with self.answering():
            binary = self.driver.open(file.path, "rb")
        with binary, io.BufferedReader(_Answering(binary, self), 1 << 20) as stream:
            if not workbook:
                yield cast(BinaryIO, stream)
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(stream, copy)
                copy.seek(0)
                yield cast(BinaryIO, copy)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Call whatever a driver raises by one name, and without secrets."""
        try:
            yield
        except Exception as error:
            raise unreachable(self.address, error, self.secrets) from None


class _Answering(io.RawIOBase):
    """A driver's file whose failures carry our name."""

    def __init__(self, binary: Any, folder: Folder) -> None:
        self.binary, self.folder = binary, folder

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self.folder.answering():
            piece = self.binary.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self.folder.answering():
            return int(self.binary.seek(offset, whence))

    def tell(self) -> int:
        return int(self.binary.tell())


def unreachable(address: str, error: Exception, secrets: Secrets) -> SourceUnreachable:
    """The error of a place that does not answer: what its driver says, in one line, without secrets."""
    said = " ".join(str(error).split())[:500] or type(error).__name__
    return SourceUnreachable(secrets.hide(f"{address} does not answer: {said}"))


def _found(info: dict[str, Any], base: str) -> Found:
    """A file from what a driver tells of it."""
    stamp = next(
        (info[key] for key in ("ETag", "etag", "mtime", "LastModified", "updated", "created") if info.get(key)), ""
    )
    path = str(info["name"])
    name = path.removeprefix(base).lstrip("/") if base else path.lstrip("/")
    return Found(path, name, int(info.get("size") or 0), str(stamp))
