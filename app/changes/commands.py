"""The entry of an import in the history: which file a write came from."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from pydantic import BaseModel

from app.access.commands import Write
from app.kit.database.journal import Entry, append, assign_version, lock_chain
from app.kit.database.json_sql import dump_json
from app.kit.personal import mask_person_numbers


class ImportedFile(NamedTuple):
    """The file of an import, and the choices of the call."""

    file_name: str
    sha256: str
    """In hex."""
    sheet: str | None
    """None if the table has no name."""
    choices: dict[str, object]

    @classmethod
    def of(
        cls, name: str, data: bytes, sheet: str | None, query: BaseModel, **choices: Sequence[BaseModel]
    ) -> "ImportedFile":
        """Return the file without the numbers of persons that its names may have."""
        lists = {key: [item.model_dump(mode="json") for item in items] for key, items in choices.items()}
        text = dump_json({**query.model_dump(mode="json", exclude_none=True), **lists})
        return cls(
            mask_person_numbers(name)[:200],
            sha256(data).hexdigest(),
            mask_person_numbers(sheet)[:100] if sheet else None,
            json.loads(mask_person_numbers(text)),
        )


def record_file(
    write: Write,
    chain: str,
    region: str,
    address: str,
    file: ImportedFile,
    *,
    number: int | None = None,
    is_draft: bool = False,
) -> None:
    """Append `import.created` to a chain, at `{address}/imports/{number}`, after an import that changed something.

    Without a `number`, it is the position in the chain.
    """
    end = lock_chain(write.session, chain)
    subject = f"{address}/imports/{number or end.position + 1}"
    # a plan of this key that was deleted has imports of these numbers too
    version = assign_version(write.session, subject, None)
    entry = Entry.of("import", region, subject, version, None, file._asdict(), is_draft=is_draft)
    append(write.session, end, write.author, [entry])
