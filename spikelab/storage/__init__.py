"""Where exports go and files come from: local paths and S3, all or nothing."""
