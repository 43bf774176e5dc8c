"""The command line: one function per verb that parses, calls one room, and prints."""
