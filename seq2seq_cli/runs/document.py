"""Records, and the JSON documents of a run, each of which proves itself.

A document's last member is the SHA-256 of the text before it, so that no figure in it can change
unnoticed. Those of format versions 1 and 2 have none.
"""

import re
from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict

from seq2seq_cli.storage import sha256_of

SEALED_FROM = 3
"""The first format version whose documents end with their hash."""

_SEAL = re.compile(rb',\n  "own_sha256": "([0-9a-f]{64})"\n\}\n')


class Record(BaseModel):
    """A part of a run's JSON files: frozen, strictly typed; its validator is built at first use."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        ser_json_inf_nan="constants",
        populate_by_name=True,
        defer_build=True,
    )


class Version(Record):
    """What a document of any version holds."""

    format_version: int


class Document(Version):
    """A record that is a file of its own."""

    def to_json(self) -> str:
        """Return the document's text."""
        return seal(self.model_dump_json(indent=2))

    @classmethod
    def from_json(cls, content: bytes, readable: Iterable[int]) -> Self:
        """Return the document of one of these format versions.

        Raises UnknownVersionError for another one, and ValueError for what is not as written.
        """
        version = Version.model_validate_json(content).format_version
        if version not in (known := tuple(readable)):
            raise UnknownVersionError(version, max(known))
        sealed = _SEAL.search(content)
        if sealed is None and (version >= SEALED_FROM or b"own_sha256" in content):
            raise ValueError("it does not end with its own SHA-256")
        if sealed and (
            sealed.end() != len(content)
            or sha256_of(content[: sealed.start()]).encode() != sealed[1]
        ):
            raise ValueError("its text is not that of its SHA-256")
        return cls.model_validate_json(content)


class UnknownVersionError(ValueError):
    """A document is of a format version that this code does not read."""

    def __init__(self, version: int, newest: int) -> None:
        super().__init__(f"format version {version} is not up to {newest}")
        self.version = version


def seal(text: str) -> str:
    """Return a JSON object's text with the hash of all before it as its last member."""
    before = text.rstrip()[:-1].rstrip()
    return f'{before},\n  "own_sha256": "{sha256_of(before.encode())}"\n}}\n'
