"""The processes around a traced program: its recorder and the program itself, started from the launcher."""
