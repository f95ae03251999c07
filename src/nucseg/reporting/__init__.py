"""What people look at: pictures of the errors, curves, tables, the HTML report, and exports to other tools' formats."""
