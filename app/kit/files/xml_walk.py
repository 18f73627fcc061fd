"""A walk over one XML part of a workbook that reads declared elements and skips or refuses all others.

Expat stops at a document type, so it never expands an entity. The walk counts elements, attributes
and namespaces, and bounds the memory of expat itself: nesting, one token, and the address of a
namespace, which expat copies into the name of every element. The archive delivers a part in chunks,
so no part is in memory as a whole.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from app.kit.files.bounds import LONGEST_TEXT, Meter
from app.kit.files.unreadable import XML_ENTITIES, refuse_file

DEEPEST = 64
MOST_NAMES = 1_000
"""Distinct names of elements and attributes, which expat and the walk keep to the end; a part has some fifty."""
LONGEST_NAME = 500
LONGEST_TOKEN = 256 * 1024
LONGEST_NAMESPACE = 200
# An escaped character (`_x000D_`) takes seven.
_LONGEST_RAW = 7 * LONGEST_TEXT

# The two forms of the format, transitional and strict.
SPREADSHEET = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
RELATIONSHIPS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
PACKAGE = ("http://schemas.openxmlformats.org/package/2006/relationships",)

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Element:
    """An element that a walk reads.

    `opens` gets its attributes, `closes` its text, which the walk collects if `has_text`. With
    `skips_others` the walk skips an element that is not among `children`, with all in it; otherwise
    the part is damaged. Attributes without a namespace must be among `attributes`, unless that is None.
    """

    opens: Callable[[Attributes], None] | None = None
    closes: Callable[[str], None] | None = None
    has_text: bool = False
    children: Mapping[str, "Element"] = field(default_factory=dict)
    skips_others: bool = False
    attributes: frozenset[str] | None = None


def split_names(names: str) -> frozenset[str]:
    """Return the names in a text, separated by spaces."""
    return frozenset(names.split())


# An element without influence on values, such as formatting or an extension.
SKIPPED = Element(skips_others=True)


def walk(
    chunks: Iterable[bytes],
    root: str,
    element: Element,
    meter: Meter,
    namespaces: tuple[str, ...] = SPREADSHEET,
    nowhere_else: frozenset[str] = frozenset(),
) -> None:
    """Read a part that has the root `root` in one of `namespaces`.

    Elements of another namespace never count as those of the root's. An element of `nowhere_else`
    inside a skipped one makes the part damaged, since other readers find it there. Raises
    `UnreadableFile`.
    """
    walker = _Walk(root, element, meter, namespaces, nowhere_else)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = walker.declare
    parser.StartDoctypeDeclHandler = walker.refuse_document_type
    parser.StartNamespaceDeclHandler = walker.declare_namespace
    parser.StartElementHandler = walker.start
    parser.EndElementHandler = walker.end
    parser.CharacterDataHandler = walker.text
    fed = 0
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            fed += len(chunk)
            # expat reads an incomplete token again with each chunk
            if fed - max(parser.CurrentByteIndex, 0) > LONGEST_TOKEN:
                raise meter.refuse_too_large("XML")
        parser.Parse(b"", True)
    # UnicodeError: half a character in UTF-16
    except (expat.ExpatError, UnicodeError):
        raise meter.refuse_damaged() from None


class _Walk:
    """The state of a walk: the open elements, and the depth inside a skipped one."""

    def __init__(
        self,
        root: str,
        element: Element,
        meter: Meter,
        namespaces: tuple[str, ...],
        nowhere_else: frozenset[str],
    ) -> None:
        self._meter = meter
        self._roots = {f"{namespace} {root}": namespace for namespace in namespaces}
        self._namespace = ""
        self._path = [Element(children={root: element})]
        self._vocabulary = {root, *_collect_names(element), *nowhere_else}
        self._nowhere_else = nowhere_else
        self._local: dict[str, str] = {}
        self._names: set[str] = set()
        self._skipped = 0
        self._words: list[str] | None = None
        self._length = 0

    def declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf-16"):
            raise self._meter.refuse_damaged()

    def refuse_document_type(self, *_: object) -> None:
        raise refuse_file(XML_ENTITIES, self._meter.filename)

    def declare_namespace(self, prefix: str | None, address: str | None) -> None:
        self._meter.count_nodes(1)
        if address is not None and len(address) > LONGEST_NAMESPACE:
            raise self._meter.refuse_damaged()
        self._note_names({prefix or "", address or ""})

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._meter.count_nodes(2 + len(attributes))
        if name not in self._names or not attributes.keys() <= self._names:
            self._note_names({name, *attributes})
        if self._skipped:
            self._skip(name)
            return
        if not self._namespace:
            self._namespace = self._roots.get(name, "")
            self._local = {f"{self._namespace} {local}": local for local in self._vocabulary}
        local = self._local.get(name)
        parent = self._path[-1]
        element = parent.children.get(local) if local is not None else None
        if element is None:
            if not parent.skips_others:
                raise self._meter.refuse_damaged()
            self._skip(name)
            return
        if element.attributes is not None:
            self._check_attributes(attributes, element.attributes)
        self._path.append(element)
        if element.has_text:
            self._words, self._length = [], 0
        if element.opens is not None:
            element.opens(attributes)

    def _note_names(self, names: set[str]) -> None:
        self._names |= names
        if len(self._names) > MOST_NAMES or max(map(len, names)) > LONGEST_NAME:
            raise self._meter.refuse_too_large("XML")

    def text(self, data: str) -> None:
        if self._words is not None:
            self._words.append(data)
            self._length += len(data)
            if self._length > _LONGEST_RAW:
                raise self._meter.refuse_damaged()

    def end(self, _name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        element = self._path.pop()
        words = ""
        if element.has_text:
            words, self._words = "".join(self._words or ()), None
        if element.closes is not None:
            element.closes(words)

    def _skip(self, name: str) -> None:
        self._skipped += 1
        if self._skipped > DEEPEST or self._local.get(name) in self._nowhere_else:
            raise self._meter.refuse_damaged()

    def _check_attributes(self, attributes: Attributes, known: frozenset[str]) -> None:
        for name in attributes:
            if name not in known and (" " not in name or name.startswith(f"{self._namespace} ")):
                raise self._meter.refuse_damaged()


def _collect_names(element: Element) -> set[str]:
    names = set(element.children)
    for child in element.children.values():
        names |= _collect_names(child)
    return names
