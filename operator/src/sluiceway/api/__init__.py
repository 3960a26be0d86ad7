"""What users write: TaskQueue and WorkerClass, their rules, and the CRDs made from them."""
