"""The pages of the documentation taken apart: blocks with their markers and places.

A fenced block may follow a comment that a reader does not see:

    <!-- set up -->           the shell text below prepares a shell in the checkout next to a demo; a page
                              without one uses the README's
    <!-- run -->              the shell text below runs in that shell and must succeed
    <!-- run: 412 -->         the same; its last request gets a problem of that status
    <!-- cron -->             each line below belongs to a crontab; its command runs as under cron
    <!-- save: NAME -->       the text below is a file that later blocks of the page use
    <!-- answer -->           the JSON below is part of the output of the block before; "…" matches anything
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
    <!-- install -->          the shell text below runs as root on Debian: `make proofs GROUP=install`
    <!-- install: script -->  the same, and deploy/install.sh contains it
    <!-- not run: why -->     the shell text needs more than a test machine has
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
"""Translated page → its original; both have the same blocks."""

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
    """Its first word, one of those above, or empty."""
    argument: str
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    blocks = []
    for match in _FENCE.finditer(text):
        marker, _, argument = (match["marker"] or "").partition(":")
        line = text.count("\n", 0, match.start("text")) + 1
        blocks.append(Block(page, line, match["language"], marker.strip(), argument.strip(), match["text"]))
    return blocks


@dataclass(frozen=True)
class Mention:
    """A name in a page, with its place."""

    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def find_mentions(pattern: str, *pages: Path, in_code: bool = False) -> list[Mention]:
    """Return each match in the pages by its first group; `in_code`: only in blocks and `spans`."""
    result = []
    for page in pages or PAGES:
        text = page.read_text()
        if in_code:
            text = "".join(_keep_code(text))
        hits = re.finditer(pattern, text, re.MULTILINE)
        result += [Mention(page, text.count("\n", 0, hit.start(1)) + 1, hit[1]) for hit in hits]
    return result


def _keep_code(text: str) -> list[str]:
    """Blank everything but code; the line numbers stay."""
    lines, fenced = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            fenced = not fenced
            lines.append("\n")
        elif fenced:
            lines.append(line)
        else:
            lines.append("|".join(f" {span} " for span in re.findall(r"`([^`]+)`", line)) + "\n")
    return lines


def list_places(wrong: list[Mention]) -> str:
    return "\n".join(f"{mention.place}: {mention.text}" for mention in wrong)
