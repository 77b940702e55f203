"""The plugins run from a copy in the state folder, as the checkout may move or change."""

import shutil

from . import processes, settings

SOURCE = settings.SOURCE / "plugin"


def refresh() -> None:
    if settings.PLUGIN.exists():
        if processes.tree_digest(settings.PLUGIN) == processes.tree_digest(SOURCE):
            return
        shutil.rmtree(settings.PLUGIN)
    shutil.copytree(SOURCE, settings.PLUGIN, ignore=shutil.ignore_patterns("__pycache__"))
