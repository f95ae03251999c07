"""The models as a service: a REST API, a durable queue of tasks, and the workers that process it."""
