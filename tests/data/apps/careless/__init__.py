"""An application with every mistake that `sluiceway check -A` finds, each with a mark."""
