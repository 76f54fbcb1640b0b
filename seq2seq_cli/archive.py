"""Zip archives that others may have made: members by exact name, bounded before unpacking."""

import zipfile

MOST_COMPRESSED = 20
"""How many times as large as in the archive a member may be; weights hardly shrink at all."""

READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def find_member(archive: zipfile.ZipFile, name: str, most: int | None = None) -> zipfile.ZipInfo:
    """Return the one member of this name; ValueError if it unpacks to more than `most` bytes.

    Nor may it unpack to more than MOST_COMPRESSED times its size in the archive.
    """
    found = [member for member in archive.infolist() if member.filename == name]
    if len(found) != 1:
        raise ValueError(f"it holds {len(found) or 'no'} members {name}")
    (member,) = found
    if member.compress_type not in READABLE or member.flag_bits & 1:
        raise ValueError(f"{name} is packed in a way that is not read")
    limit = MOST_COMPRESSED * member.compress_size + 1024
    if member.file_size > (limit if most is None else min(most, limit)):
        raise ValueError(f"{name} would have {member.file_size:,} bytes, more than it may")
    return member


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member's content, at most so many bytes; ValueError where it has more.

    What is damaged raises whatever zipfile and zlib raise.
    """
    return archive.read(find_member(archive, name, most))


def reason(error: Exception) -> str:
    """Return in one short line why something is no archive that can be read."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first if len(first) <= 200 else f"{first[:200]}..."
