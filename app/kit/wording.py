"""Sentences for people, in Indonesian first and English second, and the words that codes have in them."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Literal, NamedTuple

LONGEST_SHOWN = 300
"""Maximum characters of the client's input that a reply repeats in one place."""

Language = Literal["id", "en"]

_FORM = re.compile(r":\w+}")
_QUOTED = re.compile(r"“{(\w+)}”")


class Text(NamedTuple):
    """A sentence in both languages; `{name}` takes the value of that name.

    A code such as `frozen` appears as its words, but never in quotation marks: “{name}” is what the client sent.
    `{verb:passive}` takes those that `declare_words` has for a form.
    `{roles:or}` joins a list by "or".
    """

    id: str
    en: str

    def render(self, language: Language, values: Mapping[str, object]) -> str:
        template = _QUOTED.sub(r"“{\1:as_sent}”", self.id if language == "id" else self.en)
        return template.format_map(_SentenceValues(language, values))

    def strip_forms(self) -> "Text":
        """Return both sentences as documentation shows them: names in braces, without the forms of words."""
        return Text(*(_FORM.sub("}", text) for text in self))


_words: dict[tuple[str, str], Text] = {}
"""(code, form) → its words."""


def declare_words(words: Mapping[str, Text], *, form: str = "") -> None:
    """Declare the words of codes in sentences. Raises ValueError if a code has other words already.

    The empty code has the words of all other codes in a form.
    """
    for code, text in words.items():
        key = (code.value if isinstance(code, Enum) else code, form)
        if _words.setdefault(key, text) != text:
            raise ValueError(f"{key} has the words {_words[key]} already")


class _SentenceValues(dict[str, object]):
    """The values of a sentence; a missing one is a dash, no KeyError."""

    def __init__(self, language: Language, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self._language = language

    def __getitem__(self, name: str) -> "_Shown":
        # `value` is the client's input in unquoted sentences too: it is never taken for a code
        return _Shown(self.get(name), self._language, is_sent=name == "value")


_OR: dict[Language, str] = {"id": " atau ", "en": " or "}


class _Shown(NamedTuple):
    """A value in a sentence: words for a code, a list with commas, its last item after "or" in the form `or`."""

    value: object
    language: Language
    is_sent: bool = False
    """True for what the client sent, which stays as it is."""

    def __format__(self, form: str) -> str:
        if self.is_sent and self.value is not None:
            return cut_text(str(self.value))
        return self._speak(self.value, form)

    def _speak(self, value: object, form: str) -> str:
        if isinstance(value, Text):
            return value.render(self.language, {})
        if isinstance(value, (list, tuple, set, frozenset)):
            is_choice = form == "or" and len(value) > 1
            *items, last = [self._speak(item, "" if form == "or" else form) for item in value] or ["–"]
            return ", ".join(items) + (_OR[self.language] if is_choice else ", " if items else "") + last
        code = value.value if isinstance(value, Enum) else value
        if isinstance(code, str) and form != "as_sent":
            text = _words.get((code, form)) or _words.get((code, "")) or _words.get(("", form))
            if text is not None:
                return text.id if self.language == "id" else text.en
        return cut_text(code) if isinstance(code, str) else "–" if code is None else str(code)


def cut_text(text: str) -> str:
    """Return a client's text, cut to the length that a reply repeats."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
