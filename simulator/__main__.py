"""`python -m simulator --port N --home DIR [--host H] [--prices DIR]`."""

import argparse
import os
from pathlib import Path

from simulator.main import DEFAULT_PRICES, run


def main() -> None:
    """Read the options and serve."""
    prices = Path(os.environ.get("SLUICEWAY_PRICES") or DEFAULT_PRICES)
    parser = argparse.ArgumentParser(prog="simulator", description="Both providers' HTTP APIs.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True, help="folder that keeps the bill")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--prices", type=Path, default=prices, help="folder of price rows (*.csv)")
    options = parser.parse_args()
    run(options.port, options.home, host=options.host, prices=options.prices)


if __name__ == "__main__":
    main()
