"""nova-compute with the lab's driver: Nova looks for drivers in its own package only."""

from pathlib import Path

import nova.virt
from nova.cmd import compute

nova.virt.__path__.append(str(Path(__file__).parent))

if __name__ == "__main__":
    compute.main()
