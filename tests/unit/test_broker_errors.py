"""What a server's refusal means for whoever has to mend it."""

from __future__ import annotations

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from sluiceway.broker.address import parse_address
from sluiceway.broker.errors import key_problem, sentence

IN_A_SCRIPT = {
    "Redis 7.0": "The user executing the script can't run this command or subcommand",
    "Redis 7.2 and Valkey": "ACL failure in script: User sluiceway has no permissions to run "
    "the 'set' command",
}


@pytest.mark.parametrize("words", IN_A_SCRIPT.values(), ids=IN_A_SCRIPT.keys())
def test_a_missing_permission_is_told_in_whatever_words_a_server_refuses(words: str) -> None:
    redis = parse_address("redis://redis/0")
    for refusal in (ResponseError(words), NoPermissionError(words)):
        assert sentence(refusal, redis) == (
            f"broker redis://redis:6379/0: a permission is missing ({words}); "
            "see the ACL in the reference"
        )
    assert "may not read the key video" in key_problem(
        f"video\nERR {words}".encode(), wanted="list"
    )
