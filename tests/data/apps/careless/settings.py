from datetime import timedelta

broker_url = "redis://127.0.0.1:6379/0"
result_backend = "redis://:hunter2@127.0.0.1:6379/1"
result_expires = None  # finds: results-stay
broker_transport_options = {"visibility_timeout": 1800, "global_keyprefix": "shop:"}
worker_prefetch_multiplier = 8  # finds: prefetch
accept_content = ["json", "pickle"]  # finds: pickle
task_always_eager = True  # finds: always-eager
beat_schedule = {
    "nightly": {"task": "careless.nowhere", "schedule": 60},  # finds: beat-unknown-task
    "hourly": {"task": "careless.tasks.tidy", "schedule": timedelta(hours=1)},
}
