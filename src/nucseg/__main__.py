"""The command line as a module: `python -m nucseg` is `nucseg`."""

from nucseg.cli import main

if __name__ == "__main__":
    main()
