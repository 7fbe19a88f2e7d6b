"""Starts a service: `python -m cli.local_stack.launch MODULE`, which ends as its `main` does.

The garbage collector rests while the modules load, since it would visit what has been loaded again
and again and find nothing: a fifth of a service's start. What is loaded stays for good, and is left
out of later collections as well.
"""

import gc
import importlib
import sys

MODULE = "cli.local_stack.launch"


def main() -> None:
    """Run `main` of the module that the command line names, which sees the words after it."""
    gc.disable()
    module = importlib.import_module(sys.argv.pop(1))
    gc.freeze()
    gc.enable()
    sys.exit(module.main())


if __name__ == "__main__":
    main()
