"""Records: the parts of a run's JSON files."""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a run's JSON files: frozen, strictly typed; its validator is built at first use."""

    model_config = ConfigDict(
        frozen=True, strict=True, ser_json_inf_nan="constants", defer_build=True
    )


class Version(Record):
    """The part of a document that all versions have."""

    format_version: int


class Document(Version):
    """A record that is a whole file, in one format version."""

    VERSION: ClassVar[int]

    def to_json(self) -> str:
        """Return the document's text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return the document; ValueError if it is damaged or has another format version."""
        version = Version.model_validate_json(content).format_version
        if version != cls.VERSION:
            raise ValueError(f"it has format version {version}, and this s2s reads {cls.VERSION}")
        return cls.model_validate_json(content)
