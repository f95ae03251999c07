"""Background prediction: workers of the task table and of SQS."""
