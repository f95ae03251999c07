"""Output for people: pictures of errors, curves, tables, the HTML report, and exports to other tools' formats."""
