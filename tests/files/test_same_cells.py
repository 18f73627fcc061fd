"""Generated and damaged workbooks: our reader agrees with openpyxl, or refuses the file."""

import pytest

from tests.files.generated import CHECKS, check_by_chance


@pytest.mark.parametrize("name", CHECKS)
def test_same_cells_or_refused(name: str) -> None:
    check_by_chance(name, examples=15)
