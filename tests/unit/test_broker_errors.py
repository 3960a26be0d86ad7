"""What a server's refusal means for whoever has to mend it."""

from __future__ import annotations

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, key_problem, sentence

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


@pytest.mark.parametrize("host", ["redis..shop", "a" * 64])
async def test_a_host_name_that_can_be_none_is_called_that(host: str) -> None:
    broker = Broker(parse_address(f"redis://{host}:6379/0"))
    with pytest.raises(BrokerError, match="the host name is none: a part of it is empty"):
        await broker.run([("PING",)])


async def test_sentinels_that_do_not_answer_are_told_without_the_client_s_insides() -> None:
    broker = Broker(parse_address("sentinel://127.0.0.1:1/0?master_name=m"))
    with pytest.raises(BrokerError) as raised:
        await broker.run([("PING",)])
    assert str(raised.value) == (
        "broker sentinel://127.0.0.1:1/0?master_name=m: no Sentinel that answers knows of "
        "a primary by that name, and not all answer"
    )
