"""What the tests of the charts share: Helm, and sets of values."""
