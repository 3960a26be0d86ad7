"""What may happen to workers, many times over, under work: is a task lost, and run twice?"""
