"""Sources -> slices -> edition. Planning is pure; executing is separate."""
