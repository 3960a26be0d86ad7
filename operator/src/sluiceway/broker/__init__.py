"""The only package that speaks Redis: addresses, connections, the read script, commands."""
