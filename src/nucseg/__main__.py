"""The command line as a module: `python -m nucseg` is the same as `nucseg`."""

from nucseg.cli import main

if __name__ == "__main__":
    main()
