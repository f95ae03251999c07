"""The pipelines; between them everything is persisted in the catalog, so that each runs on its own."""
