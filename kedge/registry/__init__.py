"""What is in production, since when and why; mirrored to MLflow."""
