"""Entry of the zipapp and of its unpacked form; packed as ``__main__.py``."""

import sys

sys.path.insert(0, __file__.rpartition("/")[0])

from stix_agent.commands import main  # type: ignore[import-not-found]

main(sys.argv)
