"""The voice of the code: plain verbs, names with one meaning, sentences that a reader understands at once.

Each rule says why it is there and what to do instead. The way out is `ALLOWED`: name the place and the reason.
`make house` measures the same over all docstrings.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = [file for room in ("app", "benchmarks", "tests") for file in sorted((ROOT / room).rglob("*.py"))]

OPENINGS = re.compile(r"^(What|Whether|Of which|Who|Whose|Whom|Where|When|How|The same)\b")
COMMENT = re.compile(r"(?:^|\s)#:? (.*)$")
BANNED = re.compile(
    r"\b(who(?:m|se)?ever|whatever|anybody|nobody|somebody|everybody|anew|of which|what is none|as it was)\b",
    re.IGNORECASE,
)
PREPOSITIONS = {"of", "at", "in", "on", "by", "to", "as", "from", "with", "without", "before", "after"}
PARTICIPLE = re.compile(r"^(told|said|held|kept|built|shown|seen|known|\w*[^e]ed)$")

ALLOWED: dict[str, str] = {}
"""`file:name` of a function, or the name of a class → why it bears its name."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_app(source: "Source") -> bool:
    return source.name.startswith("app/")


@dataclass
class Source:
    """The words of a file, read once for all rules."""

    name: str
    texts: list[tuple[int, str]]
    """(line, text) of each docstring and, in `app/`, of each comment."""
    functions: list[str]
    """Those without a decorator: properties, routes and fixtures are nouns."""
    classes: list[str]

    @classmethod
    def read(cls, file: Path) -> "Source":
        name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else f"app/{file.name}"
        source, text = cls(name, [], [], []), file.read_text()
        for node in walk_statements(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                if docstring := ast.get_docstring(node):
                    source.texts.append((getattr(node, "lineno", 1), docstring))
                if isinstance(node, ast.ClassDef):
                    source.classes.append(node.name)
                elif isinstance(node, Function) and not node.decorator_list:
                    source.functions.append(node.name)
        if is_app(source):
            lines = enumerate(text.splitlines(), 1)
            source.texts += [(n, comment[1]) for n, line in lines if (comment := COMMENT.search(line))]
        return source


def walk_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and the statements in it: a definition is one, so expressions need no look."""
    yield node
    for part in ("body", "orelse", "handlers", "finalbody"):
        for child in getattr(node, part, ()):
            yield from walk_statements(child)


def find_openings(source: Source) -> Iterator[str]:
    """Yield the docstrings that open with a question word or with “The same”."""
    for line, text in source.texts:
        if OPENINGS.match(text):
            yield f"{source.name}:{line}: {text.splitlines()[0]}"


def find_banned_words(source: Source) -> Iterator[str]:
    """Yield the docstrings and comments with a word that says nothing."""
    for line, text in source.texts:
        if match := BANNED.search(text):
            yield f"{source.name}:{line}: {match[0]}"


def find_functions_without_verb(source: Source) -> Iterator[str]:
    """Yield the functions named by a participle or a preposition."""
    for name in source.functions:
        word = name.strip("_").split("_")[0]
        if (word in PREPOSITIONS or PARTICIPLE.match(word)) and f"{source.name}:{name}" not in ALLOWED:
            yield f"{source.name}:{name}"


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [Source.read(file) for file in CODE]


def complain(found: list[str], why: str) -> None:
    assert not found, f"{why}\n" + "\n".join(found)


def test_docstrings_open_with_a_verb_or_a_noun(sources: list[Source]) -> None:
    complain(
        [place for source in sources for place in find_openings(source)],
        "A docstring is read alone, in a list of others. Open with a verb (“Return …”), a class's with a noun phrase.",
    )


def test_sentences_have_a_subject(sources: list[Source]) -> None:
    complain(
        [place for source in sources for place in find_banned_words(source)],
        "These words hide who does what. Name the subject: the server, the caller, the row.",
    )


def test_functions_begin_with_a_verb(sources: list[Source]) -> None:
    complain(
        [place for source in sources if is_app(source) for place in find_functions_without_verb(source)],
        "A call reads as an order: `read_rows(…)`, `is_late(…)`. Name the function by what it does, "
        "or name it in ALLOWED with the reason.",
    )


def test_a_class_name_has_one_meaning(sources: list[Source]) -> None:
    files = defaultdict(list)
    for source in filter(is_app, sources):
        for name in source.classes:
            if not name.startswith("_") and name not in ALLOWED:
                files[name].append(source.name)
    complain(
        [f"{name}: {', '.join(places)}" for name, places in files.items() if len(places) > 1],
        "Two classes of one name are confused in a traceback and in a search. Say which each is.",
    )


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (find_openings, '"""What it is."""'),
        (find_openings, '"""The same for rows."""'),
        (find_banned_words, "x = 1  # whoever asks"),
        (find_banned_words, '"""Runs it anew."""'),
        (find_functions_without_verb, "def told() -> None: ..."),
        (find_functions_without_verb, "def as_it_is() -> None: ..."),
    ],
)
def test_each_rule_finds_what_it_is_for(
    rule: Callable[[Source], Iterator[str]], text: str, tmp_path: Path
) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    assert list(rule(Source.read(file)))
