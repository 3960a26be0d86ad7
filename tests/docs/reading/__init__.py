"""What stands in the pages: their code blocks, and the commands in them."""
