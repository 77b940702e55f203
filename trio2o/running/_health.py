"""Whether calls should be sent here."""

import os

from attrs import define


@define
class Health:
    """Healthy, but while draining, or while an operator's file is there."""

    disable_file: str = ""
    draining: bool = False

    def reason(self) -> str:
        """Why no calls should come ('' = they may), in oslo's words where it has them."""
        if self.draining:
            return "DRAINING"
        if self.disable_file and os.path.exists(self.disable_file):
            return "DISABLED BY FILE"
        return ""
