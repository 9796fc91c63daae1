"""Pure functions: statement to row, commit to statement, evidence to level. No I/O."""
