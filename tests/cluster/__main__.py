"""`python tests/cluster COMMAND`: Python runs a folder by this file."""

from testcluster.cli import main

main()
