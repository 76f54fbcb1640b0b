"""Reading untrusted zip archives: members by exact name, with limits before unpacking."""

import zipfile

MOST_COMPRESSED = 20
"""Maximum ratio of a member's size to its compressed size; weights hardly compress."""

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
    """Return a member's content; ValueError if it has more than `most` bytes.

    Raises whatever zipfile and zlib raise if it is damaged.
    """
    return archive.read(find_member(archive, name, most))


def reason(error: Exception) -> str:
    """Return one short line that says why an archive cannot be read."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first if len(first) <= 200 else f"{first[:200]}..."
