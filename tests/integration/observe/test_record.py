"""`sluiceway record` on a real broker: what came is in the file, and can be played."""

from __future__ import annotations

import threading

from typer.testing import CliRunner

from sluiceway.cli.main import app
from sluiceway.cli.output import CommandError
from sluiceway.simulate.csv_trace import read_trace
from sluiceway_worker.heartbeat import Heartbeat, TaskTimes
from sluiceway_worker.wire import HEARTBEAT_TTL_MS, heartbeat_key, workers_key


def test_what_arrives_at_a_live_broker_becomes_a_trace(redis_server, tmp_path):
    client = redis_server.client()
    file = tmp_path / "live.csv"

    def arrive() -> None:
        client.lpush("video", *["{}"] * 5)
        beat = Heartbeat(
            incarnation="w:1",
            name="w",
            fleet="",
            queues=["video"],
            state="consuming",
            slots=1,
            processed=2,
            tasks={"t": TaskTimes(count=2, sum_s=6.0, sumsq_s2=18.0)},
        )
        client.sadd(workers_key(""), beat.incarnation)
        client.set(heartbeat_key("", beat.incarnation), beat.to_json(), px=HEARTBEAT_TTL_MS)

    later = threading.Timer(1.0, arrive)
    later.start()
    try:
        done = CliRunner().invoke(
            app,
            [
                "record", "--url", redis_server.url, "--queue", "video", "-o", str(file),
                "--every", "500ms", "--for", "3s",
            ],
        )  # fmt: skip
    finally:
        later.join()
    assert done.exit_code == 0, done.output
    trace = read_trace(file)
    assert len(trace) == 7


def test_where_nothing_can_be_recorded_an_earlier_recording_stays(tmp_path):
    file = tmp_path / "week.csv"
    file.write_text("t_seconds,arrivals\n0,1\n")
    options = ("-o", str(file), "--every", "50ms", "--for", "100ms")

    done = CliRunner().invoke(app, ["record", "--url", "redis://127.0.0.1:1/0", *options])

    assert isinstance(done.exception, CommandError)
    assert "nothing was recorded: broker redis://127.0.0.1:1/0" in str(done.exception)
    assert file.read_text() == "t_seconds,arrivals\n0,1\n"
