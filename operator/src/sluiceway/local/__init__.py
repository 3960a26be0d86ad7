"""The same TaskQueues on one machine: worker processes in place of pods."""
