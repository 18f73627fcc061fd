"""Hooks of hatchling, which builds both wheels: what `rata` and `rata-client` carry besides their packages."""

import os
import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parents[1]


class CarryFiles(BuildHookInterface[Any]):
    """The files under `carried` in the project's settings, and the revision where `revision` says.

    `SOURCE_REVISION` gives the revision where there is no git, as in the build of an image.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to a wheel; an editable installation reads the checkout."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name, "revision")
        found = runpy.run_path(str(ROOT / "app" / "client" / "version.py"))["find_revision"]
        file.write_text(f"{os.environ.get('SOURCE_REVISION') or found() or ''}\n")
        build_data["force_include"] |= {
            str(file): self.config["revision"],
            **{str(ROOT / source): target for source, target in self.config.get("carried", {}).items()},
        }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written for the build."""
        if version != "editable":
            self._folder.cleanup()
