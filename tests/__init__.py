"""The tests mirror the packages path for path."""
