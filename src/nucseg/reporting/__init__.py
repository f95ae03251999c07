"""Pictures, charts, tables, the HTML report, and exports to other tools' formats."""
