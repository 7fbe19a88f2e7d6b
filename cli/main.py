"""The `sluiceway` command.

Its own modules load inside `main`: Ctrl-C while they do ends the program without a word.
"""

import gc
import signal
import sys


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # it would visit all that is being loaded again and again: a fifth of the time
    from cli.application import app  # noqa: PLC0415 - as the module says
    from cli.option_order import hoist  # noqa: PLC0415 - as above

    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app(hoist(sys.argv[1:]), prog_name="sluiceway")


if __name__ == "__main__":
    main()
