"""Each rule of docs/concurrency.md has wrong and right code, and names tests that exist."""

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "concurrency.md"
RULES = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
NAMED = re.compile(r"`(test_\w+)`\s+\(`(tests/[\w/]+\.py)`\)")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.partition("\n")[0])
def test_rule_has_two_examples_and_tests_that_exist(rule: str) -> None:
    examples = re.findall(r"^```python\n(.*?)^```$", rule, re.MULTILINE | re.DOTALL)
    assert [example.split()[1].strip(":,") for example in examples] == ["wrong", "right"]
    for example in examples:
        ast.parse(example)
    tests = NAMED.findall(rule)
    assert tests
    assert {name for name, _ in tests} == set(re.findall(r"`(test_\w+)`", rule))
    for name, file in tests:
        tree = ast.parse((ROOT / file).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, file


def test_rules_are_numbered() -> None:
    assert [rule.partition(".")[0] for rule in RULES] == [str(n) for n in range(1, len(RULES) + 1)]
