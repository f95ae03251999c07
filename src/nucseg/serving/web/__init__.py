"""HTTP: routes, schemas and middleware; thin, since the work is done elsewhere."""
