"""What predicts in the background: workers of the task table and of SQS."""
