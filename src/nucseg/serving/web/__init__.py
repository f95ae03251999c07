"""HTTP: routes, schemas and middleware; thin, for everything that they do is done elsewhere."""
