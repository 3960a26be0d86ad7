"""Everything that speaks Redis: addresses, connections, the read scripts, waking, commands.

``observe`` reads through it and ``act`` commands through it; no other package of
the operator imports redis. Keys and payloads come from ``sluiceway_worker.wire``.
Whatever goes wrong with a broker leaves this package as a sentence, never as an
exception of the client library.
"""
