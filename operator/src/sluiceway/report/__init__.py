"""report: turns decisions into a status, sentences and metrics."""
