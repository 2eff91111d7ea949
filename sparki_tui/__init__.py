"""Nearly empty: the terminal interface comes with a later change."""
