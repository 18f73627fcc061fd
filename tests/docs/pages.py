"""The pages of the documentation taken apart: blocks with their markers, and where each stands.

A fenced block may follow a comment that a reader does not see:

    <!-- set up -->           the shell text below readies a shell in the checkout beside a running demo; a page
                              without one has that of the README
    <!-- run -->              the shell text below is executed in that shell and must succeed
    <!-- run: 412 -->         the same; its last request is answered by a problem of that status
    <!-- cron -->             each line below is one of a crontab; its command is executed as cron does
    <!-- save: NAME -->       the text below is a file that later blocks of the page use
    <!-- answer -->           the JSON below is part of what the block before printed; "…" stands for anything
    <!-- answer: ndjson -->   the same for the first line of a file of lines
    <!-- shape: NAME -->      the JSON below fits that schema of the OpenAPI document
    <!-- below: FILE: LINE -->
                              the text below goes into the file below that line, indented like it
    <!-- above: FILE: LINE -->
                              the text below goes above that line
    <!-- instead: FILE: LINE -->
                              the text below replaces that line
    <!-- end: FILE -->        the text below goes to the end of the file, after two blank lines
    <!-- file: FILE -->       the text below is a new file
    <!-- install -->         the shell text below is executed as root on a Debian machine: `make proofs GROUP=install`
    <!-- install: script --> the same, and it is part of deploy/install.sh
    <!-- not run: why -->     the shell text needs what a test machine has not
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FRONT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "app/client/README.md")
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [
    *(ROOT / name for name in FRONT),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(DECISIONS.glob("*.md")),
]
TRANSLATIONS = {ROOT / "docs" / "mulai.md": ROOT / "docs" / "start.md"}
"""Page → the page that it translates; both have the same blocks."""

_FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^>]+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    marker: str
    """Its first word, one of those above, or nothing."""
    argument: str
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        marker, _, argument = (match["marker"] or "").partition(":")
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(page, line, match["language"], marker.strip(), argument.strip(), match["text"]))
    return found


@dataclass(frozen=True)
class Mention:
    """Something that a page names, and where."""

    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def mentions(pattern: str, *pages: Path, in_code: bool = False) -> list[Mention]:
    """Everything in the pages that matches, as its first group; `in_code`: only in blocks and `spans`."""
    found = []
    for page in pages or PAGES:
        text = page.read_text()
        if in_code:
            text = "".join(_code_of(text))
        hits = re.finditer(pattern, text, re.MULTILINE)
        found += [Mention(page, text.count("\n", 0, hit.start(1)) + 1, hit[1]) for hit in hits]
    return found


def _code_of(text: str) -> list[str]:
    """The text with everything blanked that is no code, so that line numbers stay."""
    kept, fenced = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            fenced = not fenced
            kept.append("\n")
        elif fenced:
            kept.append(line)
        else:
            kept.append("|".join(f" {span} " for span in re.findall(r"`([^`]+)`", line)) + "\n")
    return kept


def listed(wrong: list[Mention]) -> str:
    return "\n".join(f"{one.place}: {one.text}" for one in wrong)
