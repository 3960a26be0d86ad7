"""An application in which `sluiceway check -A` finds nothing: each thing done as it should be."""
