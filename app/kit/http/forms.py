"""Uploads: a form (multipart/form-data) with one file, declared once for the document and for the endpoint.

The endpoint parses the form after the check of the caller's right; FastAPI would parse it in the event loop before.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from app.kit.http.bodies import HouseRequest
from app.kit.http.validation import find_nearest, missing
from app.kit.problems import BadRequest, FieldError, Invalid, Kind

MEDIA_TYPE = "multipart/form-data"
MOST_PARTS = 20
"""Maximum number of files, and of texts; no form has as many."""
LONGEST_TEXT = 2**20
"""Maximum bytes of a text."""
PIECE = 2**18

unknown_part = Kind(
    "unknown_part", id="formulir ini tidak memiliki bagian “{part}”", en="this form has no part “{part}”"
)
repeated_part = Kind(
    "repeated_part",
    id="bagian formulir “{part}” hanya boleh sekali",
    en="the form may have the part “{part}” only once",
)
unreadable_form = Kind(
    "unreadable_form",
    id="formulir tidak dapat dibaca; paling banyak {parts} bagian, teks paling besar {size}",
    en="the form cannot be read; at most {parts} parts, texts of at most {size} are allowed",
)
not_a_file = Kind(
    "not_a_file", id="bagian ini harus berkas yang bernama", en="this part must be a file with a name"
)

unreadable_text = Kind(
    "unreadable_text", id="bagian ini harus teks, bukan berkas", en="this part must be text, not a file"
)


@dataclass(frozen=True)
class UploadedForm:
    """A parsed upload: the file's bytes and name, and the texts by part."""

    data: bytes
    filename: str
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Upload:
    """A form with a part `file` and optional texts, each with its description and default."""

    description: str
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def declared(self) -> dict[str, object]:
        """`openapi_extra` of the operation; the document gives the schema its name."""
        properties: dict[str, object] = {
            "file": {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "description": self.description,
            }
        }
        for name, (description, default) in self.texts.items():
            properties[name] = {"type": "string", "description": description, "default": default}
        schema = {"type": "object", "properties": properties, "required": ["file"]}
        return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}}

    def read(self, request: HouseRequest) -> UploadedForm:
        """Parse the form in this worker thread. Call it after the check of the caller's right.

        Raises BadRequest if the body is not a form, Invalid for missing, unknown or repeated parts, and for numbers of
        persons in the query: its texts go into every row of the file.
        """
        items = asyncio.run(_parse(request))
        errors = [*self._find_errors(items), *(number.error for number in request.numbers)]
        if errors:
            for _, part in items:
                if isinstance(part, UploadFile):
                    part.file.close()
            raise Invalid(errors=errors)
        parts = dict(items)
        file = parts.pop("file")
        assert isinstance(file, UploadFile)
        with file.file:
            data = file.file.read()
        defaults = {name: default for name, (_, default) in self.texts.items()}
        return UploadedForm(data, file.filename or "", defaults | {k: str(v) for k, v in parts.items()})

    def _find_errors(self, items: list[tuple[str, UploadFile | str]]) -> list[FieldError]:
        known = ("file", *self.texts)
        names = [name for name, _ in items]
        errors = [
            FieldError(
                unknown_part,
                pointer=f"/{name}",
                allowed=known,
                nearest=find_nearest(name, known),
                values={"part": name},
            )
            for name in dict.fromkeys(names)
            if name not in known
        ]
        errors += [
            FieldError(repeated_part, pointer=f"/{name}", values={"part": name})
            for name in known
            if names.count(name) > 1
        ]
        if "file" not in names:
            errors.append(FieldError(missing, pointer="/file"))
        for name, part in items:
            if name in known and isinstance(part, UploadFile) != (name == "file"):
                errors.append(
                    FieldError(not_a_file if name == "file" else unreadable_text, pointer=f"/{name}")
                )
        return errors


async def _parse(request: HouseRequest) -> list[tuple[str, UploadFile | str]]:
    """Return the parts of a form by Starlette's parser, in an event loop of this thread, with limits."""
    content, at = request.content(), 0

    async def receive() -> Message:
        nonlocal at
        piece, at = content[at : at + PIECE], at + PIECE
        return {"type": "http.request", "body": piece, "more_body": at < len(content)}

    try:
        form = await Request(request.scope, receive).form(
            max_files=MOST_PARTS, max_fields=MOST_PARTS, max_part_size=LONGEST_TEXT
        )
    except HTTPException as error:
        bounds = {"parts": MOST_PARTS, "size": f"{LONGEST_TEXT // 2**20} MiB"}
        unreadable = FieldError(unreadable_form, pointer="", allowed=MEDIA_TYPE, values=bounds)
        raise BadRequest(errors=[unreadable]) from error
    return form.multi_items()
