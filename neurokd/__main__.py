"""`python -m neurokd`: the command line without an installed script."""

from neurokd.cli.main import main

if __name__ == "__main__":
    main()
